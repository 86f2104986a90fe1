"""`supervisor dead list | show | replay`: lines nobody could use, why, and having ingest read them again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from fleet_chassis.dead_letter_reader import DeadLetter, DeadLetters, NoAnswerFromIngest, dead_letters
from fleet_chassis.log import LogUnavailable
from fleet_chassis.nats_connection import NoSeed
from fleet_cli.asking import Why, confirm
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import AS_TABLE, Column, Row, Show, say, show_document, show_rows, write
from fleet_cli.where import fleet_settings

T = TypeVar("T")
_BODY_CHARACTERS_SHOWN = 60
_COLUMNS = (
    Column("seq", right=True),
    Column("at"),
    Column("service"),
    Column("reason"),
    Column("origin"),
    Column("subject"),
    Column("body", lambda row: row["body"][:_BODY_CHARACTERS_SHOWN]),
)


_RESULTS = (Column("origin"), Column("result"), Column("reason"), Column("detail"))
_REFUSALS = {"UNAVAILABLE": Exit.UNHEALTHY, "OVERLOADED": Exit.UNHEALTHY, "INVALID_REQUEST": Exit.USAGE}
Only = Annotated[str | None, Parameter(help="those with this reason, like NOT_JSON")]


def list_letters(
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"], help="how many, the newest")] = 50,
    only: Only = None,
    show: Show = AS_TABLE,
) -> None:
    """The newest dead letters, oldest first: a line that could not be read, or that the database refused."""
    letters, count = _ask(lambda box: _newest(box, limit, only or "*"))
    rows = [_row(letter) for letter in letters]
    show_rows(show, rows, _COLUMNS, {"items": rows, "count": count})
    if show.format == "table":
        say(f"{count} dead letter(s) in all; `supervisor dead show SEQ` shows one")


def show(seq: int, /, *, show: Show = AS_TABLE) -> None:
    """One dead letter: where it came from, why it is dead, and its bytes as they came.

    Args:
        seq: its number in the list
    """
    letter = _found(seq)
    if show.format != "table":
        show_document(show, _row(letter))
        return
    for name, value in _row(letter).items():
        if name != "body":
            write(f"{name:<8} {value}")
    write(f"\n{letter.body.decode('utf-8', 'backslashreplace')}")


def replay(
    *seq: int,
    why: Why,
    only: Only = None,
    subject: Annotated[str | None, Parameter(help="all letters that came on this subject (* is one token)")] = None,
    show: Show = AS_TABLE,
) -> int:
    """Have ingest read the origins of dead letters again, after the cause was mended. Publishes nothing to the log.

    Exit code 0 when all of them are stored now, 1 when some are not.

    Args:
        seq: their numbers in the list; or choose them by --only and --subject
    """
    chosen = {"reason": only, "subject": subject}
    if bool(seq) == any(chosen.values()):
        raise CliError("which ones? Name numbers of `supervisor dead list`, or choose by --only and --subject", Exit.USAGE)
    if seq:
        origins = [_found(number).origin for number in seq]
        confirm(f"Have ingest read {', '.join(origins)} again?", why)
        questions: dict[str, Any] = {"origins": origins}
    else:
        confirm(f"Have ingest read all letters again that match {_said(chosen)}?", why)
        questions = {"filter": {name: value for name, value in chosen.items() if value}}
    results = list(_replayed(questions | {"reason": why.reason}))
    show_rows(show, results, _RESULTS, {"items": results})
    stored = sum(result["result"] == "stored" for result in results)
    say(f"{stored} of {len(results)} line(s) stored")
    return Exit.OK if stored == len(results) else Exit.FAILURE


def _replayed(question: dict[str, Any]) -> Iterator[Row]:
    """Every result, asking on while there is more."""
    while True:
        asked = dict(question)
        answer = _ask(lambda box, asked=asked: box.replay(asked))  # type: ignore[misc]
        if answer.get("error"):
            raise CliError(f"ingest refused: {answer['error']}", _REFUSALS.get(str(answer.get("code")), Exit.FAILURE))
        yield from answer.get("results") or ()
        if answer.get("next") is None:
            return
        question = {**question, "filter": {**question["filter"], "after": answer["next"]}}


async def _newest(box: DeadLetters, limit: int, reason: str) -> tuple[list[DeadLetter], int]:
    count, _, _ = await box.count()
    return await box.newest(limit, reason=reason), count


def _found(seq: int) -> DeadLetter:
    letter = _ask(lambda box: box.get(seq))
    if letter is None:
        raise CliError(f"there is no dead letter {seq}", Exit.NOT_FOUND)
    return letter


def _ask(question: Callable[[DeadLetters], Awaitable[T]]) -> T:
    async def work() -> T:
        async with dead_letters(fleet_settings()) as box:
            return await question(box)

    logging.getLogger().addHandler(logging.NullHandler())  # what the connection notes is not for this terminal
    try:
        return asyncio.run(work())
    except NoSeed as error:
        raise CliError(str(error), Exit.FORBIDDEN) from error
    except NoAnswerFromIngest as error:
        raise CliError(f"{error}; see `supervisor status`", Exit.UNHEALTHY) from error
    except (LogUnavailable, TimeoutError) as error:
        raise CliError(
            f"NATS at {fleet_settings().nats} does not answer; is the fleet up? See `supervisor status`", Exit.UNHEALTHY
        ) from error


def _row(letter: DeadLetter) -> Row:
    return {
        "seq": letter.seq,
        "at": letter.at.isoformat(timespec="milliseconds"),
        "service": letter.service,
        "reason": letter.reason,
        "origin": letter.origin,
        "subject": letter.subject,
        "detail": letter.detail,
        "body": letter.body.decode("utf-8", "backslashreplace"),
    }


def _said(chosen: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in chosen.items() if value)
