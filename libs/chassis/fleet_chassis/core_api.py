"""What the pipeline asks of a service's core: pure, no I/O, no clock, one owner (the pipeline's event loop)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleet_contracts.entry import Entry, Fact
from fleet_contracts.reasons import Reason


class SnapshotParts(Protocol):
    """A state as bytes: a small head, and segments that never change once they exist (name → content)."""

    @property
    def head(self) -> bytes: ...

    @property
    def segments(self) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The plain form of `SnapshotParts`."""

    head: bytes
    segments: Mapping[str, bytes]


class Core(Protocol):
    """One account's state machine: a fold (`evolve`), and an overlay (`hold`, `drop`) of what is not yet folded."""

    stirred: bool
    """Something has happened since `owed` was last asked in vain that may have made a fact due. (Time alone may too.)"""

    def now(self, wall: datetime) -> datetime:
        """The account's time: max(clock, last folded time); for a virtual clock, the newest `ts` it has folded."""
        ...

    def evolve(self, entry: Entry) -> None:
        """Fold one stored line, in stream order, the service's own facts included."""
        ...

    def owed(self, now: datetime) -> list[Fact]:
        """Every fact that fold, overlay and latches demand of a leader at `now`; asking twice never doubles one."""
        ...

    def hold(self, fact: Fact) -> None:
        """A fact enters the overlay: decided, on its way."""
        ...

    def drop(self, fact: Fact) -> None:
        """A fact leaves the overlay: folded, or certainly not stored."""
        ...

    def dump(self) -> SnapshotParts:
        """The folded state (never the overlay) in canonical bytes."""
        ...


class Waiter(Protocol):
    """Somebody waiting for a fact to be stored. Neither method may raise: the caller may be gone."""

    @property
    def deadline(self) -> float:
        """When the caller stops waiting, in `loop.time()` seconds."""
        ...

    def stored(self, fact: Fact, seq: int, line: int) -> None:
        """The fact is in the log, as this line of this message."""
        ...

    def refused(self, fact: Fact, reason: Reason) -> None:
        """No decision (one of the four reasons that are never stored)."""
        ...
