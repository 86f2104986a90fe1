"""Checks of how the account and the bot stand: halts, modes, life signs, equity, losses."""

from decimal import Decimal

from fleet_contracts import Reason, TradingState
from fleet_contracts.envelope import format_ts
from fleet_contracts.money import ZERO, down12, plain
from risk_gateway.core.decision import NewDecision, Refusal
from risk_gateway.core.equity import PERCENT

_SHUT = {
    Reason.MODE_OFF: "the bot's mode is off; only reductions are allowed",
    Reason.OUTSIDE_TRADING_HOURS: "these are not the bot's trading hours; only reductions are allowed",
}


def not_halted(case: NewDecision) -> Refusal | None:
    """No halt of the account, the bot or the symbol is in force."""
    standing = case.standing
    halt = standing.halt_of(case.asked.bot, case.order.symbol)
    if halt is None:
        return None
    what = "account" if standing.halt is not None else "bot or symbol"
    message = f"the {what} is halted; only reductions are allowed"
    if case.order.reduce_only:
        message += f", and of this order only {plain(case.room)} would be one: other orders on their way may fill before it"
    return Refusal(halt, message)


def bot_may_open(case: NewDecision) -> Refusal | None:
    """supervisor.yaml: the bot's mode is not off, and these are its hours."""
    shut = case.asked.shut
    if shut is None:
        return None
    return Refusal(shut, _SHUT[shut])


def bot_alive(case: NewDecision) -> Refusal | None:
    """The bot's newest HEARTBEAT arrived at most `stale_heartbeat_s` ago."""
    limit_s = case.standing.limits.stale_heartbeat_s
    if limit_s is None:
        return None
    age_s = case.asked.beat_age_s
    if age_s is None:
        return Refusal(Reason.BOT_NOT_ALIVE, f"no heartbeat of {case.asked.bot} has arrived yet")
    if age_s <= limit_s:
        return None
    age, limit = _seconds(age_s), _seconds(limit_s)
    message = f"the newest heartbeat of {case.asked.bot} is {plain(age)} s old; the limit is {plain(limit)} s"
    return Refusal(Reason.BOT_NOT_ALIVE, message, age, limit)


def entries_allowed(case: NewDecision) -> Refusal | None:
    """REDUCING: the soft drawdown limit is passed."""
    if case.standing.trading_state is not TradingState.REDUCING:
        return None
    return Refusal(Reason.REDUCE_ONLY_MODE, "the account is reducing; no entries")


def stale_equity(case: NewDecision) -> Refusal | None:
    """The newest EQUITY of the equity source is young enough, and today has a base (DL-7)."""
    standing, now = case.standing, case.asked.now
    if standing.fresh_until is None:
        return Refusal(Reason.STALE_EQUITY, "no EQUITY has arrived yet")
    if now > standing.fresh_until:
        limit = standing.limits.stale_equity_s
        age = _seconds((now - standing.fresh_until + standing.rules.stale_equity).total_seconds())
        return Refusal(Reason.STALE_EQUITY, f"EQUITY is {age} s old; the limit is {limit:g} s", age, Decimal(str(limit)))
    day = standing.rules.day_of(now)
    if standing.base_day != day:
        return Refusal(Reason.STALE_EQUITY, f"{day} has no base yet: no trusted EQUITY since the cutoff")
    return None


def untrusted_equity(case: NewDecision) -> Refusal | None:
    """EQ-6: while the equity is untrusted, or it or the day's base is not positive, reductions only."""
    standing = case.standing
    if standing.usable:
        return None
    if not standing.sound:
        return Refusal(Reason.EQUITY_UNTRUSTED, "the equity is untrusted or not positive", standing.worth, ZERO)
    amount = standing.base.amount if standing.base else ZERO
    return Refusal(Reason.EQUITY_UNTRUSTED, "the day's base is not positive", amount, ZERO)


def position_agrees(case: NewDecision) -> Refusal | None:
    """R11: the symbol's position out of fills is the one that the venue shows, within `position_drift_qty`."""
    drift = case.standing.drifts.get(case.order.symbol)
    if drift is None:
        return None
    difference, limit = abs(drift.reported - drift.qty), case.standing.limits.position_drift_qty
    found, shown = plain(drift.qty.normalize()), plain(drift.reported.normalize())
    what = f"the position in {case.order.symbol} is {found} by fills and {shown} as reported"
    return Refusal(Reason.POSITION_DRIFT, f"{what}, since {format_ts(drift.since)}", difference, limit)


def max_daily_loss(case: NewDecision) -> Refusal | None:
    """DL-3: the day's loss trips at the limit itself."""
    loss, limit = case.standing.loss, case.standing.loss_limit
    if loss < limit:
        return None
    return Refusal(Reason.DAILY_LOSS, case.said("the day's loss", loss, "has reached the limit of", limit), loss, limit)


def max_drawdown(case: NewDecision) -> Refusal | None:
    """DD-1: `(H − E) × 100 > hard_pct × H` denies entries even before the halt is recorded."""
    standing = case.standing
    if not standing.too_deep:
        return None
    hard = standing.limits.max_drawdown.hard_pct
    message = f"the drawdown from {plain(standing.high)} is over {plain(hard)} %"
    return Refusal(Reason.MAX_DRAWDOWN, message, standing.fall, down12(hard * standing.high * PERCENT))


def _seconds(age_s: float) -> Decimal:
    """To the millisecond."""
    return Decimal(round(age_s * 1000)) / 1000
