"""From words to a command: built from the table, errors become one line on stderr and an exit code."""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version

from cyclopts import App, CycloptsError

from fleet_cli.commands import COMMANDS, GROUPS, SHOWN
from fleet_cli.exits import CliError, Exit


def build() -> App:
    """The whole command tree; the modules of the commands are not imported."""
    app = App(
        name="supervisor",
        version=version("quantumedge-supervisor"),
        help_formatter="plain",
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    groups: dict[str, App] = {}
    for group, text in GROUPS.items():
        groups[group] = App(name=group, help=text, help_formatter="plain")
        app.command(groups[group])
    for command in COMMANDS:
        first, _, rest = command.words.partition(" ")
        parent, name = (groups[first], rest) if rest else (app, first)
        parent.command(command.target, name=name, help=command.help)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; never raises on anything a human did or a machine refused."""
    try:
        result = build()(_spelled_out(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        word = next((word for word in arguments if not word.startswith("-")), "")
        if word and word not in {command.words.split()[0] for command in COMMANDS}:
            return _say(f"there is no command {word!r}; supervisor --help lists them{_close(word)}", Exit.USAGE)
        return _say(f"{error} See: supervisor {' '.join(filter(None, [_meant(arguments), '--help']))}", Exit.USAGE)
    except CliError as error:
        return _say(str(error), error.code)
    except KeyboardInterrupt as error:
        return _say(str(error) or "interrupted", Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.OK
    except OSError as error:
        if error.filename is None:
            raise
        return _say(f"cannot use {error.filename}: {error.strerror}", Exit.FAILURE)
    return result if isinstance(result, int) else Exit.OK


def _spelled_out(arguments: Sequence[str]) -> list[str]:
    """`positions -o json` is `positions show -o json`."""
    first, *others = arguments or [""]
    if first in SHOWN and (not others or (others[0].startswith("-") and others[0] not in ("--help", "-h"))):
        return [first, "show", *others]
    return list(arguments)


def _meant(arguments: Sequence[str]) -> str:
    """The command of a mistaken line as far as it is one: `tokens rotate`, or `limits` of `limits shwo`."""
    first, *others = [word for word in arguments if not word.startswith("-")] or [""]
    whole = f"{first} {others[0] if others else ''}"
    return whole if any(command.words == whole for command in COMMANDS) else first


def _close(word: str) -> str:
    close = get_close_matches(word, {command.words.split()[0] for command in COMMANDS}, 1)
    return f". Did you mean {close[0]}?" if close else ""


def _say(message: str, code: Exit) -> int:
    sys.stderr.write(f"supervisor: {message}\n")
    return code
