"""Throttles (TH-1, TH-2): when orders were allowed, which are too much like the ones before, and who was disabled for it.

What is folded and what is on its way are kept apart: a decision counts both, a snapshot holds the folded part alone. Every
window is bounded by its limit's count, the number of windows by the limits and by `SAME_MAX`.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from fleet_contracts import Side
from fleet_contracts.money import MONEY, tidy
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.terms import BOT, EVERYBODY, STRATEGY, Gate, Scope, Terms

SAME_MAX = 4_096
"""Different orders that are remembered for TH-2; beyond it the one that was sent least lately is forgotten."""
REJECTS_IN_A_ROW = 3
"""So many rejects of one order in a row, for the same reason, disable its strategy (TH-2)."""
REJECTS_MAX = 1_000
DISABLED_MAX = 1_000
NEVER_SENT = "NEVER_SENT"
"""What the SDK reports of an ALLOW it did not use: nothing was rejected."""


class Sameness(NamedTuple):
    """What makes two orders the same for TH-2. `sent_by`: whose orders are counted, a bot's own or all (empty)."""

    sent_by: str
    who: Scope
    symbol: str
    side: str
    lots: str
    """The quantity in whole lots."""


Window = Scope | Sameness
"""What orders are counted by."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """Why a strategy (or a bot that names none) may not open any more, until a person enables it."""

    since: datetime
    cause: str
    order_id: str


@dataclass(slots=True)
class Throttles:
    """One account's. `now` and all times are the account's."""

    rates: dict[Scope, deque[datetime]] = field(default_factory=dict)
    """Folded: the newest orders of every scope that has an order_rate, oldest first."""
    same: dict[Sameness, deque[datetime]] = field(default_factory=dict)
    """Folded: the newest openings that are the same, the one sent least lately first."""
    rejects: dict[Sameness, tuple[str, int]] = field(default_factory=dict)
    """Folded: the detail of the newest reject of an order, and how many of them came in a row."""
    disabled: dict[Scope, Disabled] = field(default_factory=dict)
    """Folded."""
    flying: dict[Window, list[datetime]] = field(default_factory=dict)
    """The overlay's orders, by the windows they count in."""
    tripping: dict[Scope, int] = field(default_factory=dict)
    """Overlay: decisions on their way that disable somebody."""

    # What decisions ask.

    def full(self, gate: Gate, window: Window, count: int, now: datetime) -> bool:
        """Whether `count` orders of a window lie within the last `gate.per`: an order exactly that old does not."""
        above = self.flying.get(window)
        if above is not None:
            if len(above) >= count:
                return above[-count] > now - gate.per
            count -= len(above)
        times = self.same.get(window) if isinstance(window, Sameness) else self.rates.get(window)
        return times is not None and len(times) >= count and times[-count] > now - gate.per

    def sent_since(self, scope: Scope, now: datetime, per_s: float) -> int:
        """How many of the newest orders of a scope lie within the last `per_s` seconds; for people."""
        before = now - timedelta(seconds=per_s)
        times = [*self.rates.get(scope, ()), *self.flying.get(scope, ())]
        return sum(at > before for at in times)

    def disabling(self, bot: str, strategy: str | None) -> Scope | None:
        """Who of an order's bot and strategy is disabled, or about to be."""
        for scope in ((BOT, bot), (STRATEGY, strategy or "")):
            if scope in self.disabled or scope in self.tripping:
                return scope
        return None

    # What the overlay does.

    def fly(self, windows: Sequence[Window], at: datetime) -> None:
        """An order allowed at this time is on its way."""
        flying = self.flying
        for window in windows:
            times = flying.get(window)
            if times is None:
                flying[window] = [at]
            else:
                times.append(at)

    def land(self, windows: Sequence[Window], at: datetime) -> None:
        """It is folded, or never will be."""
        flying = self.flying
        for window in windows:
            times = flying[window]
            if len(times) > 1:
                times.remove(at)
            else:
                del flying[window]

    def trip(self, who: Scope, change: int) -> None:
        """A decision that disables somebody is on its way (1), or no longer (−1)."""
        left = self.tripping.get(who, 0) + change
        if left:
            self.tripping[who] = left
        else:
            del self.tripping[who]

    # What the fold does.

    def note(self, order: LiveOrder, terms: Terms) -> None:
        """An ALLOW is folded: it counts from its own time on, and never before the one folded before it."""
        for window in windows_of(order, terms):
            if isinstance(window, Sameness):
                self._note_same(window, order.since, terms)
            else:
                _push(self.rates, window, order.since, _count(terms.rates, window))

    def cancelled(self, terms: Terms, at: datetime) -> None:
        """TH-1: a cancel is a message too. It is counted, and never blocked."""
        for gate in terms.rates:
            _push(self.rates, gate.scope, at, gate.count)

    def answered(self, order: LiveOrder, terms: Terms, rejected: str | None, at: datetime) -> None:
        """The venue has answered an order: `rejected` with a detail, or taken it (None). The third reject in a row with one
        detail disables (TH-2).
        """
        if not terms.repeats or rejected == NEVER_SENT:
            return
        kind = sameness(order, order.bot, terms)
        before, count = self.rejects.pop(kind, ("", 0))
        if rejected is None:
            return
        count = count + 1 if before == rejected else 1
        self.rejects[kind] = (rejected, count)
        while len(self.rejects) > REJECTS_MAX:
            del self.rejects[next(iter(self.rejects))]
        if count >= REJECTS_IN_A_ROW:
            self.disable(kind.who, order.bot, Disabled(at, f"{count} rejects in a row: {rejected}"[:200], order.order_id))

    def disable(self, who: Scope, bot: str, why: Disabled) -> None:
        """Nobody of this scope opens any more. Where there are too many of them already, the whole bot is disabled."""
        if who not in self.disabled and len(self.disabled) >= DISABLED_MAX:
            who = (BOT, bot)
        self.disabled.setdefault(who, why)

    def enable(self, who: Scope) -> None:
        """A person has enabled somebody: what was counted against them is forgotten."""
        self.disabled.pop(who, None)
        for kind in [kind for kind in self.same if kind.who == who]:
            del self.same[kind]
        for kind in [kind for kind in self.rejects if kind.who == who]:
            del self.rejects[kind]

    def keep(self, scopes: Collection[Scope], repeats: bool) -> None:
        """Other limits are in force: forget what none of them counts any more. Who is disabled stays so."""
        self.rates = {scope: times for scope, times in self.rates.items() if scope in scopes}
        if not repeats:
            self.same.clear()
            self.rejects.clear()

    def _note_same(self, kind: Sameness, at: datetime, terms: Terms) -> None:
        """The newest stands last; what is too old to count is forgotten from the front."""
        times = self.same.pop(kind, None)
        if times is not None:
            self.same[kind] = times
        _push(self.same, kind, at, max(gate.count for gate in terms.repeats))
        before = at - terms.remembered
        while len(self.same) > SAME_MAX or self._oldest() <= before:
            del self.same[next(iter(self.same))]

    def _oldest(self) -> datetime:
        return next(iter(self.same.values()))[-1]


