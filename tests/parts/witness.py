"""Watches a history from outside and holds it to the invariants of DESIGN §10. It shares no code with the core."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fleet_chassis.fold import Fold, leader_of
from fleet_chassis.log import Message
from fleet_chassis.memory_log import MemoryLog
from fleet_contracts import Event, Leader, OrderDecision, OrderEvent, OrderRequest, Provenance, RiskState, parse
from risk_gateway.core.account import Account
from risk_gateway.core.rules import Setup

ZERO = Decimal(0)
TTL_S = 2.0
_GONE = {"opening": ZERO, "leaves": ZERO}


class Broken(AssertionError):
    """An invariant does not hold."""


class Witness:
    """The naive model: every order as a row, every sum made anew, every rule in the simplest words."""

    def __init__(self, server: MemoryLog, setup: Setup) -> None:
        self._server, self._setup = server, setup
        self._decisions: dict[tuple[str, str], OrderDecision] = {}
        self._ids: dict[str, OrderDecision] = {}
        self._live: dict[tuple[str, str], dict[str, Any]] = {}
        self._ended: dict[tuple[str, str], dict[str, Any]] = {}
        self._fills: set[tuple[str, str, str]] = set()
        self._position = ZERO
        self._halts: set[str] = set()
        self._latched: dict[str, set[str]] = {}
        self._leader = ""
        self._requests: dict[tuple[str, str], Any] = {}
        self._broken: list[str] = []

    def check(self) -> None:
        """Raise what broke first, if anything did. (It was seen inside an instance's task, which must not end of it.)"""
        if self._broken:
            raise Broken(self._broken[0])

    def _break(self, what: str) -> None:
        self._broken.append(what)

    # What is stored.

    def stored(self, message: Message) -> None:
        """Every stored message, in order."""
        parts = message.subject.split(".")
        fenced = parts[3] == "risk-gateway"
        leader = leader_of(message)
        if fenced and leader is None:
            return
        for line in parse(message.subject, message.body, Provenance("FLEET", message.seq, message.at)).lines:
            if fenced:
                self._one_writer(line.event, leader or "")
            self._fold(line.event, message)

    def _one_writer(self, event: Event, leader: str) -> None:
        if isinstance(event, Leader):
            self._leader = leader
        elif event.account == "main" and leader != self._leader:
            self._break(f"5: {leader} has written after {self._leader} took over")

    def _fold(self, event: Event, message: Message) -> None:
        if isinstance(event, OrderDecision):
            self._decision(event, message)
        elif isinstance(event, OrderEvent):
            self._order_event(event)
        elif isinstance(event, RiskState):
            lifted = self._halts - {halt.halt_id for halt in event.halts}
            self._halts = {halt.halt_id for halt in event.halts}
            for latched in self._latched.values():
                latched -= lifted
        elif isinstance(event, OrderRequest):
            moment = min(event.ts, message.at) if event.ts else message.at
            self._requests.setdefault((event.source, event.order_id), moment)

    def _decision(self, event: OrderDecision, message: Message) -> None:
        key = (event.bot, event.order_id)
        if event.reason != "IDEMPOTENCY_CONFLICT" and self._decisions.setdefault(key, event) is not event:
            self._break(f"3: {key} was decided twice")
        self._ids[str(event.event_id)] = event
        if event.reason == "POSITION_DRIFT":
            self._break(f"R11: {key} was denied for a race of fills and reports: here all fills are told")
        self._in_time(event, key)
        if event.decision == "ALLOW":
            self._allowed(event, key)

    def _in_time(self, event: OrderDecision, key: tuple[str, str]) -> None:
        asked = self._requests.get(key)
        if event.door == "event" and asked is not None and event.ts is not None:
            late = (event.ts - asked).total_seconds() > TTL_S
            if late and event.reason not in ("REQUEST_EXPIRED", "IDEMPOTENCY_CONFLICT"):
                self._break(f"a request older than its ttl was decided: {event.reason}")

    def _allowed(self, event: OrderDecision, key: tuple[str, str]) -> None:
        opening = event.opening_qty or ZERO
        if opening and self._halts:
            self._break(f"4: {key} was allowed after the halt {self._halts} was recorded")
        self._rounded_against(event)
        older = self._live.get((event.bot, event.replaces)) if event.replaces else None
        unknown = ZERO
        if event.replaced_filled is None:
            older = None  # it named another order, and was judged by itself
        else:
            before = older or self._ended[event.bot, str(event.replaces)]
            unknown = before["filled"] + before["inherited"] - event.replaced_filled
        self._live[key] = {
            "side": event.side,
            "leaves": max(ZERO, event.qty - max(ZERO, unknown)),
            "inherited": ZERO,
            "opening": opening,
            "unit": event.hold_price or ZERO,
            "filled": ZERO,
            "older": older if older is not None and older.get("newer") is None else None,
        }
        if self._live[key]["older"] is not None:
            older["newer"] = self._live[key]  # type: ignore[index]
        if opening:
            self._within_limits(f"at the ALLOW of {key}")

    def _rounded_against(self, event: OrderDecision) -> None:
        opening, held = event.opening_qty or ZERO, event.reserved_notional or ZERO
        fee = 1 + self._setup.risk.taker_fee_bps / 10000
        if event.hold_price is not None and held < opening * event.hold_price * fee:
            self._break(f"1: the hold {held} of {event.order_id} is rounded in its favour")

    def _order_event(self, event: OrderEvent) -> None:
        key = (event.source, event.order_id)
        row = self._live.get(key)
        if event.fill_id and event.last_qty and (*key, event.fill_id) not in self._fills:
            self._fills.add((*key, event.fill_id))
            decision = self._decisions.get(key)
            side = row["side"] if row else (decision.side if decision else event.side)
            self._position += event.last_qty if side == "BUY" else -event.last_qty
            if row is None and key in self._ended:
                self._ended[key]["filled"] += event.last_qty
            if row:
                self._spend(row, event.last_qty)
        if row is None:
            return
        if event.status in ("WORKING", "PARTIALLY_FILLED", "FILLED"):
            self._supersede(row["older"])
        if event.status in ("FILLED", "CANCELLED", "REJECTED", "EXPIRED"):
            row["leaves"] = min(row["leaves"], max(ZERO, (event.filled_qty or ZERO) - row["filled"]))
        if row["leaves"] <= 0:
            self._end(key, row)
        self._within_limits(f"after an event of {key}")

    def _spend(self, row: dict[str, Any], qty: Decimal) -> None:
        """At the venue an order and its modifies are one."""
        row["filled"] += qty
        row["leaves"] = max(ZERO, row["leaves"] - qty)
        while (row := row.get("newer")) is not None:  # type: ignore[assignment]
            row["leaves"] = max(ZERO, row["leaves"] - qty)
            row["inherited"] += qty

    def _supersede(self, row: dict[str, Any] | None) -> None:
        """A modify that the venue knows has replaced all that were before it."""
        while row is not None:
            row["superseded"] = True
            row = row["older"]

    def _end(self, key: tuple[str, str], row: dict[str, Any]) -> None:
        older, newer = row.get("older"), row.get("newer")
        if newer is not None:
            newer["older"] = older
        if older is not None:
            older["newer"] = newer
        self._ended[key] = self._live.pop(key)

    def _within_limits(self, when: str) -> None:
        """1: posted + held (+ what no hold covers any more) ≤ limit, with the one price of this world, fees aside."""
        held: dict[str, Decimal] = {"BUY": ZERO, "SELL": ZERO}
        leaves: dict[str, Decimal] = {"BUY": ZERO, "SELL": ZERO}
        price = ZERO
        for row in self._live.values():
            price = max(price, row["unit"])
            if row.get("newer") is None:
                chain, at = [], row
                while at is not None:
                    chain.append(at if not at.get("superseded") else _GONE)
                    at = at.get("older")
                held[row["side"]] += max(min(one["opening"], one["leaves"]) for one in chain)
                leaves[row["side"]] += max(one["leaves"] for one in chain)
        total = abs(self._position) + sum(held.values())
        total += max(ZERO, leaves["BUY"] - max(ZERO, -self._position) - held["BUY"])
        total += max(ZERO, leaves["SELL"] - max(ZERO, self._position) - held["SELL"])
        if total * price > self._setup.risk.limits.max_notional_per_symbol:
            self._break(f"1: {total * price} is over the limit {when}")

    # What is answered.

    def latched(self, instance: str, halt_id: str) -> None:
        """A halt took effect on an instance."""
        self._latched.setdefault(instance, set()).add(halt_id)

    def answered(self, instance: str, answer: OrderDecision) -> None:
        """An answer reached a bot."""
        if answer.decision != "ALLOW":
            return
        self.acted(answer)
        if answer.opening_qty and self._latched.get(instance):
            self._break(f"4: {instance} answered ALLOW to {answer.order_id} after a halt had taken effect on it")
        if answer.opening_qty and self._halts and answer.duplicate:
            self._break(f"4: the ALLOW of {answer.order_id} was repeated while halted")

    def acted(self, answer: OrderDecision) -> None:
        """A bot relies on an ALLOW: its record must be there."""
        record = self._ids.get(str(answer.event_id))
        if record is None or record.decision != "ALLOW":
            self._break(f"2: {answer.order_id} is allowed without its record")

    # The end.

    def final(self, instances: Sequence[Any]) -> None:
        """7: every live state, and every fold from a snapshot, is the fold of the whole log, byte for byte."""
        truth = self._refold(Account("main", self._setup), 0)
        for instance in instances:
            if not instance.drive.pipeline.settled:
                self._break(f"7: {instance.name} still holds what is neither folded nor refused")
            if instance.drive.pipeline.fold.seq and instance.core.dump() != truth:
                self._break(f"7: the live state of {instance.name} is not the fold of the log")
            snapshot = instance.disk.snapshot
            if snapshot is not None:
                again = self._refold(Account.load("main", self._setup, snapshot.parts), snapshot.seq)
                if again != truth:
                    self._break(f"7: folding from the snapshot at {snapshot.seq} gives another state")

    def _refold(self, core: Account, seq: int) -> Any:
        fold = Fold(core, service="risk-gateway", account="main", seq=seq)
        for message in self._server.messages[seq:]:
            fold.apply(message)
        return core.dump()
