"""Which part of a fleet runs when: order of readiness, restarts, crash-loop latch, drain. Pure; the caller owns the clock.

The shell (`process_run.py`) tells a `Roster` what happened (`ready`, `unready`, `exited`, `drain`, `retry`) and does what
`act(now)` answers. Times are seconds of any one monotonic clock.

    WAITING ──▶ STARTING ──▶ READY ◀──▶ UNREADY          one-shot:  STARTING ──▶ DONE
                 ▲   │exit      │exit       │exit
                 │   ▼          ▼           ▼
                BACKOFF ◀───────┴───────────┘  ──▶ CRASH_LOOP (too many exits in the window; only `retry` leaves it)
    drain: every state ──▶ STOPPING ──▶ STOPPED, last started first
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class PartState(StrEnum):
    """Where one part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    BACKOFF = "backoff"
    CRASH_LOOP = "crash-loop"
    DONE = "done"
    STOPPING = "stopping"
    STOPPED = "stopped"


RUNNING = frozenset({PartState.STARTING, PartState.READY, PartState.UNREADY, PartState.STOPPING})
"""States in which the part has a process."""
GOOD = frozenset({PartState.READY, PartState.DONE})


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often a part that exits is started again.

    The wait doubles from `backoff_s_first` to `backoff_s_max`. `exits_max` exits inside `window_s` latch the part; an exit
    after `stable_s` of being ready starts the count anew.
    """

    backoff_s_first: float = 0.5
    backoff_s_max: float = 15.0
    exits_max: int = 5
    window_s: float = 60.0
    stable_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Part:
    """One program of the fleet as the roster sees it: started once all of `after` are good, given `stop_s` to end."""

    name: str
    after: tuple[str, ...] = ()
    one_shot: bool = False
    stop_s: float = 10.0
    policy: RestartPolicy = RestartPolicy()


@dataclass(frozen=True, slots=True)
class Start:
    """Start the part's program now."""

    part: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the part's process group to end (SIGTERM)."""

    part: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End the part's process group for good (SIGKILL): it did not end in time."""

    part: str


Action = Start | Terminate | Kill


@dataclass(slots=True)
class Seat:
    """What the roster knows about one part."""

    part: Part
    since: float
    state: PartState = PartState.WAITING
    due: float | None = None
    exits: list[float] = field(default_factory=list)
    restarts: int = 0
    exit_code: int | None = None
    detail: str = ""

    def move(self, state: PartState, now: float, due: float | None = None, detail: str = "") -> None:
        """Enter a state; `due` is when the roster has to look again."""
        self.state, self.since, self.due, self.detail = state, now, due, detail


class UnknownPart(ValueError):
    """A part comes after one that is not in the roster, or after itself."""


class Roster:
    """All parts of one fleet. Single owner; every method is told the present moment."""

    def __init__(self, parts: Iterable[Part], now: float) -> None:
        self.seats: dict[str, Seat] = {}
        self.draining = False
        for part in parts:
            self.add(part, now)

    def add(self, part: Part, now: float) -> None:
        """One more part; everything it comes after must be there already, which makes circles impossible."""
        missing = [name for name in part.after if name not in self.seats]
        if missing or part.name in self.seats:
            raise UnknownPart(f"{part.name} comes after {missing[0]}, which is not there" if missing else part.name)
        self.seats[part.name] = Seat(part, now)

    def ready(self, name: str, now: float) -> None:
        """Its probe succeeded."""
        seat = self.seats[name]
        if seat.state in (PartState.STARTING, PartState.UNREADY):
            seat.move(PartState.READY, now)

    def unready(self, name: str, now: float, detail: str) -> None:
        """Its probe failed; `detail` says what is missing."""
        seat = self.seats[name]
        if seat.state is PartState.READY:
            seat.move(PartState.UNREADY, now)
        if seat.state in (PartState.STARTING, PartState.UNREADY):
            seat.detail = detail

    def exited(self, name: str, code: int, now: float, detail: str = "") -> None:
        """Its process is gone; `code` below 0 is the signal that ended it. Starting it failed: code 127."""
        seat = self.seats[name]
        seat.exit_code = code
        if self.draining:
            seat.move(PartState.STOPPED, now)
        elif seat.part.one_shot and code == 0:
            seat.move(PartState.DONE, now)
        else:
            self._fall(seat, now, detail)

    def drain(self) -> None:
        """Stop everything, last started first; nothing is started any more."""
        self.draining = True

    def retry(self, now: float) -> None:
        """A human asks: latched parts and parts in backoff get a new chance at once."""
        for seat in self.seats.values():
            if seat.state in (PartState.CRASH_LOOP, PartState.BACKOFF):
                seat.exits.clear()
                seat.move(PartState.WAITING, now)

    def act(self, now: float) -> list[Action]:
        """What has to be done now; the roster takes it as done."""
        if self.draining:
            return [action for seat in self.seats.values() if (action := self._stop(seat, now))]
        return [Start(seat.part.name) for seat in self.seats.values() if self._starts(seat, now)]

    def next_due(self) -> float | None:
        """When `act` may have something to do although nothing happens before."""
        return min((seat.due for seat in self.seats.values() if seat.due is not None), default=None)

    @property
    def stopped(self) -> bool:
        """True when a drain is over."""
        return self.draining and all(seat.state is PartState.STOPPED for seat in self.seats.values())

    @property
    def good(self) -> bool:
        """True when every part is ready, or done if it is a one-shot."""
        return all(seat.state in GOOD for seat in self.seats.values())

    def _starts(self, seat: Seat, now: float) -> bool:
        if seat.state is PartState.WAITING:
            start = all(self.seats[name].state in GOOD for name in seat.part.after)
        else:
            start = seat.state is PartState.BACKOFF and seat.due is not None and seat.due <= now
            seat.restarts += start
        if start:
            seat.move(PartState.STARTING, now)
        return start

    def _fall(self, seat: Seat, now: float, detail: str) -> None:
        policy = seat.part.policy
        if seat.state is PartState.READY and now - seat.since >= policy.stable_s:
            seat.exits.clear()
        seat.exits = [at for at in seat.exits if now - at < policy.window_s] + [now]
        count = len(seat.exits)
        if count >= policy.exits_max:
            seat.move(PartState.CRASH_LOOP, now, detail=f"{count} exits in {now - seat.exits[0]:.0f} s; last: {detail}")
        else:
            wait_s = min(policy.backoff_s_first * 2 ** (count - 1), policy.backoff_s_max)
            seat.move(PartState.BACKOFF, now, now + wait_s, detail)

    def _stop(self, seat: Seat, now: float) -> Action | None:
        if seat.state is PartState.STOPPING:
            if seat.due is None or seat.due > now:
                return None
            seat.due = None
            return Kill(seat.part.name)
        if seat.state not in RUNNING:
            if seat.state is not PartState.STOPPED:
                seat.move(PartState.STOPPED, now)
            return None
        if any(self.seats[name].state in RUNNING for name in self._followers(seat.part.name)):
            return None
        seat.move(PartState.STOPPING, now, now + seat.part.stop_s)
        return Terminate(seat.part.name)

    def _followers(self, name: str) -> set[str]:
        """All that come after it, directly or through others."""
        direct = {seat.part.name for seat in self.seats.values() if name in seat.part.after}
        return direct.union(*(self._followers(follower) for follower in direct))
