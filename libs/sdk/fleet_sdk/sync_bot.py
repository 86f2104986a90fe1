"""The same bot for programs without asyncio: its event loop runs in a thread of its own; any thread may call."""

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Self, TypeVar

from fleet_contracts import AckState, Decision, Event, LocalVerdict, Mode, OrderRequest, SignalContext, SignalReview
from fleet_sdk.bot import Bot
from fleet_sdk.commander import Handler
from fleet_sdk.core.local import LocalReason
from fleet_sdk.core.state import BotState
from fleet_sdk.core.verdict import Verdict, denied_locally
from fleet_sdk.errors import SdkError
from fleet_sdk.settings import BotSettings

T = TypeVar("T")
H = TypeVar("H", bound=Handler)
_GRACE_S = 0.05
"""The bot answers by the deadline itself; the caller waits this much longer before it stops believing in it."""
_CALL_S = 10.0
_STOP_S = 10.0


class _Stuck(SdkError):
    """The bot's loop did not come back with an answer."""


class SyncBot:
    """`with SyncBot(settings) as bot:` — see `Bot` for what each call means. Command handlers run in a thread."""

    def __init__(self, settings: BotSettings) -> None:
        self.settings = settings
        self._bot = Bot(settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=f"fleet-sdk-{self.settings.bot}", daemon=True)
        self._thread.start()
        ready.result()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_S)
            if self._thread.is_alive():
                raise SdkError(f"the SDK's thread did not end within {_STOP_S:.0f} s")
        self._loop = None

    # ── orders ──

    def evaluate(self, order: OrderRequest | Mapping[str, Any], *, deadline_ms: int | None = None) -> Verdict:
        """Ask whether an order may be sent. Always answers by the deadline; raises `InvalidOrder` when it is no order."""
        wait_s = (deadline_ms or self.settings.deadline_ms) / 1000 + _GRACE_S
        try:
            return self._call(self._bot.evaluate(order, deadline_ms=deadline_ms), wait_s)
        except _Stuck:
            return _denied_without_loop(order)

    can_execute = evaluate

    def never_sent(self, order: OrderRequest | Mapping[str, Any]) -> None:
        """Say that an allowed order was not sent and will not be."""
        self._call(self._bot.never_sent(order))

    # ── what happened ──

    def record(self, event_type: str, fields: Mapping[str, Any]) -> str:
        """Record any event of a bot's (but ORDER_REQUEST, HEARTBEAT, MARK); returns its event_id."""
        return self._do(lambda: self._bot.record(event_type, fields))

    def event_line(self, event_type: str, fields: Mapping[str, Any]) -> tuple[Event, bytes]:
        """An event and its line, made and checked but not recorded."""
        return self._do(lambda: self._bot.event_line(event_type, fields))

    def order_event(self, **fields: Any) -> str:
        """What became of an order."""
        return self._call(self._bot.order_event(**fields))

    def trade(self, **fields: Any) -> str:
        """A closed round trip."""
        return self._call(self._bot.trade(**fields))

    def equity(self, **fields: Any) -> str:
        """The whole account as the venue shows it."""
        return self._call(self._bot.equity(**fields))

    def mark(self, **fields: Any) -> None:
        """A symbol's prices now. Sent now or not at all."""
        self._do(lambda: self._bot.mark(**fields))

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
        """What the next heartbeats say."""
        fields = {"last_tick_at": last_tick_at, "last_decision_at": last_decision_at, "pnl": pnl, "mode": mode}
        self._do(lambda: self._bot.progress(open_positions=open_positions, profile=profile, **fields))  # type: ignore[arg-type]

    # ── signals ──

    def build_signal_context(
        self, order: OrderRequest | Mapping[str, Any], features: Mapping[str, Any], pnl_state: Mapping[str, Any], **more: Any
    ) -> SignalContext:
        """What the bot saw before an order."""
        return self._do(lambda: self._bot.build_signal_context(order, features, pnl_state, **more))

    def review_signal(self, context: SignalContext) -> SignalReview:
        """A second opinion, or the neutral one when none comes in time."""
        return self._call(self._bot.review_signal(context), self.settings.review_deadline_ms / 1000 + _CALL_S)

    def apply_review(
        self, order: OrderRequest | Mapping[str, Any], review: SignalReview, *, lot: Decimal | None = None
    ) -> OrderRequest | None:
        """The order its review leaves, or None (skip it)."""
        return self._do(lambda: self._bot.apply_review(order, review, lot=lot))

    def log_signal_context(self, context: SignalContext) -> str:
        """Record a context, with its review's stance when it had one."""
        return self._call(self._bot.log_signal_context(context))

    # ── what the fleet says ──

    @property
    def state(self) -> BotState:
        """What the fleet last said of this bot."""
        return self._bot.state

    @property
    def mode(self) -> Mode:
        """The mode the bot runs in, as it says itself."""
        return self._bot.mode

    @property
    def halted(self) -> bool:
        """Nothing that adds risk may be sent, as far as is known here."""
        return self._bot.halted

    def on_command(self, handler: H) -> H:
        """Decorator: the function that carries out commands; it runs in a thread, one command at a time."""
        if inspect.iscoroutinefunction(handler):
            raise TypeError("a SyncBot's command handler is a plain function")
        return self._bot.on_command(handler)

    def ack(self, command_id: str, state: AckState, detail: str | None = None) -> None:
        """Finish a command whose handler answered ACCEPTED."""
        self._call(self._bot.ack(command_id, state, detail))

    # ── the spool ──

    @property
    def spooled(self) -> int:
        """Events recorded and not yet stored by the bus."""
        return self._bot.spooled

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until the bus has everything; False when that takes longer."""
        return self._call(self._bot.flush(timeout_s), timeout_s + _CALL_S)

    def step(self) -> None:
        """Virtual time: state, commands, and everything stored."""
        self._call(self._bot.step(), 3 * self.settings.deadline_s + _CALL_S)

    # ── inside ──

    def _run(self, ready: "concurrent.futures.Future[None]") -> None:
        try:
            asyncio.run(self._live(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _live(self, ready: "concurrent.futures.Future[None]") -> None:
        self._stop = asyncio.Event()
        async with self._bot:
            self._loop = asyncio.get_running_loop()
            ready.set_result(None)
            await self._stop.wait()

    def _do(self, action: Callable[[], T]) -> T:
        async def act() -> T:
            return action()

        return self._call(act())

    def _call(self, work: Coroutine[Any, Any, T], wait_s: float | None = None) -> T:
        """Run on the bot's loop. Raises `SdkError` when that does not come back; the work is then called off."""
        loop = self._loop
        if loop is None:
            work.close()
            raise SdkError("use the bot inside `with SyncBot(settings) as bot:`")
        if threading.current_thread() is self._thread:
            work.close()
            raise SdkError("a SyncBot is called from its own event loop, which would wait for itself; use Bot there")
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(
                _CALL_S + (self.settings.deadline_s if self.settings.stepped else 0) if wait_s is None else wait_s
            )
        except TimeoutError:
            if not future.cancel():
                return future.result()
            raise _Stuck("the SDK's own thread does not answer") from None


def _denied_without_loop(order: OrderRequest | Mapping[str, Any]) -> Verdict:
    """The loop could not even say DENY in time. It records so (CANCELLED, NEVER_SENT) when it runs again."""
    made = order if isinstance(order, OrderRequest) else OrderRequest.model_validate(order)
    fields = {**made.__dict__, "decision": Decision.DENY, "reason": LocalReason.CANCELLED, "policy": "cancelled_deny"}
    return denied_locally(LocalVerdict.model_construct(**fields), "the SDK's own thread did not answer in time")
