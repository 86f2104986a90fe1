"""A small core to try the chassis with: it counts the ANOMALY facts of its service, by kind, and owes nothing by default."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from fleet_chassis.core_api import Parts, SnapshotParts
from fleet_contracts import Anomaly, Reason, derived_id, encode
from fleet_contracts.entry import Entry, Fact


class Tally:
    """Kinds folded (with their order), kinds held, kinds owed."""

    stirred = True

    def __init__(self, folded: list[str] | None = None) -> None:
        self.folded = folded or []
        self.held: Counter[str] = Counter()
        self.demands: list[str] = []

    def now(self, wall: datetime) -> datetime:
        return wall

    def evolve(self, entry: Entry) -> None:
        if isinstance(entry.event, Anomaly):
            self.folded.append(entry.event.kind)

    def owed(self, now: datetime) -> list[Fact]:
        return [fact(kind) for kind in self.demands if kind not in self.folded and kind not in self.held]

    def hold(self, fact: Fact) -> None:
        self.held[_kind(fact)] += 1

    def drop(self, fact: Fact) -> None:
        self.held[_kind(fact)] -= 1
        self.held += Counter()

    def dump(self) -> SnapshotParts:
        return Parts("\n".join(self.folded).encode(), {})

    @classmethod
    def load(cls, parts: SnapshotParts) -> "Tally":
        return cls(parts.head.decode().split("\n") if parts.head else [])


class Caller:
    """A waiter that remembers what it was told."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.seq: int | None = None
        self.reason: Reason | None = None

    def stored(self, fact: Fact, seq: int, line: int) -> None:
        self.seq = seq

    def refused(self, fact: Fact, reason: Reason) -> None:
        self.reason = reason


def fact(kind: str, account: str = "main", service: str = "risk-gateway", more: Mapping[str, str] | None = None) -> Fact:
    """An ANOMALY fact named after its kind."""
    event = Anomaly(
        event_type="ANOMALY",
        account=account,
        source=service,
        event_id=derived_id(account, service, kind, "ANOMALY"),
        kind=kind,
        **(more or {}),
    )
    return Fact(event, encode(event), str(event.event_id))


def _kind(fact: Fact) -> str:
    assert isinstance(fact.event, Anomaly)
    return str(fact.event.kind)
