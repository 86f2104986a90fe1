"""The bodies of the operator REST API about positions and holds. Quantities in the symbol's unit, amounts in its currency."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fleet_contracts.http import Answer, Reasoned
from fleet_contracts.money import Derived


class PositionView(Answer):
    """One symbol. `qty` is signed; `exposure` = posted + held + what no hold covers any more."""

    symbol: str = Field(examples=["BTC-PERP"])
    qty: str = Field(examples=["0.1"])
    price: str | None = Field(default=None, examples=["40000"])
    notional: str = Field(examples=["4000"])
    held_notional: str = Field(examples=["0"])
    exposure: str = Field(examples=["4000"])
    reported_qty: str | None = Field(default=None, examples=["0.1"], description="as the account's newest EQUITY shows it")
    reported_at: str | None = None
    difference: str | None = Field(default=None, examples=["0"], description="reported_qty - qty")
    drift: str = Field(
        default="OFF",
        examples=["NONE"],
        description="OFF, NONE, SEEN (a race, perhaps), STANDS: entries are denied POSITION_DRIFT",
    )
    drift_since: str | None = None


class ReconcileRequest(BaseModel):
    """Take over a symbol's position as the venue shows it. `reported_qty`: what you have seen, signed."""

    model_config = ConfigDict(extra="forbid")
    reason: Reasoned
    symbol: Annotated[str, Field(min_length=1, max_length=64, examples=["BTC-PERP"])]
    reported_qty: Annotated[Derived, Field(examples=["0.1"])]


class ReconcileAnswer(Answer):
    """The position by fills, before and now."""

    account: str
    symbol: str
    previous_qty: str = Field(examples=["0"])
    qty: str = Field(examples=["0.1"])


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
