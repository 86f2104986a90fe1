"""The overlay: facts that are decided and not yet folded, found by their id and by the order they speak of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleet_contracts import Fact, OrderDecision
from risk_gateway.core.decision import NewDecision
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.state import OrderKey
from risk_gateway.core.terms import Scope
from risk_gateway.core.throttles import Window


@dataclass(slots=True)
class Pending:
    """One fact on its way, and the order an ALLOW among them already holds."""

    fact: Fact
    key: OrderKey | None = None
    order: LiveOrder | None = None
    windows: Sequence[Window] = ()
    """Where the order counts over time."""
    disables: Scope | None = None
    """Whom a decision among them disables (TH-2)."""

    @property
    def content(self) -> str | None:
        """The content hash of a decision."""
        told = self.fact.told
        if isinstance(told, NewDecision):
            return told.asked.content
        return self.fact.event.content_hash if isinstance(self.fact.event, OrderDecision) else None


class Overlay:
    """Every question is answered without walking over all of them: under load there are hundreds."""

    def __init__(self) -> None:
        self.orders = 0
        """How many of them hold an order."""
        self.states = 0
        """How many are a RISK_STATE."""
        self._by_id: dict[str, Pending] = {}
        self._by_order: dict[OrderKey, list[Pending]] = {}

    def __contains__(self, fact_id: str) -> bool:
        return fact_id in self._by_id

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._by_id.values())

    def add(self, pending: Pending) -> None:
        """A fact is on its way."""
        self._by_id[pending.fact.key] = pending
        self.orders += pending.order is not None
        self.states += pending.fact.event_type == "RISK_STATE"
        if pending.key is not None:
            self._by_order.setdefault(pending.key, []).append(pending)

    def take(self, fact_id: str) -> Pending | None:
        """It has arrived, or never will; None when it was not here."""
        pending = self._by_id.pop(fact_id, None)
        if pending is None:
            return None
        self.orders -= pending.order is not None
        self.states -= pending.fact.event_type == "RISK_STATE"
        if pending.key is not None:
            others = self._by_order[pending.key]
            others.remove(pending)
            if not others:
                del self._by_order[pending.key]
        return pending

    def of(self, key: OrderKey) -> Sequence[Pending]:
        """The decisions on their way about one order."""
        return self._by_order.get(key, ())
