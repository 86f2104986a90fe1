"""One account's core with a log of its own: store lines, hold facts, settle what is owed, and fold the same log anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fleet_contracts import AccountClock, Entry, Fact, Halt, Mark, OrderDecision, Provenance, encode, parse, split_subject
from fleet_contracts.risk_config import AccountRisk
from parts.trading import RISK, equity, order
from risk_gateway.core.account import Account, Asked, NewDecision
from risk_gateway.core.rules import Setup

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def log_of(clock: AccountClock = AccountClock.WALL, **risk: Any) -> "AccountLog":
    """An account with WIRE's risk.yaml, other sections where named; `limits` are added to the required ones."""
    limits = {**RISK["limits"], **risk.pop("limits", {})}
    return AccountLog(Setup(AccountRisk.model_validate({**RISK, "limits": limits, **risk}), clock, "qe1"))


class AccountLog:
    """`core` is live (fold and overlay); `anew()` is a fresh fold of the same log."""

    def __init__(self, setup: Setup, money: str | None = "10000") -> None:
        self.setup, self.now = setup, NOON
        self.core = Account("main", setup)
        self.entries: list[Entry] = []
        self._seq = 0
        self.settle()
        if money is not None:
            self.equity(money)

    def store(self, subject: str, *lines: bytes, leader: str | None = None) -> None:
        """One stored message, folded."""
        self._seq += 1
        parsed = parse(subject, b"\n".join(lines), Provenance("FLEET", self._seq, self.now))
        assert not parsed.bad, parsed.bad
        for line in parsed.lines:
            entry = Entry(split_subject(subject), line.event, line.raw, self._seq, line.index, self.now, leader)
            self.entries.append(entry)
            self.core.evolve(entry)

    def hold(self, *facts: Fact) -> tuple[Fact, ...]:
        """On their way."""
        for fact in facts:
            self.core.hold(fact)
        return facts

    def arrive(self, *facts: Fact) -> None:
        """Stored and folded; nothing of them is in the overlay any more."""
        for fact in facts:
            self.store(f"fleet.main.{fact.event.event_type.lower()}.risk-gateway", fact.line, leader="gw.1")
            self.core.drop(fact)

    def settle(self) -> None:
        """Store what the log demands of a leader, until it demands nothing."""
        for _ in range(20):
            facts = self.core.owed(self.core.now(self.now))
            if not facts:
                return
            self.arrive(*self.hold(*facts))
        raise AssertionError("the core owes for ever")

    def equity(self, amount: str, **more: object) -> None:
        """One EQUITY a second later, and what it calls for."""
        self.now += timedelta(seconds=1)
        self.store(*equity(amount, self.now, **more))
        self.settle()

    def judge(self, order_id: str, side: str = "BUY", qty: str = "0.01", price: str | None = "40000", **more: object) -> Fact:
        """A new decision, not stored."""
        mark, bot = more.pop("mark", None), str(more.get("source", "qe1"))
        assert mark is None or isinstance(mark, Mark)
        judged = self.core.judge(Asked(order(order_id, side, qty, price, **more), bot, "http", self.now, mark=mark))
        assert isinstance(judged, NewDecision), judged
        return judged.fact

    def said(self, order_id: str = "x", **more: object) -> OrderDecision:
        """The decision on an order, not stored."""
        event = self.judge(order_id, **more).event  # type: ignore[arg-type]
        assert isinstance(event, OrderDecision)
        return event

    def decide(self, order_id: str, side: str = "BUY", qty: str = "0.01", **more: object) -> OrderDecision:
        """A decision, stored and folded."""
        fact = self.judge(order_id, side, qty, **more)  # type: ignore[arg-type]
        self.arrive(*self.hold(fact))
        assert isinstance(fact.event, OrderDecision)
        return fact.event

    def halt(self, halt_id: str, cause: str = "KILL_SWITCH") -> None:
        """An operator's halt, in force and recorded."""
        self.core.latch(Halt(halt_id=halt_id, cause=cause, since=self.now, latched=True, by="operator"))
        self.settle()

    def anew(self) -> Account:
        """A fresh fold of everything stored. Every line must be readable by the contract."""
        fresh = Account("main", self.setup)
        for entry in self.entries:
            assert encode(entry.event)
            fresh.evolve(entry)
        return fresh
