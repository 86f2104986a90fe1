"""Questions to a human before something is changed. No terminal and no --yes: exit code 2, never a silent yes."""

import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from fleet_cli.exits import CliError, Exit

REASON_CHARACTERS_MIN = 3


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The options of every command that changes something."""

    reason: Annotated[str, Parameter(help="why; kept in the record")]
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="do not ask; for scripts")] = False


def check_reason(reason: str) -> None:
    """A reason says something. Raises `CliError`."""
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise CliError(f"--reason: say why in at least {REASON_CHARACTERS_MIN} characters; it is kept", Exit.USAGE)


def confirm(question: str, why: Why) -> None:
    """Go on only with a reason, and with `--yes` or a typed y. Raises `CliError`."""
    check_reason(why.reason)
    if why.yes:
        return
    if not _interactive():
        raise CliError("nobody is there to answer; add --yes to say it was meant", Exit.USAGE)
    if _ask(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise CliError("not done", Exit.FAILURE)


def confirm_typed(question: str, phrase: str, typed: str | None) -> None:
    """Go on only when `phrase` was typed, at the prompt or as an option. Raises `CliError`."""
    if typed is None and not _interactive():
        raise CliError(f'nobody is there to type the phrase; add --phrase "{phrase}"', Exit.USAGE)
    answer = _ask(f"{question}\nType exactly: {phrase}\n> ") if typed is None else typed
    if answer.strip() != phrase:
        raise CliError(f"not done: the phrase was another one, not `{phrase}`", Exit.USAGE)


def _interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise CliError("not done: no answer", Exit.FAILURE)
    return answer