def who_sends(bot: str, strategy: str | None) -> Scope:
    """Whom TH-2 disables: the strategy; the bot where an order names none."""
    return (STRATEGY, strategy) if strategy else (BOT, bot)


_divide = MONEY.divide_int
_new: Any = tuple.__new__
"""A named tuple's own way takes three times as long, and every order makes one."""


class Sent(Protocol):
    """What is read of an order, asked about or allowed."""

    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def qty(self) -> Decimal: ...
    @property
    def strategy(self) -> str | None: ...


def sameness(order: Sent, bot: str, terms: Terms) -> Sameness:
    """What an order of a bot has in common with the ones before it, whoever has sent them."""
    symbol, strategy = terms.symbol, order.strategy
    lots = str(tidy(order.qty) if symbol is None else _divide(order.qty, symbol.lot))
    who = (STRATEGY, strategy) if strategy else (BOT, bot)
    kind: Sameness = _new(Sameness, ("", who, order.symbol, order.side, lots))
    return kind


def samenesses(order: Sent, bot: str, terms: Terms) -> list[Sameness]:
    """Everything TH-2 counts an order of a bot as: among all orders, then among the bot's own, as its terms ask."""
    kind = sameness(order, bot, terms)
    return [kind] if terms.sent_by is EVERYBODY else [kind._replace(sent_by=sender) for sender in terms.sent_by]


def windows_of(order: LiveOrder, terms: Terms) -> list[Window]:
    """The windows an allowed order counts in: every rate, and for an opening that is no modify every repeat."""
    windows: list[Window] = [*terms.rated]
    if terms.repeats and order.opening > 0 and order.replaces is None:
        windows += samenesses(order, order.bot, terms)
    return windows


def _push(windows: dict[Any, deque[datetime]], window: Window, at: datetime, count: int) -> None:
    """One more order of a window, which remembers as many as its limit counts."""
    times = windows.get(window)
    if times is None or times.maxlen != count:
        times = windows[window] = deque(times or (), maxlen=count)
    times.append(max(at, times[-1]) if times else at)


def _count(gates: Iterable[Gate], scope: Scope) -> int:
    return next(gate.count for gate in gates if gate.scope == scope)
