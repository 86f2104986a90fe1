"""Commands of the fleet, carried out by the loop between two candles, each answered DONE or FAILED."""

from collections import deque
from collections.abc import Awaitable, Callable

from fleet_contracts import AckState, BotCommand, Command, Mode, OrderStatus
from quantumedge_sim.profiles import PROFILES
from quantumedge_sim.trader import Trader

WAITING_MAX = 256
_CLOSE = "CLOSE_POSITIONS"
_OF_A_SYMBOL = frozenset({Command.CANCEL_ORDERS, Command.CLOSE_POSITIONS})
"""Commands that may name a symbol in their params."""
Answer = tuple[AckState, str]


class Obedience:
    """Takes commands when the SDK hands them over; `carry_out` does them. Single owner: the loop."""

    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._waiting: deque[BotCommand] = deque()
        self._closing: list[BotCommand] = []
        self._ways: dict[Command, Callable[[BotCommand], Awaitable[Answer]]] = {
            Command.CANCEL_ORDERS: self._cancel_orders,
            Command.PAUSE: self._pause,
            Command.RESUME: self._resume,
            Command.SET_MODE: self._set_mode,
            Command.SET_PROFILE: self._set_profile,
            Command.REPORT_ORDER: self._report_order,
            Command.STOP: self._stop,
        }

    async def take(self, command: BotCommand) -> AckState:
        """The SDK's handler: what is taken goes on, and is answered later."""
        if len(self._waiting) >= WAITING_MAX:
            return AckState.FAILED
        self._waiting.append(command)
        return AckState.ACCEPTED

    async def carry_out(self) -> None:
        """Do what waits; then see whether what takes longer is done."""
        while self._waiting:
            command = self._waiting.popleft()
            self._trader.desk.tally.commands[str(command.command)] += 1
            symbol = command.params.get("symbol")
            if command.command in _OF_A_SYMBOL and symbol not in (None, self._trader.desk.exchange.instrument.symbol):
                await self._trader.desk.face.ack(command.command_id, AckState.DONE, f"nothing of {symbol} is here")
                continue
            if command.command is Command.CLOSE_POSITIONS:
                self._closing.append(command)
                self._trader.told.closing = _CLOSE
                await self._trader.cancel_all(_CLOSE)
                continue
            state, detail = await self._ways[Command(command.command)](command)
            await self._trader.desk.face.ack(command.command_id, state, detail)
        await self._finish_closing()

    async def _finish_closing(self) -> None:
        """Flat, and nothing on the book that could open anything."""
        if not self._closing or self._trader.standing().position or self._trader.desk.orders.working:
            return
        self._trader.told.closing = None
        while self._closing:
            await self._trader.desk.face.ack(self._closing.pop(0).command_id, AckState.DONE, "flat")

    async def _cancel_orders(self, command: BotCommand) -> Answer:
        count = await self._trader.cancel_all("CANCEL_ORDERS")
        return AckState.DONE, f"{count} orders cancelled"

    async def _pause(self, command: BotCommand) -> Answer:
        self._trader.told.paused = True
        return AckState.DONE, "no entries until RESUME"

    async def _resume(self, command: BotCommand) -> Answer:
        self._trader.told.paused = False
        return AckState.DONE, "entries again"

    async def _stop(self, command: BotCommand) -> Answer:
        self._trader.told.stopped = True
        return AckState.DONE, "stopping"

    async def _set_mode(self, command: BotCommand) -> Answer:
        wanted = command.params.get("mode")
        if wanted not in (Mode.OFF, Mode.PAPER, Mode.DEMO):
            return AckState.FAILED, f"the simulator runs in off, paper or demo, not in {wanted!r}"
        self._trader.told.mode = Mode(str(wanted))
        self._trader.desk.face.progress(mode=self._trader.told.mode)
        return AckState.DONE, f"mode {wanted}"

    async def _set_profile(self, command: BotCommand) -> Answer:
        wanted = str(command.params.get("profile"))
        if wanted not in PROFILES:
            return AckState.FAILED, f"no profile {wanted!r}; there are {', '.join(PROFILES)}"
        self._trader.strategy.profile = PROFILES[wanted]
        self._trader.desk.face.progress(profile=wanted)
        return AckState.DONE, f"profile {wanted}"

    async def _report_order(self, command: BotCommand) -> Answer:
        """Everything the venue said of it, again; or that it never came there."""
        desk, order_id = self._trader.desk, str(command.params.get("order_id"))
        reports = desk.orders.reports(order_id)
        for report in reports:
            await desk.face.order_event(**desk.event_of(report))
        if reports:
            return AckState.DONE, f"{len(reports)} reports"
        order = desk.exchange.order(order_id)
        if order is None:
            never = {"order_id": order_id, "status": OrderStatus.REJECTED, "filled_qty": 0, "detail": "NEVER_SENT"}
            await desk.face.order_event(**never)
            return AckState.DONE, "never sent"
        await desk.face.order_event(
            order_id=order_id,
            status=order.status,
            symbol=order.symbol,
            side=order.side,
            filled_qty=order.filled,
            leaves_qty=order.leaves,
        )
        return AckState.DONE, str(order.status)
