"""The bodies of the operator REST API that speak of limits. Amounts are decimals as strings in the account's currency."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fleet_contracts.http import Answer, Reasoned
from fleet_contracts.risk_config import AccountRisk


class UsageView(Answer):
    """How much of a limit is used."""

    limit: str = Field(examples=["max_gross_exposure"])
    used: str = Field(examples=["4002"])
    max: str = Field(examples=["20000"])
    headroom: str = Field(examples=["15998"])
    used_pct: str = Field(examples=["20"])
    place: str = Field(default="limits", description="where in risk.yaml it stands", examples=["limits", "bots.qe1"])
    of: str | None = Field(default=None, description="what it is measured on, where that has a name", examples=["BTC-PERP"])
    band: str = Field(default="OK", description="OK, WARN from warn_pct on, BREACH when nothing is left", examples=["OK"])
    breach_in_s: float | None = Field(
        default=None, description="seconds until it is reached if it goes on as in the last ten minutes", examples=[5400.0]
    )


class DisabledView(Answer):
    """A strategy (or a bot whose orders name none) that has repeated itself."""

    kind: str = Field(examples=["strategy"])
    name: str = Field(examples=["scalp"])
    since: str
    cause: str
    order_id: str


class LimitsView(Answer):
    """The limits in force. The ETag of the answer names this revision."""

    account: str
    revision: int = Field(examples=[1])
    digest: str
    limits: dict[str, Any]
    symbols: dict[str, Any]
    usage: list[UsageView] = Field(default_factory=list)
    disabled: list[DisabledView] = Field(default_factory=list, description="who may only reduce until a person enables it")
    doubts: dict[str, str] = Field(default_factory=dict, description="cause → since when untrusted equity is over its limit")
    file_differs: bool = Field(default=False, description="risk.yaml, as read at the start, says something else")


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


class EnableRequest(BaseModel):
    """Whose orders may open again: a strategy, or a bot whose orders name none."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"oneOf": [{"required": ["strategy"]}, {"required": ["bot"]}]})
    reason: Reasoned
    strategy: str | None = Field(default=None, min_length=1, max_length=64, examples=["scalp"])
    bot: str | None = Field(default=None, min_length=1, max_length=64)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.strategy is None) == (self.bot is None):
            raise ValueError("name a strategy or a bot")
        return self


class EnableAnswer(Answer):
    """Enabled: the same limits are in force as the next revision."""

    account: str
    revision: int
    enabled: dict[str, str]


class CountedView(Answer):
    """So many orders, and by reason."""

    orders: int
    reasons: dict[str, int]


class ShadowView(Answer):
    """A candidate set of limits beside the live one. `would_deny`: live allowed, by the candidate's reason; `would_allow`: live
    denied, by the live reason.
    """

    account: str
    active: bool
    file: str = Field(examples=["risk.shadow.yaml"])
    error: str | None = Field(default=None, description="why the file cannot be used")
    digest: str | None = None
    since: str | None = None
    judged: int = 0
    skipped: int = 0
    would_deny: CountedView | None = None
    would_allow: CountedView | None = None
    examples: list[dict[str, Any]] = Field(default_factory=list)
