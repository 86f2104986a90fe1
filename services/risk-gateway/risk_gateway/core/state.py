"""What one account's fold knows. `Account` (account.py) owns it; the modules beside it judge by it and fold into it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from fleet_contracts import BotCommand, Halt, OrderDecision, OrderRequest, RiskLimits, Side, TradingState
from risk_gateway.core.coverage import Coverage
from risk_gateway.core.equity import EquityState
from risk_gateway.core.exposure import Exposure
from risk_gateway.core.kill import Kill
from risk_gateway.core.memory import FillMemory, Memory
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.rules import Rules
from risk_gateway.core.throttles import Throttles

OrderKey = tuple[str, str]
"""(bot, order_id): with the account, an order's identity."""


@dataclass(frozen=True, slots=True)
class Question:
    """An ORDER_REQUEST event nobody has answered yet; `at` is the smaller of its `ts` and the stream's time."""

    request: OrderRequest
    at: datetime


QuestionKey = tuple[str, str, str]
"""(bot, order_id, content hash): the same id with other content is another question, answered as a conflict."""


class Placed(NamedTuple):
    """What is still wanted of an order that holds nothing any more: where its fills go, and how much has filled."""

    symbol: str
    side: Side
    filled: Decimal
    """All that is known to have filled of it, and of what it replaced."""
    gated: bool = True
    """The gateway had allowed it."""


@dataclass(slots=True)
class OpenCommand:
    """A BOT_COMMAND and the bots that have finished with it (DONE or FAILED)."""

    command: BotCommand
    finished: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a bot was asked about an order that reads UNKNOWN: how often, since when, until when the newest question is open."""

    times: int
    since: datetime
    until: datetime
    answer: str = ""
    """What the bot said beside its reports."""
    told: bool = False
    """An alarm has said that it stays unanswered."""


@dataclass(slots=True)
class Watched:
    """A symbol's position as the venue shows it (the newest EQUITY of the account's source), and since when it differs from
    that of the fills. Times are the fold's.
    """

    reported: Decimal | None = None
    """Signed; None before the first report."""
    price: Decimal | None = None
    observed_at: datetime | None = None
    event: str = ""
    """The EQUITY event."""
    moved_at: datetime | None = None
    """When the last fill was folded."""
    differs_since: datetime | None = None
    """When the first of the reports that differ without a break was folded."""
    stands_since: datetime | None = None
    """The same, once it is no race."""
    told: bool = False
    """An alarm has said so."""


@dataclass(frozen=True, slots=True)
class Raising:
    """An OPERATOR_COMMAND that raises risk and has no fact yet; `leader` signed it."""

    event_id: str
    command: str
    leader: str


@dataclass(slots=True)
class State:
    """The fold. `exposure`, `by_bot`, `by_strategy` are live: they count the overlay's orders too; `throttles` keeps both."""

    time: datetime | None = None
    virtual: datetime | None = None
    limits: RiskLimits | None = None
    rules: Rules | None = None
    """What `limits` says."""
    leader: str = ""
    exposure: Exposure = field(default_factory=Exposure)
    orders: dict[OrderKey, LiveOrder] = field(default_factory=dict)
    by_bot: dict[str, int] = field(default_factory=dict)
    """How many live orders a bot has, those on their way included."""
    by_strategy: dict[str, int] = field(default_factory=dict)
    """The same by strategy; empty: of those that name none."""
    throttles: Throttles = field(default_factory=Throttles)
    memory: Memory = field(default_factory=Memory)
    fills: FillMemory = field(default_factory=FillMemory)
    equity: EquityState = field(default_factory=EquityState)
    trading_state: TradingState = TradingState.ACTIVE
    """As the newest RISK_STATE says."""
    halts: dict[str, Halt] = field(default_factory=dict)
    resumed: dict[str, None] = field(default_factory=dict)
    """Halts that were lifted, oldest first; a latch file of one of them is stale."""
    manual_close_needed: bool = False
    tripped: dict[str, str] = field(default_factory=dict)
    """cause → the equity event that last tripped it: one event trips once."""
    breaches: dict[str, list[str]] = field(default_factory=dict)
    """cause → [the newest equity event that passed its limit, its day]: what comes after it does not undo it, only a halt or
    a person who lifts one does.
    """
    doubts: dict[str, datetime] = field(default_factory=dict)
    """cause → since when untrusted equity alone has stood over its limit (EQ-5)."""
    questions: dict[QuestionKey, Question] = field(default_factory=dict)
    commands: dict[str, OpenCommand] = field(default_factory=dict)
    raising: dict[str, Raising] = field(default_factory=dict)
    kills: dict[str, Kill] = field(default_factory=dict)
    """halt_id → how far its closing has come, of every halt in force that closes."""
    shares: dict[OrderKey, Decimal] = field(default_factory=dict)
    """(bot, symbol) → what the bot's own fills add up to, where that is not 0."""
    closed: dict[OrderKey, Placed] = field(default_factory=dict)
    """Orders that hold nothing (closed lately, or allowed by the SDK alone), oldest first: a late fill may still come."""
    inquiries: dict[OrderKey, Inquiry] = field(default_factory=dict)
    """Live orders a bot was asked about and has not accounted for yet."""
    watched: dict[str, Watched] = field(default_factory=dict)
    """symbol → its position as reported."""
    coverage: Coverage = field(default_factory=Coverage)
    gated_fills: int = 0
    ungated_fills: int = 0
    """Of orders that the gateway never saw, had denied, or of which it remembers nothing any more."""
    unplaced_fills: int = 0
    """Fills of orders nobody remembers that named no symbol or side, or one too many: the position does not know them."""
    overfills: int = 0
    decided: dict[str, int] = field(default_factory=dict)
    """reason → how many decisions carry it."""


SERVICE = "risk-gateway"
RESUMED_MAX = 1_000
QUESTIONS_MAX = 10_000
QUESTIONS_OF_A_BOT_MAX = 1_000
CLOSED_MAX = 2_000
UNLISTED_MAX = 1_000
"""Symbols that are not in risk.yaml and were filled all the same."""


def key_of(decision: OrderDecision) -> OrderKey:
    """The identity of a decided order."""
    return decision.bot, decision.order_id
