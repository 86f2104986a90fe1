"""The Bot face in memory, over the gateway's real core: every event is folded, every owed fact is stored at once.

What it leaves out is the way: no bus, no spool, no deadline. `cut` makes it answer as the SDK does without the bus.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fleet_contracts import (
    REGISTRY,
    AccountClock,
    AckState,
    BotCommand,
    Command,
    Decision,
    Entry,
    Event,
    Fact,
    Halt,
    LocalVerdict,
    Mode,
    OrderDecision,
    OrderRequest,
    ReviewSource,
    SignalContext,
    SignalReview,
    encode,
    event_subject,
    parse,
    parse_order,
    split_subject,
)
from fleet_contracts.parse import Provenance
from fleet_sdk.core.review import apply_review, neutral
from fleet_sdk.core.state import BotState
from fleet_sdk.core.verdict import Verdict, denied, denied_locally
from parts.trading import setup
from quantumedge_sim.face import CommandHandler
from risk_gateway.core.account import Account, Asked, NewDecision
from risk_gateway.core.report import halt_row
from risk_gateway.core.rules import Setup

BOT, ACCOUNT, LEADER = "qe1", "main", "gw-1.1"


class GatedFace:
    """A `Face`. `now` gives the bot's time. Everything said is in `events`, in order."""

    def __init__(self, now: Callable[[], datetime], setup_: Setup | None = None, mode: Mode = Mode.PAPER) -> None:
        self.core = Account(ACCOUNT, setup_ or setup(AccountClock.EVENT))
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()
        self.decisions: list[OrderDecision] = []
        self.progressed: dict[str, Any] = {}
        self.acks: list[tuple[str, AckState, str | None]] = []
        self.steps = 0
        self.cut = False
        self.mode = mode
        self.told: Mode | None = mode
        self._now = now
        self._seq = 0
        self._handler: CommandHandler | None = None
        self._taken: set[str] = set()
        self._state = BotState()
        self._owed()

    # The account, as the gateway's leader keeps it.

    def _store(self, event: Event, leader: str | None = None) -> None:
        self._seq += 1
        self.counts[event.event_type] += 1
        subject = event_subject(event.account, event.event_type, event.source)
        raw = encode(event)
        self.core.evolve(Entry(split_subject(subject), event, raw, self._seq, 0, self._now(), leader))

    def _owed(self) -> None:
        while facts := self.core.owed(self.core.now(self._now())):
            for fact in facts:
                self._write(fact)

    def _write(self, fact: Fact) -> None:
        self.core.hold(fact)
        self._store(fact.event, LEADER)
        self.core.drop(fact)

    def _say(self, event_type: str, fields: Mapping[str, Any]) -> str:
        given = {name: value for name, value in fields.items() if value is not None}
        given.setdefault("ts", self._now())
        given.setdefault("event_id", f"e-{len(self.events)}")
        event = REGISTRY[event_type].model.model_validate(given | {"event_type": event_type, "account": ACCOUNT, "source": BOT})
        subject = event_subject(ACCOUNT, event_type, BOT)
        parsed = parse(subject, encode(event), Provenance("FLEET", self._seq + 1, self._now()))
        assert not parsed.bad, parsed.bad
        self.events.append(parsed.lines[0].event)
        if not self.cut:
            self._store(parsed.lines[0].event)
            self._owed()
        return str(event.event_id)

    # The face.

    @property
    def state(self) -> BotState:
        return self._state

    @property
    def halted(self) -> bool:
        return self._state.stops_openings

    @property
    def spooled(self) -> int:
        return 1 if self.cut else 0

    async def evaluate(self, order: Mapping[str, Any], *, deadline_ms: int | None = None) -> Verdict:
        request = OrderRequest.model_validate(self._order(order))
        if self.cut:
            fields = {**request.__dict__, "event_type": "LOCAL_VERDICT", "decision": Decision.DENY, "reason": "BUS_AWAY"}
            return denied_locally(LocalVerdict(**fields), "the bus is away")
        checked = parse_order(encode(request), account=ACCOUNT, bot=BOT)
        now = self.core.request_time(checked, self._now())
        judged = self.core.judge(Asked(checked, BOT, "nats", now))
        assert isinstance(judged, NewDecision), f"{checked.order_id} was asked twice"
        self._write(judged.fact)
        decision = judged.fact.event
        assert isinstance(decision, OrderDecision)
        self.decisions.append(decision)
        if decision.decision is Decision.DENY:
            return denied(decision)
        return Verdict(True, decision.reason, "", decision.allowed_qty or Decimal(0), decision, 1.0)

    async def never_sent(self, order: Mapping[str, Any]) -> None:
        fields = {"order_id": order["order_id"], "status": "REJECTED", "filled_qty": 0, "detail": "NEVER_SENT"}
        self._say("ORDER_EVENT", fields)

    async def order_event(self, **fields: Any) -> str:
        return self._say("ORDER_EVENT", fields)

    async def trade(self, **fields: Any) -> str:
        return self._say("TRADE", fields)

    async def equity(self, **fields: Any) -> str:
        return self._say("EQUITY", fields)

    def mark(self, **fields: Any) -> None:
        self.counts["MARK"] += 1

    def progress(self, *, mode: Mode | None = None, profile: str | None = None, **fields: Any) -> None:
        self.progressed |= {**fields, "mode": mode or self.mode, "profile": profile}
        self.mode = mode or self.mode

    def record(self, event_type: str, fields: Mapping[str, Any]) -> str:
        return self._say(event_type, fields)

    def build_signal_context(
        self, order: Mapping[str, Any], features: Mapping[str, Any], pnl_state: Mapping[str, Any], **more: Any
    ) -> SignalContext:
        names = {"signal_id": "signal_id", "symbol": "symbol", "side": "side", "qty": "size", "strategy": "strategy"}
        fields = {new: order[old] for old, new in names.items()} | {"order_id": order["order_id"]} | more
        envelope = {"event_type": "SIGNAL_CONTEXT", "account": ACCOUNT, "source": BOT, "ts": self._now()}
        return SignalContext.model_validate({**fields, **envelope, "features": dict(features), "pnl_state": dict(pnl_state)})

    async def review_signal(self, context: SignalContext) -> SignalReview:
        return neutral(context, ReviewSource.TIMEOUT)

    def apply_review(
        self, order: Mapping[str, Any], review: SignalReview, *, lot: Decimal | None = None
    ) -> OrderRequest | None:
        return apply_review(OrderRequest.model_validate(self._order(order)), review, floor=Decimal("0.25"), lot=lot)

    async def log_signal_context(self, context: SignalContext) -> str:
        return self._say("SIGNAL_CONTEXT", context.__dict__)

    def on_command(self, handler: CommandHandler) -> CommandHandler:
        self._handler = handler
        return handler

    async def ack(self, command_id: str, state: AckState, detail: str | None = None) -> None:
        self.acks.append((command_id, state, detail))
        self._say("BOT_ACK", {"command_id": command_id, "state": state, "detail": detail})

    async def flush(self, timeout_s: float = 5.0) -> bool:
        return True

    async def step(self) -> None:
        """One state poll; commands go to the handler once."""
        self.steps += 1
        now = self.core.now(self._now())
        self._state = BotState(
            mode=self.told,
            trading_state=self.core.trading_state,
            halts=tuple(Halt.model_validate(halt_row(halt, self.core)) for halt in self.core.halts),
            manual_close_needed=self.core.state.manual_close_needed,
            as_of=now,
            stale=False,
        )
        for command in self.core.open_commands(BOT, now):
            await self.command(command)

    # What a test does to it.

    async def command(self, command: BotCommand) -> None:
        """A command arrives, once."""
        assert self._handler is not None
        if command.command_id not in self._taken:
            self._taken.add(command.command_id)
            answer = await self._handler(command)
            if answer is not AckState.ACCEPTED:
                await self.ack(command.command_id, answer)

    def kill(self, reason: str) -> None:
        """An operator presses the kill switch."""
        self.core.latch(
            Halt(halt_id="kill", cause="KILL_SWITCH", since=self.core.now(self._now()), by=reason[:64], flatten=True)
        )
        self._owed()

    async def tell(self, command: Command, command_id: str, **params: Any) -> None:
        """An operator's command arrives."""
        await self.command(
            BotCommand(
                event_type="BOT_COMMAND",
                account=ACCOUNT,
                source="risk-gateway",
                command_id=command_id,
                bot=BOT,
                command=command,
                params=params,
                deadline=self._now() + timedelta(minutes=5),
            )
        )

    @property
    def reasons(self) -> Counter[str]:
        """Reason → how many decisions carry it."""
        return Counter(str(decision.reason) for decision in self.decisions)

    def said(self, event_type: str) -> list[Any]:
        """Everything of one type, in order."""
        return [event for event in self.events if event.event_type == event_type]

    def _order(self, order: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in order.items() if value is not None}
        return {"ts": self._now(), **given, "event_type": "ORDER_REQUEST", "account": ACCOUNT, "source": BOT}
