"""The bodies of the operator REST API. Amounts are decimals as strings in the account's currency; times RFC 3339, UTC."""

from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class SeenView(BaseModel):
    """When something was so, and the id of the event that shows it."""

    at: str
    evidence: str


class StagesView(BaseModel):
    """The way of a kill; null: not yet."""

    requested: SeenView
    delivered: SeenView | None = None
    acknowledged: SeenView | None = None
    flat: SeenView | None = None


class CommandAnswerView(Answer):
    """One command of a kill, and its bot's newest answer (`state` null: none)."""

    bot: str = Field(examples=["qe1"])
    command: str = Field(examples=["CLOSE_POSITIONS"])
    attempt: int
    state: str | None = Field(default=None, examples=["ACCEPTED"])
    detail: str | None = None
    at: str | None = None


class HaltView(Answer):
    """A halt in force. `recorded`: the log has it. `stage` and all below it: only of a halt that closes what is open."""

    halt_id: str
    scope: str = Field(default="account", examples=["account", "bot:qe1", "symbol:BTC-PERP"])
    cause: str = Field(examples=["DAILY_LOSS"])
    since: str
    latched: bool = True
    by: str = ""
    recorded: bool = True
    flatten: bool = False
    stage: str | None = Field(default=None, examples=["REQUESTED", "DELIVERED", "ACKNOWLEDGED", "FLAT", "NOT_ACKNOWLEDGED"])
    stages: StagesView | None = None
    answers: list[CommandAnswerView] = Field(default_factory=list)
    open: list[str] = Field(default_factory=list, description="what is still open in its scope")


class CheckView(BaseModel):
    """One thing that should be in order before the account adds risk again."""

    item: str = Field(examples=["NOT_FLAT"])
    clean: bool
    detail: str
    value: str | None = None
    limit: str | None = None


class HaltsView(Page[HaltView]):
    """The halts in force, oldest first, and what a resume of all of them would have to answer for."""

    checklist: list[CheckView] = Field(default_factory=list)
    manual_close_needed: bool = False


class CoverageView(Answer):
    """Of the fills of the newest trading day with any: those of orders the gateway had allowed. `pct` under 100 is an alarm."""

    day: str | None = Field(default=None, examples=["2026-01-05"])
    observed_fills: int = Field(examples=[40])
    gated_fills: int = Field(examples=[40])
    ungated_fills: int = Field(examples=[0])
    pct: str = Field(examples=["100"])


class AccountView(Answer):
    """One account as a decision would see it now."""

    account: str = Field(examples=["main"])
    trading_state: TradingState
    leads: bool = Field(description="whether this instance leads the account")
    halts: list[HaltView] = Field(default_factory=list)
    equity: str | None = Field(default=None, examples=["10012.5"])
    daily_loss: str | None = Field(default=None, description="the worse of the two below it")
    daily_loss_marked: str | None = Field(default=None, description="by equity: open positions at their marks")
    daily_loss_realized: str | None = Field(default=None, description="by balance, net of fees; 0 while there is none")
    daily_loss_limit: str | None = None
    drawdown: str | None = None
    gross_exposure: str | None = None
    leverage: str | None = None
    open_orders: int | None = None
    coverage: CoverageView | None = None


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


class ScopedRequest(BaseModel):
    """The account, or one of its bots, or one symbol."""

    model_config = ConfigDict(extra="forbid")
    reason: Reasoned
    bot: Annotated[str | None, Field(max_length=64, description="only this bot's orders")] = None
    symbol: Annotated[str | None, Field(max_length=64, description="only orders in this symbol")] = None

    @model_validator(mode="after")
    def _one_scope(self) -> Self:
        if self.bot is not None and self.symbol is not None:
            raise ValueError("name a bot or a symbol, not both")
        return self


class HaltRequest(ScopedRequest):
    """Deny every opening in the scope."""


class KillRequest(ScopedRequest):
    """Deny every opening in the scope, cancel its orders and close its positions."""


class CloseRequest(ScopedRequest):
    """Close the positions in the scope, once; nothing is halted."""


class CloseAnswer(Answer):
    """The commands that were given."""

    commands: list[str]


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
    overrides: Annotated[
        dict[str, Reasoned],
        Field(max_length=20, description="item of the checklist that is not clean → why it may be passed over"),
    ] = Field(default_factory=dict, examples=[{"NOT_FLAT": "closed by hand at the venue"}])
    rebase_drawdown: bool = Field(
        default=False, description="count the drawdown from the present equity; else the high-water mark stays"
    )


class ResumeAnswer(Answer):
    """What was lifted, and what is still in force."""

    lifted: list[str]
    halts: list[HaltView]
    trading_state: TradingState
