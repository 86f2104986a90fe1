"""A kill as plain JSON values, and back: for snapshots and for people."""

from datetime import datetime
from typing import Any

from risk_gateway.core.kill import Kill, Seen, Told

Row = dict[str, Any]


def dump_kill(kill: Kill) -> Row:
    """Everything of a kill; the same kill always gives the same row."""
    return {
        "requested": _seen(kill.requested),
        "delivered": _seen(kill.delivered),
        "acknowledged": _seen(kill.acknowledged),
        "flat": _seen(kill.flat),
        "missed": [[stage, _seen(seen)] for stage, seen in kill.missed.items()],
        "told": [[command_id, _told(told)] for command_id, told in kill.told.items()],
        "expected": kill.expected,
        "reported": list(kill.reported),
        "turns": kill.turns,
    }


def load_kill(row: Row) -> Kill:
    """The kill of a row."""
    requested = _seen_of(row["requested"])
    assert requested is not None
    return Kill(
        requested=requested,
        delivered=_seen_of(row["delivered"]),
        acknowledged=_seen_of(row["acknowledged"]),
        flat=_seen_of(row["flat"]),
        missed={stage: Seen(datetime.fromisoformat(seen[0]), seen[1]) for stage, seen in row["missed"]},
        told={command_id: _told_of(told) for command_id, told in row["told"]},
        expected=row["expected"],
        reported=dict.fromkeys(row["reported"]),
        turns=row["turns"],
    )


def _seen(seen: Seen | None) -> list[str] | None:
    return None if seen is None else [seen.at.isoformat(), seen.evidence]


def _seen_of(row: list[str] | None) -> Seen | None:
    return None if row is None else Seen(datetime.fromisoformat(row[0]), row[1])


def _told(told: Told) -> list[Any]:
    answered = None if told.answered_at is None else told.answered_at.isoformat()
    return [told.bot, told.command, told.attempt, told.deadline.isoformat(), told.answer, told.detail, answered]


def _told_of(row: list[Any]) -> Told:
    bot, command, attempt, deadline, answer, detail, answered = row
    return Told(
        bot,
        command,
        attempt,
        datetime.fromisoformat(deadline),
        answer,
        detail,
        None if answered is None else datetime.fromisoformat(answered),
    )
