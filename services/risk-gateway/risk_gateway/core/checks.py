"""The table of checks, in their fixed order: one rule, one function, one row. The first refusal is the reason.

Each takes the decision as it stands and gives None or a `Refusal`. All but those in `OF_REDUCTIONS_TOO` are asked about
openings only: limits, halts and stale data never deny a verified reduction (invariant 4). docs/risk-gateway.md is made out of
the rows (checks_page.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from fleet_contracts import Reason, TradingState
from risk_gateway.core import account_checks as account
from risk_gateway.core import limit_checks as limit
from risk_gateway.core import order_checks as order
from risk_gateway.core.decision import NewDecision, Refusal
from risk_gateway.core.standing import Standing

Check = Callable[[NewDecision], Refusal | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A check as people read of it. `rule` with the id of the field's rule it comes from, `reads` with how fresh it must be,
    `missing`: what happens when that is not there.
    """

    check: Check
    rule: str
    reasons: tuple[Reason, ...]
    reads: str
    missing: str = "–"
    reductions_too: bool = False
    passes: Callable[[Standing], bool] = lambda _: False
    """Whether every order passes while the account stands so: then nobody need ask."""


_RISK, _FOLD = "risk.yaml", "orders and fills, folded and on their way"
_EQUITY = "EQUITY of the equity source, not older than `stale_equity_s`"
_NO_EQUITY = "denied by `stale_equity`"
TABLE: tuple[Row, ...] = (
    Row(
        order.request_is_fresh,
        "an ORDER_REQUEST event is answered within `request_ttl_ms` of min(ts, stream time)",
        (Reason.REQUEST_EXPIRED,),
        "the event; the stream's time",
        reductions_too=True,
    ),
    Row(
        account.not_halted,
        "no halt of the account, the bot or the symbol is in force",
        (Reason.HALTED, Reason.KILL_SWITCH, Reason.DAILY_LOSS, Reason.MAX_DRAWDOWN),
        "RISK_STATE, latch files, memory",
        passes=lambda standing: standing.halt is None and standing.scoped is None,
    ),
    Row(account.bot_may_open, "the bot's mode is not `off`", (Reason.MODE_OFF,), "supervisor.yaml"),
    Row(
        account.entries_allowed,
        "`(H − E) × 100 ≤ soft_pct × H` (DD-4)",
        (Reason.REDUCE_ONLY_MODE,),
        _EQUITY,
        _NO_EQUITY,
        passes=lambda standing: standing.trading_state is not TradingState.REDUCING,
    ),
    Row(order.symbol_allowed, "the symbol stands in risk.yaml", (Reason.SYMBOL_NOT_ALLOWED,), _RISK, "denied"),
    Row(
        limit.strategy_enabled,
        "neither the strategy nor the bot is disabled for repeating itself (TH-2)",
        (Reason.REPEATED_ORDER,),
        "the fold, and decisions on their way",
    ),
    Row(
        account.bot_alive,
        "age of the bot's newest HEARTBEAT ≤ `stale_heartbeat_s`",
        (Reason.BOT_NOT_ALIVE,),
        "arrival of HEARTBEAT since this process started; wall time",
        "denied",
        passes=lambda standing: standing.limits.stale_heartbeat_s is None,
    ),
    Row(
        order.qty_in_bounds,
        "`min_qty ≤ qty ≤ max_qty`",
        (Reason.QTY_TOO_SMALL, Reason.QTY_TOO_LARGE),
        _RISK,
    ),
    Row(
        order.reduce_only_does_not_flip,
        "a reduce-only order has `opening = 0` (OP-2)",
        (Reason.REDUCE_ONLY_WOULD_FLIP,),
        _FOLD,
    ),
    Row(
        order.has_price,
        "some price counts, and every position has one (NO-2)",
        (Reason.NO_PRICE,),
        "the order; for MARKET a MARK not older than `stale_price_s` (15 s when that is off)",
        "denied",
    ),
    Row(
        order.price_collar,
        "`abs(price − fair) × 100 ≤ price_collar_pct × fair`, of price and stop price (CO-1)",
        (Reason.PRICE_COLLAR, Reason.NO_PRICE),
        "MARK not older than `stale_price_s`: middle of bid and ask, else mark; `clock: event`: reference_price",
        "denied, NO_PRICE",
        passes=lambda standing: not standing.rules.collared,
    ),
    Row(
        account.stale_equity,
        "age of the newest EQUITY ≤ `stale_equity_s`, and today has a base (DL-7)",
        (Reason.STALE_EQUITY,),
        "EQUITY of the equity source: min(ts, stream time)",
        "denied",
    ),
    Row(
        account.untrusted_equity,
        "equity trusted and > 0, day base > 0 (EQ-6)",
        (Reason.EQUITY_UNTRUSTED,),
        _EQUITY,
        _NO_EQUITY,
        passes=lambda standing: standing.usable,
    ),
    Row(
        account.position_agrees,
        "no difference over `position_drift_qty` stands between the symbol's fills and its reported position (R11)",
        (Reason.POSITION_DRIFT,),
        "EQUITY of the equity source, made after the symbol's last fill; not older than `stale_equity_s`",
        "an EQUITY without positions says nothing",
        passes=lambda standing: not standing.drifts,
    ),
    Row(
        limit.max_order_notional,
        "`qty × price × contract ≤ max_order_notional`",
        (Reason.ORDER_NOTIONAL_TOO_LARGE,),
        "the order",
        "denied by `has_price`",
    ),
    Row(
        limit.max_notional_per_symbol,
        "symbol exposure + new ≤ `max_notional_per_symbol`, and the symbol's `max_notional`",
        (Reason.SYMBOL_NOTIONAL_TOO_LARGE,),
        _FOLD,
        "denied by `has_price`",
    ),
    Row(
        limit.max_gross_exposure,
        "gross exposure + new ≤ `max_gross_exposure` (LV-1)",
        (Reason.GROSS_EXPOSURE_TOO_LARGE,),
        _FOLD,
        "denied by `has_price`",
    ),
    Row(
        limit.max_leverage,
        "gross exposure + new ≤ `max_leverage` × equity (LV-1, LV-2)",
        (Reason.LEVERAGE_TOO_HIGH,),
        f"{_FOLD}; {_EQUITY}",
        _NO_EQUITY,
    ),
    Row(
        account.max_daily_loss,
        "`max(0, E0 + F − E)` and `max(0, B0 + F − B)` `< min(amount, pct × E0)` (DL-3, DL-4)",
        (Reason.DAILY_LOSS,),
        _EQUITY,
        _NO_EQUITY,
        passes=lambda standing: standing.loss < standing.loss_limit,
    ),
    Row(
        account.max_drawdown,
        "`(H − E) × 100 ≤ hard_pct × H` (DD-1)",
        (Reason.MAX_DRAWDOWN,),
        _EQUITY,
        _NO_EQUITY,
        passes=lambda standing: not standing.too_deep,
    ),
    Row(
        limit.max_open_orders,
        "live orders + 1 ≤ `max_open_orders`, of the account, of the bot, of the strategy",
        (Reason.TOO_MANY_OPEN_ORDERS,),
        _FOLD,
    ),
    Row(
        limit.order_rate,
        "fewer than `count` allowed orders and cancels in the last `per_s` seconds (TH-1)",
        (Reason.ORDER_RATE,),
        _FOLD,
        passes=lambda standing: not standing.rules.rated,
    ),
    Row(
        limit.repeated_order,
        "fewer than `count` openings of one (strategy, symbol, side, lots) in `per_s` seconds, this one included (TH-2)",
        (Reason.REPEATED_ORDER,),
        _FOLD,
        passes=lambda standing: not standing.rules.repeats,
    ),
)
CHECKS: tuple[Check, ...] = tuple(row.check for row in TABLE)
PASSES = {row.check: row.passes for row in TABLE}
OF_REDUCTIONS_TOO = frozenset(row.check for row in TABLE if row.reductions_too)
