"""The bot's own records of its orders: what each was for, and everything the venue said of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from fleet_contracts import Side
from quantumedge_sim.venue_order import TERMINAL, Report

REPORTED_MAX = 500


class Purpose(StrEnum):
    """What an order is for."""

    ENTRY = "entry"
    STOP = "stop"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order at the venue. `since`: the candle it was sent in; `lives`: candles until it is taken back, 0: for ever."""

    order_id: str
    purpose: Purpose
    strategy: str
    regime: str
    symbol: str
    side: Side
    since: int
    lives: int = 0
    reason: str = ""
    """Of an exit: why."""


class OwnOrders:
    """Working orders by id, and the reports of the newest few hundred. Single owner."""

    def __init__(self) -> None:
        self.working: dict[str, OwnOrder] = {}
        self._known: dict[str, OwnOrder] = {}
        self._reports: dict[str, list[Report]] = {}

    def add(self, order: OwnOrder) -> None:
        """It is going to the venue."""
        self.working[order.order_id] = order
        self._known[order.order_id] = order
        while len(self._known) > REPORTED_MAX:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._reports.pop(oldest, None)

    def report(self, report: Report) -> OwnOrder | None:
        """The venue says something of one; gives the order, if it is known."""
        order = self._known.get(report.order_id)
        if order is not None:
            self._reports.setdefault(report.order_id, []).append(report)
        if report.status in TERMINAL:
            self.working.pop(report.order_id, None)
        return order

    def reports(self, order_id: str) -> list[Report]:
        """Everything the venue said of an order; empty when it is not known (any more)."""
        return list(self._reports.get(order_id, ()))

    def of(self, purpose: Purpose) -> list[OwnOrder]:
        """Working orders of one purpose, oldest first."""
        return [order for order in self.working.values() if order.purpose is purpose]

    def dump(self) -> list[dict[str, Any]]:
        """The working orders as plain JSON values."""
        return [asdict(order) for order in self.working.values()]

    def load(self, rows: list[Mapping[str, Any]]) -> None:
        """Be what was dumped. Raises KeyError, TypeError or ValueError when it is none."""
        for row in rows:
            self.add(OwnOrder(**{**row, "purpose": Purpose(row["purpose"]), "side": Side(row["side"])}))
