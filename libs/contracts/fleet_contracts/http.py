"""The bodies of the operator REST API. Amounts are decimals as strings in the account's currency; times RFC 3339, UTC."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from fleet_contracts.risk_config import AccountRisk
from fleet_contracts.vocabulary import TradingState

T = TypeVar("T")
Reasoned = Annotated[str, Field(min_length=3, max_length=1000, description="why, for the record", examples=["maintenance"])]


class Answer(BaseModel):
    """An answer; later versions may carry more fields."""

    model_config = ConfigDict(extra="allow")


class Page(Answer, Generic[T]):
    """A list; `next` is the cursor to go on behind, null at the end."""

    items: list[T]
    next: str | None = Field(default=None, examples=["1234.0"])


class FieldError(BaseModel):
    field: str | None = None
    detail: str


class ProblemDetails(Answer):
    """RFC 9457: every refusal looks like this. `code` is stable, `detail` is for people."""

    type: str = Field(examples=["urn:fleet:problem:invalid-request"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["qty: Field required"])
    code: str = Field(examples=["INVALID_REQUEST"])
    errors: list[dict[str, Any]] = Field(default_factory=list, examples=[[{"field": "qty", "detail": "Field required"}]])


class HaltView(Answer):
    """A halt in force. `recorded`: the log has it."""

    halt_id: str
    scope: str = "account"
    cause: str = Field(examples=["DAILY_LOSS"])
    since: str
    latched: bool = True
    by: str = ""
    recorded: bool = True


class AccountView(Answer):
    """One account as a decision would see it now."""

    account: str = Field(examples=["main"])
    trading_state: TradingState
    leads: bool = Field(description="whether this instance leads the account")
    halts: list[HaltView] = Field(default_factory=list)
    equity: str | None = Field(default=None, examples=["10012.5"])
    daily_loss: str | None = None
    daily_loss_limit: str | None = None
    drawdown: str | None = None
    gross_exposure: str | None = None
    leverage: str | None = None
    open_orders: int | None = None


class LifeView(Answer):
    """A service or a bot, and the age of its newest heartbeat in seconds (null: none seen since this gateway started)."""

    name: str = Field(examples=["ingest"])
    instance: str | None = None
    heartbeat_at: str | None = None
    heartbeat_age_s: float | None = Field(default=None, examples=[0.4])
    version: str | None = None
    mode: str | None = None
    pid: int | None = None


class StatusView(Answer):
    """The fleet at a glance."""

    now: str
    version: str
    instance: str
    accounts: list[AccountView]
    services: list[LifeView]
    bots: list[LifeView]


class UsageView(Answer):
    """How much of a limit is used."""

    limit: str = Field(examples=["max_gross_exposure"])
    used: str = Field(examples=["4002"])
    max: str = Field(examples=["20000"])
    headroom: str = Field(examples=["15998"])
    used_pct: str = Field(examples=["20"])


class LimitsView(Answer):
    """The limits in force. The ETag of the answer names this revision."""

    account: str
    revision: int = Field(examples=[1])
    digest: str
    limits: dict[str, Any]
    symbols: dict[str, Any]
    usage: list[UsageView] = Field(default_factory=list)


class PositionView(Answer):
    """One symbol. `qty` is signed; `exposure` = posted + held + what no hold covers any more."""

    symbol: str = Field(examples=["BTC-PERP"])
    qty: str = Field(examples=["0.1"])
    price: str | None = Field(default=None, examples=["40000"])
    notional: str = Field(examples=["4000"])
    held_notional: str = Field(examples=["0"])
    exposure: str = Field(examples=["4000"])


class ReservationView(Answer):
    """What one allowed order may still do, and holds."""

    bot: str
    order_id: str
    symbol: str
    side: str
    qty: str
    leaves_qty: str
    opening_qty: str
    reserved_notional: str
    state: str = Field(examples=["HELD"], description="HELD, PARTLY_POSTED or UNKNOWN")
    since: str
    valid_until: str
    asked_since: str | None = Field(default=None, description="when its bot was first asked what became of it")
    times_asked: int = Field(default=0, examples=[0])
    bot_said: str | None = Field(default=None, description="the bot's answer beside its reports")


class HaltRequest(BaseModel):
    """Stop an account. `cause` KILL_SWITCH by default."""

    model_config = ConfigDict(extra="forbid")
    reason: Reasoned


class HaltAnswer(Answer):
    """The halt is in force; `recorded` tells whether the log has it yet."""

    halt: HaltView
    trading_state: TradingState


class ResumeRequest(BaseModel):
    """Lift halts: those named, or all. `phrase` is `resume <account>`, typed by a person."""

    model_config = ConfigDict(extra="forbid")
    reason: Reasoned
    phrase: str = Field(examples=["resume main"])
    halt_ids: list[str] | None = None


class ResumeAnswer(Answer):
    """What was lifted, and what is still in force."""

    lifted: list[str]
    halts: list[HaltView]
    trading_state: TradingState


class LimitsRequest(BaseModel):
    """Other limits for an account: the section `accounts.<account>` of risk.yaml."""

    model_config = ConfigDict(extra="forbid")
    reason: Reasoned
    risk: AccountRisk


class LimitsAnswer(Answer):
    """The new revision, in force for every decision from now on."""

    account: str
    revision: int
    digest: str
