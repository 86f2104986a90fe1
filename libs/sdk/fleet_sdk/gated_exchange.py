"""The only holder of the exchange: nothing is sent that was not asked about, no more than allowed, and not late."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fleet_contracts import OrderRequest
from fleet_sdk.core.verdict import Verdict

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class NotSent(Exception):
    """An exchange raises this when it is certain that the order did not leave. Anything else may have been sent."""


class Gate(Protocol):
    """Who is asked: a `Bot`."""

    async def evaluate(self, order: OrderRequest | Mapping[str, Any]) -> Verdict: ...

    async def never_sent(self, order: OrderRequest | Mapping[str, Any]) -> None: ...


class SyncGate(Protocol):
    """Who is asked: a `SyncBot`."""

    def evaluate(self, order: OrderRequest | Mapping[str, Any]) -> Verdict: ...

    def never_sent(self, order: OrderRequest | Mapping[str, Any]) -> None: ...


class Exchange(Protocol[R_co]):
    """What is gated. `order.qty` is what may be sent; the call should end soon, and not send after it has ended."""

    async def send(self, order: OrderRequest) -> R_co: ...

    async def cancel(self, order_id: str) -> Any: ...


class SyncExchange(Protocol[R_co]):
    """The same for threads."""

    def send(self, order: OrderRequest) -> R_co: ...

    def cancel(self, order_id: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Submission(Generic[R]):
    """What became of an order: the verdict, and the exchange's answer when it was sent."""

    verdict: Verdict
    sent: bool
    answer: R | None = None


def sendable(order: OrderRequest | Mapping[str, Any], verdict: Verdict) -> OrderRequest:
    """The order as far as it is allowed."""
    made = order if isinstance(order, OrderRequest) else OrderRequest.model_validate(order)
    return made.model_copy(update={"qty": min(made.qty, verdict.allowed_qty)})


class GatedExchange(Generic[R]):
    """Asks the gate, then sends at most what was allowed, in time; else the order is reported NEVER_SENT.

    Cancels pass: they only ever reduce. There is no way to the exchange but these two.
    """

    def __init__(self, exchange: Exchange[R], gate: Gate) -> None:
        self.__exchange = exchange
        self._gate = gate

    async def submit(self, order: OrderRequest | Mapping[str, Any]) -> Submission[R]:
        """Raises what `exchange.send` raises: such an order may have been sent, so it keeps its hold until reported."""
        verdict = await self._gate.evaluate(order)
        if not verdict.still_valid():
            return Submission(verdict, sent=False)
        try:
            return Submission(verdict, True, await self.__exchange.send(sendable(order, verdict)))
        except NotSent:
            await self._gate.never_sent(order)
            return Submission(verdict, sent=False)

    async def cancel(self, order_id: str) -> Any:
        """Cancel at the exchange; its answer."""
        return await self.__exchange.cancel(order_id)


class SyncGatedExchange(Generic[R]):
    """`GatedExchange` for threads."""

    def __init__(self, exchange: SyncExchange[R], gate: SyncGate) -> None:
        self.__exchange = exchange
        self._gate = gate

    def submit(self, order: OrderRequest | Mapping[str, Any]) -> Submission[R]:
        """Raises what `exchange.send` raises: such an order may have been sent, so it keeps its hold until reported."""
        verdict = self._gate.evaluate(order)
        if not verdict.still_valid():
            return Submission(verdict, sent=False)
        try:
            return Submission(verdict, True, self.__exchange.send(sendable(order, verdict)))
        except NotSent:
            self._gate.never_sent(order)
            return Submission(verdict, sent=False)

    def cancel(self, order_id: str) -> Any:
        """Cancel at the exchange; its answer."""
        return self.__exchange.cancel(order_id)
