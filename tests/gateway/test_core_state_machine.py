"""The core beside a naive model: any history of orders, fills, cancels, halts, equity, repeats and modifies.

The model knows no sums, no overlay and no snapshots: it keeps every order as a row and adds everything up anew.

One file, though long: a state machine and its naive model are one thing.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet_contracts import (
    Decision,
    Entry,
    Equity,
    Event,
    Fact,
    Halt,
    OrderDecision,
    OrderEvent,
    OrderRequest,
    OrderStatus,
    Provenance,
    encode,
    parse,
    split_subject,
)
from fleet_contracts.subjects import event_subject
from parts.trading import order, setup
from risk_gateway.core.account import Account, Asked, InFlight, NewDecision, Repeat
from risk_gateway.core.exposure import recompute

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
PRICE = Decimal(40000)
LIMIT = Decimal(10000)
ORDERS_MAX = 6
SETUP = setup(max_order_notional=9000, max_open_orders=ORDERS_MAX, max_daily_loss={"amount": 500, "pct": 5})
FEE = 1 + SETUP.risk.taker_fee_bps / 10000
ZERO = Decimal(0)
LEADER = "gw-1.1"
QUANTITIES = st.sampled_from(["0.01", "0.05", "0.1", "0.15", "0.2"])
SIDES = st.sampled_from(["BUY", "SELL"])


@dataclass
class Row:
    """What the model knows of an allowed order."""

    request: OrderRequest
    decision: OrderDecision
    leaves: Decimal
    opening: Decimal
    filled: Decimal = ZERO
    ended: bool = False
    fills: list[OrderEvent] = field(default_factory=list)


class GatewayCore(RuleBasedStateMachine):
    """Drives one account as a leader's pipeline would, without any I/O."""

    def __init__(self) -> None:
        super().__init__()
        self.core = Account("main", SETUP)
        self.now = START
        self.seq = 0
        self.rows: dict[str, Row] = {}
        self.answers: dict[str, OrderDecision] = {}
        self.requests: dict[str, OrderRequest] = {}
        self.flying: list[Fact] = []
        self.position = ZERO
        self.equity = Decimal(10000)
        self.halted = False
        self.number = 0

    # The world around the core.

    @initialize()
    def begin(self) -> None:
        self._settle()
        self._equity("10000")

    def _store(self, event: Event, leader: str | None = None) -> None:
        """One line into the log and the fold, through its bytes."""
        self.seq += 1
        subject = event_subject(event.account, event.event_type, event.source)
        for line in parse(subject, encode(event), Provenance("FLEET", self.seq, self.now)).lines:
            self.core.evolve(Entry(split_subject(subject), line.event, line.raw, self.seq, line.index, self.now, leader))

    def _settle(self) -> None:
        """Everything owed is stored, as a leader does."""
        for _ in range(20):
            owed = self.core.owed(self.core.now(self.now))
            if not owed:
                return
            for fact in owed:
                self.core.hold(fact)
                self._store(fact.event, LEADER)
                self.core.drop(fact)
        raise AssertionError("the core never stops owing")

    def _land(self, fact: Fact) -> None:
        self._store(fact.event, LEADER)
        self.core.drop(fact)
        event = fact.event
        assert isinstance(event, OrderDecision)
        if event.decision is Decision.ALLOW:
            request = self.requests[event.order_id]
            self.rows[event.order_id] = Row(request, event, request.qty, event.opening_qty or ZERO)

    def _equity(self, amount: str) -> None:
        self.equity = Decimal(amount)
        self._store(Equity(event_type="EQUITY", account="main", source="qe1", ts=self.now, equity=self.equity))
        self._settle()
        self.halted = self.halted or bool(self.core.state.halts)

    def _live(self) -> list[Row]:
        return [row for row in self.rows.values() if not row.ended]

    # What can happen.

    @rule(side=SIDES, qty=QUANTITIES, reduce_only=st.booleans(), at_once=st.booleans())
    def ask(self, side: str, qty: str, reduce_only: bool, at_once: bool) -> None:
        self.number += 1
        request = order(f"o{self.number}", side, qty, str(PRICE), reduce_only=reduce_only)
        room = self._room(side)
        opening = max(ZERO, request.qty - room)
        judged = self.core.judge(Asked(request, "qe1", "http", self.now))
        assert isinstance(judged, NewDecision)
        decision = judged.fact.event
        assert isinstance(decision, OrderDecision)
        self._judged_as_the_model_would(request, decision, opening)
        self.core.hold(judged.fact)
        if at_once and not self.flying:
            self.requests[request.order_id] = request
            self._land(judged.fact)
        else:
            self.flying.append(judged.fact)
        self.answers[request.order_id] = decision
        self.requests[request.order_id] = request

    def _judged_as_the_model_would(self, request: OrderRequest, decision: OrderDecision, opening: Decimal) -> None:
        assert decision.opening_qty == opening
        if opening == 0:
            assert decision.decision is Decision.ALLOW, "a reduction was denied"
            return
        expected = self._refusal(request, opening)
        assert decision.reason == (expected or "OK"), (decision.reason, expected)

    def _refusal(self, request: OrderRequest, opening: Decimal) -> str | None:
        """The rules in the simplest words, in their order."""
        loss = Decimal(10000) - self.equity
        if self.halted:
            return self._halt_reason()
        if loss * 100 > 8 * Decimal(10000):
            return "REDUCE_ONLY_MODE"
        if request.reduce_only:
            return "REDUCE_ONLY_WOULD_FLIP"
        if (self.now - self.core.state.equity.observed_at).total_seconds() > 30:  # type: ignore[operator]
            return "STALE_EQUITY"
        new = opening * PRICE * FEE
        if request.qty * PRICE > 9000:
            return "ORDER_NOTIONAL_TOO_LARGE"
        if self._exposure() + new > LIMIT:
            return "SYMBOL_NOTIONAL_TOO_LARGE"
        if len(self._live()) + sum(f.event.decision == "ALLOW" for f in self.flying) + 1 > ORDERS_MAX:  # type: ignore[attr-defined]
            return "TOO_MANY_OPEN_ORDERS"
        return None

    def _halt_reason(self) -> str:
        oldest = self.core.halts[0].cause
        return oldest if oldest in ("DAILY_LOSS", "MAX_DRAWDOWN", "KILL_SWITCH") else "HALTED"

    @precondition(lambda self: self.flying)
    @rule()
    def stored(self) -> None:
        """The oldest append lands."""
        self._land(self.flying.pop(0))

    @precondition(lambda self: self.flying)
    @rule()
    def refused(self) -> None:
        """The newest append is certainly not stored: its hold goes, and the order may be asked again."""
        fact = self.flying.pop()
        self.core.drop(fact)
        event = fact.event
        assert isinstance(event, OrderDecision)
        del self.answers[event.order_id]

    @precondition(lambda self: self._live())
    @rule(data=st.data(), part=st.sampled_from(["0.01", "0.05", "all"]), told=st.integers(1, 2))
    def fill(self, data: st.DataObject, part: str, told: int) -> None:
        row = data.draw(st.sampled_from(self._live()))
        qty = row.leaves if part == "all" else min(row.leaves, Decimal(part))
        row.filled += qty
        row.leaves -= qty
        event = OrderEvent(
            event_type="ORDER_EVENT",
            account="main",
            source="qe1",
            order_id=row.request.order_id,
            status=OrderStatus.FILLED if row.leaves == 0 else OrderStatus.PARTIALLY_FILLED,
            last_qty=qty,
            last_price=PRICE,
            filled_qty=row.filled,
            fill_id=f"f{len(row.fills)}",
        )
        row.fills.append(event)
        row.ended = row.leaves == 0
        self.position += qty if row.request.side == "BUY" else -qty
        for _ in range(told):
            self._store(event)

    @precondition(lambda self: any(row.fills for row in self.rows.values()))
    @rule(data=st.data())
    def old_fill_again(self, data: st.DataObject) -> None:
        """Late repeats change nothing, closed orders included."""
        row = data.draw(st.sampled_from([row for row in self.rows.values() if row.fills]))
        self._store(data.draw(st.sampled_from(row.fills)))

    @precondition(lambda self: self._live())
    @rule(data=st.data(), status=st.sampled_from(["CANCELLED", "REJECTED", "EXPIRED"]))
    def end(self, data: st.DataObject, status: str) -> None:
        row = data.draw(st.sampled_from(self._live()))
        row.ended = True
        self._store(
            OrderEvent(
                event_type="ORDER_EVENT",
                account="main",
                source="qe1",
                order_id=row.request.order_id,
                status=OrderStatus(status),
                filled_qty=row.filled,
            )
        )

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def working(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self._live()))
        self._store(
            OrderEvent(
                event_type="ORDER_EVENT",
                account="main",
                source="qe1",
                order_id=row.request.order_id,
                status=OrderStatus.WORKING,
            )
        )

    @rule(seconds=st.sampled_from([1, 7, 20]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(amount=st.sampled_from(["10000", "9800", "9600", "9499.99"]))
    def venue_reports(self, amount: str) -> None:
        self._equity(amount)

    @precondition(lambda self: not self.halted)
    @rule()
    def halt(self) -> None:
        self.core.latch(Halt(halt_id=f"h{self.seq}", cause="KILL_SWITCH", since=self.now, by="op"))
        self.halted = True
        self._settle()

    @precondition(lambda self: self.halted)
    @rule()
    def resume(self) -> None:
        self._settle()
        ids = {halt.halt_id for halt in self.core.halts}
        self._store(self.core.resume_fact(ids, f"resume-{self.seq}", self.now).event, LEADER)
        for halt_id in list(self.core.latches):
            self.core.unlatch(halt_id)
        self.halted = False
        self._equity("10000")

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """Invariant 3: the same order is never decided anew; 4: an ALLOW is not repeated against a halt."""
        order_id = data.draw(st.sampled_from(sorted(self.answers)))
        judged = self.core.judge(Asked(self.requests[order_id], "qe1", "http", self.now))
        if any(fact.event.order_id == order_id for fact in self.flying):  # type: ignore[attr-defined]
            assert isinstance(judged, InFlight)
            return
        assert isinstance(judged, Repeat)
        row = self.rows.get(order_id)
        if row is None or row.ended:
            return
        expired = row.decision.valid_until is not None and self.now > row.decision.valid_until
        if expired:
            assert judged.reason == "DECISION_EXPIRED"
        elif row.opening and self.halted:
            assert judged.reason == self._halt_reason()

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def same_id_other_order(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.answers)))
        other = self.requests[order_id].model_copy(update={"qty": Decimal("0.033")})
        judged = self.core.judge(Asked(other, "qe1", "http", self.now))
        assert isinstance(judged, NewDecision)
        assert judged.fact.event.reason == "IDEMPOTENCY_CONFLICT"  # type: ignore[attr-defined]

    @precondition(lambda self: not self.flying)
    @rule()
    def restart(self) -> None:
        """A snapshot and back: nothing changes."""
        before = self.core.dump()
        loaded = Account.load("main", SETUP, before)
        loaded.latches = self.core.latches
        assert loaded.dump() == before
        self.core = loaded

    # What must always hold.

    def _room(self, side: str) -> Decimal:
        reducible = max(ZERO, -self.position if side == "BUY" else self.position)
        on_their_way = sum((row.leaves for row in self._live() if row.request.side == side), ZERO)
        for fact in self.flying:
            event = fact.event
            assert isinstance(event, OrderDecision)
            if event.decision is Decision.ALLOW and event.side == side:
                on_their_way += event.qty
        return max(ZERO, reducible - on_their_way)

    def _exposure(self) -> Decimal:
        """|p| + held + what no hold covers, at the one price of this world; the fee on what is held only."""
        held = {"BUY": ZERO, "SELL": ZERO}
        leaves = {"BUY": ZERO, "SELL": ZERO}
        claims = [(row.request.side, row.leaves, min(row.opening, row.leaves)) for row in self._live()]
        for fact in self.flying:
            event = fact.event
            assert isinstance(event, OrderDecision)
            if event.decision is Decision.ALLOW:
                claims.append((event.side, event.qty, event.opening_qty or ZERO))
        for side, left, claimed in claims:
            held[side] += claimed
            leaves[side] += left
        uncovered = max(ZERO, leaves["BUY"] - max(ZERO, -self.position) - held["BUY"])
        uncovered += max(ZERO, leaves["SELL"] - max(ZERO, self.position) - held["SELL"])
        if not any(row.fills for row in self.rows.values()):
            return sum(held.values()) * PRICE * FEE
        return (abs(self.position) + uncovered) * PRICE + sum(held.values()) * PRICE * FEE

    @invariant()
    def kept_sums_are_recomputed_sums(self) -> None:
        state = self.core.state
        orders = [*state.orders.values(), *(entry.order for entry in self.core._overlay if entry.order)]
        fresh = recompute(state.exposure, orders)
        assert fresh.gross == state.exposure.gross
        for symbol, book in state.exposure.books.items():
            assert fresh.books[symbol] == book

    @invariant()
    def the_core_sees_what_the_model_sees(self) -> None:
        book = self.core.state.exposure.book("BTC-PERP")
        assert book.position == self.position
        assert book.exposure == self._exposure()

    @invariant()
    def no_limit_is_passed(self) -> None:
        """Invariant 1, with the one price of this world."""
        assert self.core.state.exposure.book("BTC-PERP").exposure <= LIMIT


GatewayCore.TestCase.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestGatewayCore = GatewayCore.TestCase
