"""The bot's side of the fleet, on asyncio: everything a bot needs, in one object."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from typing import Any, Self, TypeVar

from fleet_contracts import AckState, BotCommand, Event, Mode, OrderRequest, SignalContext, SignalReview, parse
from fleet_sdk.boot import same_boot
from fleet_sdk.bus import Bus
from fleet_sdk.commander import Commander, Handler
from fleet_sdk.core.asking import gateway_deadline_ms
from fleet_sdk.core.orders import OrderState
from fleet_sdk.core.state import BotState
from fleet_sdk.core.verdict import Verdict
from fleet_sdk.door import Door
from fleet_sdk.errors import BusAway, InvalidEvent, SdkError
from fleet_sdk.file_lock import FileLock
from fleet_sdk.gatekeeper import NEVER_SENT, Gatekeeper
from fleet_sdk.id_journal import IdJournal
from fleet_sdk.journal import Journal
from fleet_sdk.latch import Latches
from fleet_sdk.pulse import Pulse
from fleet_sdk.settings import BotSettings
from fleet_sdk.signals import Signals
from fleet_sdk.spool import Spool
from fleet_sdk.voice import Voice, line_of
from fleet_sdk.watch import Watch

_REMEMBERED_ORDERS = 10_000
_REMEMBERED_COMMANDS = 1_000
_LEAVE_S = 2.0
"""How long leaving the bot waits for what is still in the spool; what stays there goes out first next time."""
_log = logging.getLogger(__name__)
H = TypeVar("H", bound=Handler)


class Bot:
    """`async with Bot(settings) as bot:` — one bot on one account, for one event loop.

    What was recorded when a call returned is never lost: it is spooled, and sent in order when the bus is there. What a call
    raises (`InvalidEvent`, `SpoolError`) was not taken. Verdicts are answered by the deadline, whatever is away.
    """

    def __init__(self, settings: BotSettings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._handler: Handler | None = None
        self._open = False

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._wire(stack)
            self._start(stack)
            self._stack = stack.pop_all()
        self._open = True
        try:
            async with asyncio.timeout(self.settings.connect_wait_s):
                await self._bus.wait_connected()
                if not self.settings.stepped:
                    await self._watch.wait_known()
        except TimeoutError:
            _log.warning("%s is away; starting without it", "the gateway" if self._bus.connected else "the bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        try:
            self._gatekeeper.settle(float("inf"))
            if self._bus.connected:
                await self._journal.flush(_LEAVE_S)
        finally:
            await self._stack.aclose()

    # ── orders ──

    async def evaluate(self, order: OrderRequest | Mapping[str, Any], *, deadline_ms: int | None = None) -> Verdict:
        """Ask whether an order may be sent. Always answers by the deadline; raises `InvalidOrder` when it is no order."""
        started = time.monotonic()
        self._check()
        wait_ms = deadline_ms or self.settings.deadline_ms
        deadline = started + wait_ms / 1000
        request = self._voice.order(order)
        if self._journal.waiting and self._bus.connected:
            # Read your writes: what was reported before this question should be stored before it.
            await self._journal.flush(wait_ms / 2000)
        more: dict[str, Any] = {"deadline_ms": request.deadline_ms or gateway_deadline_ms(wait_ms)}
        if request.after_seq is None and self._journal.last_seq:
            more["after_seq"] = self._journal.last_seq
        return await self._gatekeeper.evaluate(request.model_copy(update=more), started, deadline)

    can_execute = evaluate

    async def never_sent(self, order: OrderRequest | Mapping[str, Any]) -> None:
        """Say that an allowed order was not sent and will not be. The SDK does so itself for what it gave up on."""
        self._check()
        await self._stored(self._gatekeeper.never_sent(self._voice.order(order)))

    # ── what happened ──

    def record(self, event_type: str, fields: Mapping[str, Any]) -> str:
        """Record any event of a bot's (but ORDER_REQUEST, HEARTBEAT, MARK), without waiting; returns its event_id."""
        return self._record(event_type, fields)[0]

    def event_line(self, event_type: str, fields: Mapping[str, Any]) -> tuple[Event, bytes]:
        """An event and its line, made and checked but not recorded."""
        self._check()
        event = self._made(event_type, fields)
        return event, line_of(event)

    async def order_event(self, **fields: Any) -> str:
        """What became of an order: `order_id status last_qty last_price filled_qty leaves_qty fee fill_id …`."""
        return await self._tell("ORDER_EVENT", fields)

    async def trade(self, **fields: Any) -> str:
        """A closed round trip: `symbol side price qty pnl …`."""
        return await self._tell("TRADE", fields)

    async def equity(self, **fields: Any) -> str:
        """The whole account as the venue shows it: `equity balance realized_pnl unrealized_pnl positions …`."""
        return await self._tell("EQUITY", fields)

    def mark(self, **fields: Any) -> None:
        """A symbol's prices now: `symbol bid ask mark last`. Sent now or not at all."""
        self._check()
        self._pulse.mark(fields)

    def progress(
        self,
        *,
        last_tick_at: datetime | None = None,
        last_decision_at: datetime | None = None,
        pnl: Decimal | str | float | None = None,
        open_positions: int | None = None,
        mode: Mode | None = None,
        profile: str | None = None,
    ) -> None:
        """What the next heartbeats say. `mode`: the one the bot runs in from now on (it also chooses the fail policy)."""
        self._check()
        self._pulse.progress(
            last_tick_at=last_tick_at,
            last_decision_at=last_decision_at,
            pnl=pnl,
            open_positions=open_positions,
            profile=profile,
        )
        if mode is not None:
            self._watch.mode = Mode(mode)

    # ── signals ──

    def build_signal_context(
        self, order: OrderRequest | Mapping[str, Any], features: Mapping[str, Any], pnl_state: Mapping[str, Any], **more: Any
    ) -> SignalContext:
        """What the bot saw before an order; `more`: `decision model_conf regime history …`."""
        self._check()
        return self._signals.context(self._voice.order(order), features, pnl_state, **more)

    async def review_signal(self, context: SignalContext) -> SignalReview:
        """A second opinion, or the neutral one when none comes in time."""
        self._check()
        return await self._signals.review(context)

    def apply_review(
        self, order: OrderRequest | Mapping[str, Any], review: SignalReview, *, lot: Decimal | None = None
    ) -> OrderRequest | None:
        """The order its review leaves, to be evaluated: the same, a smaller one, or None (skip it)."""
        self._check()
        return self._signals.apply(self._voice.order(order), review, lot)

    async def log_signal_context(self, context: SignalContext) -> str:
        """Record a context, with its review's stance when it had one."""
        self._check()
        event = self._signals.reviewed(context)
        await self._stored(self._voice.say(event))
        return str(event.event_id)

    # ── what the fleet says ──

    @property
    def state(self) -> BotState:
        """Mode, trading state, halts and constraints as the fleet last said; `stale` when that is too long ago."""
        return self._watch.state

    @property
    def mode(self) -> Mode:
        """The mode the bot runs in, as it says itself."""
        return self._watch.mode

    @property
    def halted(self) -> bool:
        """Nothing that adds risk may be sent, as far as is known here."""
        return self._watch.halted

    def on_command(self, handler: H) -> H:
        """Decorator: the function that carries out commands (PAUSE, CLOSE_POSITIONS, SET_MODE …), once each, in turn."""
        self._handler = handler
        if self._open:
            self._commander.handler = handler
        return handler

    async def ack(self, command_id: str, state: AckState, detail: str | None = None) -> None:
        """Finish a command whose handler answered ACCEPTED."""
        self._check()
        n = self._commander.ack(command_id, state, detail)
        if n is not None:
            await self._stored(n)

    # ── the spool ──

    @property
    def spooled(self) -> int:
        """Events recorded and not yet stored by the bus."""
        return self._journal.waiting

    async def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until the bus has everything; False when that takes longer."""
        self._check()
        return await self._journal.flush(timeout_s)

    async def step(self) -> None:
        """Virtual time: ask for the state once, carry out commands, and wait until all is stored. Raises `BusAway`."""
        self._check()
        self._watch.look()
        if not await self._watch.poll_until(self.settings.deadline_s):
            raise BusAway("nobody answers for this bot's state")
        await self._commander.carry_out_queued()
        if not await self._journal.flush(self.settings.deadline_s):
            raise BusAway(f"{self._journal.waiting} events are not stored in time")

    # ── inside ──

    async def _tell(self, event_type: str, fields: Mapping[str, Any]) -> str:
        event_id, n = self._record(event_type, fields)
        await self._stored(n)
        return event_id

    def _record(self, event_type: str, fields: Mapping[str, Any]) -> tuple[str, int]:
        self._check()
        event = self._made(event_type, fields)
        n = self._voice.say(event, reserved=event_type == "ORDER_EVENT")
        if event_type == "ORDER_EVENT" and fields.get("detail") != NEVER_SENT:
            self._gatekeeper.sent(str(fields["order_id"]))
        return str(event.event_id), n

    def _made(self, event_type: str, fields: Mapping[str, Any]) -> Event:
        if event_type not in _RECORDED:
            raise InvalidEvent(f"{event_type} is not recorded by a bot; these are: {', '.join(sorted(_RECORDED))}")
        if event_type == "SIGNAL_CONTEXT" and not fields.get("signal_id"):
            fields = {**fields, "signal_id": self._voice.ids.next()}
        return self._voice.event(event_type, fields)

    async def _stored(self, n: int) -> None:
        """In virtual time every event is awaited."""
        if self.settings.stepped and not await self._journal.arrived(n, self.settings.deadline_s):
            raise BusAway("an event is not stored in time; it stays in the spool")

    def _check(self) -> None:
        if self._broken is not None:
            raise SdkError("the SDK has stopped working in this process; restart the bot") from self._broken
        if not self._open:
            raise SdkError("use the bot inside `async with Bot(settings) as bot:`")

    def _on_loop(self, action: Callable[[], None]) -> None:
        if threading.get_ident() == self._thread:
            action()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def _wire(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        if settings.nkey_seed is not None and not os.access(settings.nkey_seed, os.R_OK):
            raise FileNotFoundError(f"no NATS seed of bot {settings.bot!r} at {settings.nkey_seed}; `supervisor up` makes it")
        folder = settings.spool_dir / settings.bot / settings.account
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stack.callback(FileLock(folder / "lock").release)
        spool = Spool(folder, settings.spool_bytes_max)
        stack.callback(spool.close)
        orders = IdJournal(folder / "orders.ids", _REMEMBERED_ORDERS)
        stack.callback(orders.close)
        if not same_boot(folder / "boot"):
            orders.forget(OrderState.ASKED)  # what followed it may have been lost with the power
        commands = IdJournal(folder / "commands.ids", _REMEMBERED_COMMANDS)
        stack.callback(commands.close)
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        now = time.monotonic
        self._bus = Bus(settings, self._subscriptions(), lambda: self._watch.poke())
        self._journal = Journal(spool, self._bus, settings.bot, settings.fsync_s)
        self._voice = Voice(settings, self._journal)
        latches = Latches(settings.latch_dir, settings.account, settings.bot, now)
        self._watch = Watch(settings, self._bus, latches, now, self._offer)
        self._gatekeeper = Gatekeeper(
            self._voice,
            Door(self._bus, settings.account, settings.bot, now),
            orders,
            now,
            standing=self._watch.standing,
            latched=self._watch.latched,
            on_loop=self._on_loop,
            stepped=settings.stepped,
        )
        self._commander = Commander(settings.bot, self._voice, commands, self._gatekeeper.report_again)
        self._commander.handler = self._handler
        self._pulse = Pulse(settings, self._bus, self._voice, now, lambda: self._watch.mode)
        self._signals = Signals(settings, self._bus, self._voice)
        self._watch.look()

    def _start(self, stack: AsyncExitStack) -> None:
        jobs: list[Coroutine[Any, Any, None]] = [
            self._bus.run(),
            self._journal.send_all(),
            self._journal.sync_all(),
            self._gatekeeper.settle_all(),
            self._pulse.beat_all(),
            self._pulse.measure_lag(),
            self._pulse.send_marks(),
        ]
        if not self.settings.stepped:
            jobs += [self._watch.poll_all(), self._watch.look_all(), self._commander.carry_out_all()]
        for job in jobs:
            task = self._loop.create_task(job)
            task.add_done_callback(self._ended)
            self._tasks.add(task)
        stack.push_async_callback(self._stop)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself: a bug of ours. From here on every call raises, so no order gets an ALLOW."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("the SDK has stopped working", exc_info=error)
            self._broken = error

    def _offer(self, commands: Any) -> None:
        self._commander.offer(commands)

    def _subscriptions(self) -> dict[str, Callable[[str, bytes], None]]:
        if self.settings.stepped:
            return {}
        live = f"live.fleet.{self.settings.account}"
        return {f"{live}.bot_command.*": self._on_live_command, f"{live}.risk_state.*": lambda *_: self._watch.poke()}

    def _on_live_command(self, subject: str, body: bytes) -> None:
        found = [line.event for line in parse(subject.removeprefix("live."), body).lines]
        self._commander.offer(event for event in found if isinstance(event, BotCommand))
        self._watch.poke()


_RECORDED = frozenset({"ORDER_EVENT", "TRADE", "EQUITY", "SIGNAL_CONTEXT", "BOT_ACK"})
