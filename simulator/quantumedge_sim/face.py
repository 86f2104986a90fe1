"""The part of the SDK's `Bot` that the simulator uses, as a protocol: the real one, or a fake of it in tests."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from fleet_contracts import AckState, BotCommand, Mode, OrderRequest, SignalContext, SignalReview
from fleet_sdk import BotState, Verdict

CommandHandler = Callable[[BotCommand], Awaitable[AckState]]


class Face(Protocol):
    """What the bot says to the fleet and hears from it. Errors are those of `fleet_sdk.errors`."""

    @property
    def state(self) -> BotState: ...

    @property
    def halted(self) -> bool: ...

    @property
    def spooled(self) -> int: ...

    async def evaluate(self, order: Mapping[str, Any], *, deadline_ms: int | None = None) -> Verdict: ...

    async def never_sent(self, order: Mapping[str, Any]) -> None: ...

    async def order_event(self, **fields: Any) -> str: ...

    async def trade(self, **fields: Any) -> str: ...

    async def equity(self, **fields: Any) -> str: ...

    def mark(self, **fields: Any) -> None: ...

    def progress(
        self,
        *,
        last_tick_at: datetime | None = None,
        last_decision_at: datetime | None = None,
        pnl: Decimal | None = None,
        open_positions: int | None = None,
        mode: Mode | None = None,
        profile: str | None = None,
    ) -> None: ...

    def record(self, event_type: str, fields: Mapping[str, Any]) -> str: ...

    def build_signal_context(
        self, order: Mapping[str, Any], features: Mapping[str, Any], pnl_state: Mapping[str, Any], **more: Any
    ) -> SignalContext: ...

    async def review_signal(self, context: SignalContext) -> SignalReview: ...

    def apply_review(
        self, order: Mapping[str, Any], review: SignalReview, *, lot: Decimal | None = None
    ) -> OrderRequest | None: ...

    async def log_signal_context(self, context: SignalContext) -> str: ...

    def on_command(self, handler: CommandHandler) -> CommandHandler: ...

    async def ack(self, command_id: str, state: AckState, detail: str | None = None) -> None: ...

    async def flush(self, timeout_s: float = 5.0) -> bool: ...

    async def step(self) -> None: ...
