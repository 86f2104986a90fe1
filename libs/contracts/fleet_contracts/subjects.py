"""Subjects: who says what about which account. `fleet.<account>.<event>.<source>`."""

import re
from dataclasses import dataclass
from functools import lru_cache

from fleet_contracts.envelope import TOKEN

FLEET_ACCOUNT = "fleet"
"""The account of fleet-wide events and of the services' own heartbeats; every account's fold reads it too."""
SERVICES = (
    "risk-gateway",
    "ingest",
    "heartbeat-monitor",
    "bot-runner",
    "policy-engine",
    "signal-reviewer",
    "meta-runner",
    "dashboard",
    "notifier",
)
RESERVED_SOURCES = frozenset(SERVICES) | {
    "fleet",
    "fleet-init",
    "operator",
    "viewer",
    "approver",
    "admin",
    "supervisor",
}
"""Names no bot may have."""


_SUBJECT = re.compile(rf"fleet\.({TOKEN.pattern})\.({TOKEN.pattern})\.({TOKEN.pattern})")


class SubjectError(ValueError):
    """Not a subject of the fleet."""


@dataclass(frozen=True, slots=True)
class Address:
    """A subject taken apart; `event` is the snake_case token of the event type."""

    account: str
    event: str
    source: str


def event_subject(account: str, event: str, source: str) -> str:
    """The subject of an event; `event` is its type or its token. Raises `SubjectError` for what is no token."""
    for token in (account, event, source):
        if not TOKEN.fullmatch(token):
            raise SubjectError(f"{token!r} is not a token of A-Z a-z 0-9 _ - (1 to 64 characters)")
    return f"fleet.{account}.{event.lower()}.{source}"


@lru_cache(maxsize=4096)
def split_subject(subject: str) -> Address:
    """Take `fleet.<account>.<event>.<source>` apart. Raises `SubjectError`."""
    found = _SUBJECT.fullmatch(subject)
    if found is None:
        raise SubjectError(f"{subject[:200]!r} is not fleet.<account>.<event>.<source>")
    return Address(*found.groups())


def fence_subjects(account: str, service: str) -> str:
    """What a leader's fence covers: everything the service writes for the account."""
    return f"fleet.{account}.*.{service}"


def live_subject(subject: str) -> str:
    """Where the stored copy of an event is seen live, at most once."""
    return f"live.{subject}"


def service_subject(service: str, verb: str, account: str, bot: str) -> str:
    """A request door: `svc.<service>.<verb>.<account>.<bot>`."""
    return f"svc.{service}.{verb}.{account}.{bot}"


def evaluate_subject(account: str, bot: str) -> str:
    """The synchronous order door over NATS."""
    return service_subject("risk", "evaluate", account, bot)


def state_subject(account: str, bot: str) -> str:
    """Where a bot asks for its mode, halts, constraints and open commands."""
    return service_subject("control", "state", account, bot)


def review_subject(account: str, bot: str) -> str:
    """Where a bot asks for a second opinion on a signal."""
    return service_subject("signal", "review", account, bot)


def dead_subject(service: str, reason: str) -> str:
    """Where a bad line is kept."""
    return f"dead.{service}.{reason}"
