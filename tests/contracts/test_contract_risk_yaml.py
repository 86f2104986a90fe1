"""risk.yaml: safety limits have no default, unknown keys are errors, and what the build does not enforce stops the start."""

import copy
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from fleet_contracts import risk_config
from fleet_contracts.risk_config import (
    ENFORCED,
    ENFORCED_OVERRIDES,
    ENFORCED_SYMBOL_LIMITS,
    Overrides,
    RiskConfig,
    SymbolRules,
    UnenforcedLimit,
    refuse_unenforced,
)

SYMBOL = {"lot": "0.001", "tick": "0.5", "contract_size": 1, "min_qty": "0.001", "max_qty": "10"}
LIMITS: dict[str, Any] = {
    "max_daily_loss": {"amount": 500, "pct": 5},
    "max_drawdown": {"soft_pct": 8, "hard_pct": 12},
    "max_order_notional": 5000,
    "max_notional_per_symbol": 10000,
    "max_gross_exposure": 20000,
    "max_leverage": 3,
    "max_open_orders": 20,
    "stale_equity_s": 30,
}
WIRE_OPTIONAL: dict[str, Any] = {
    "order_rate": {"count": 20, "per_s": 1},
    "repeated_order": {"count": 5, "per_s": 10},
    "price_collar_pct": 3,
    "stale_price_s": 15,
    "stale_heartbeat_s": 10,
    "position_drift_qty": "0",
    "untrusted_equity_s": 900,
    "warn_pct": 60,
}
WIRE: dict[str, Any] = {
    "accounts": {
        "main": {
            "currency": "USDT",
            "day": {"zone": "UTC", "cutoff": "00:00", "base": "equity", "auto_resume": False},
            "decision_valid_s": 5,
            "hold_grace_s": 10,
            "request_ttl_ms": 2000,
            "taker_fee_bps": 5,
            "symbols": {"BTC-PERP": SYMBOL},
            "limits": LIMITS,
            "bots": {},
            "strategies": {},
            "on_hard_breach": "close_positions",
        }
    }
}


def config(*path: str, to: Any = None) -> dict[str, Any]:
    """WIRE's file with one value of account main different; None takes it away."""
    changed = copy.deepcopy(WIRE)
    place: Any = changed["accounts"]["main"]
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return changed


def with_limits(**more: Any) -> RiskConfig:
    return RiskConfig.model_validate(config("limits", to=LIMITS | more))


def test_the_file_of_the_contract_is_read_exactly() -> None:
    limits = RiskConfig.model_validate(WIRE).accounts["main"].limits
    assert (limits.max_order_notional, limits.max_drawdown.hard_pct) == (Decimal(5000), Decimal(12))


def test_every_limit_of_the_full_gateway_has_its_place() -> None:
    assert with_limits(**WIRE_OPTIONAL).accounts["main"].limits.warn_pct == 60


@pytest.mark.parametrize("limit", LIMITS)
def test_a_safety_limit_has_no_default(limit: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RiskConfig.model_validate(config("limits", limit))
    assert caught.value.errors()[0]["loc"] == ("accounts", "main", "limits", limit)


@pytest.mark.parametrize(
    "path",
    [
        ("limits", "max_lverage"),
        ("day", "timezone"),
        ("symbols", "BTC-PERP", "lots"),
        ("limits", "max_drawdown", "pct"),
        ("ccy",),
    ],
)
def test_an_unknown_key_is_an_error_that_says_where(path: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        RiskConfig.model_validate(config(*path, to=1))
    assert caught.value.errors()[0]["loc"] == ("accounts", "main", *path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("limits", "max_leverage"), 0),
        (("limits", "max_leverage"), -1),
        (("limits", "max_leverage"), True),
        (("limits", "max_leverage"), float("nan")),
        (("limits", "max_leverage"), "lots"),
        (("limits", "max_open_orders"), 1.5),
        (("limits", "max_open_orders"), True),
        (("limits", "stale_equity_s"), 0),
        (("limits", "stale_equity_s"), "30"),
        (("limits", "max_daily_loss"), {"amount": 500}),
        (("limits", "max_daily_loss"), {"amount": 500, "pct": 101}),
        (("limits", "max_drawdown"), {"soft_pct": 13, "hard_pct": 12}),
        (("symbols", "BTC-PERP", "min_qty"), "11"),
        (("symbols", "BTC-PERP", "lot"), 0),
        (("day", "zone"), "Mars/Olympus"),
        (("day", "cutoff"), "24:00"),
        (("day", "base"), "hope"),
        (("currency",), "dollars"),
        (("on_hard_breach",), "pray"),
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_an_error(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(ValidationError):
        RiskConfig.model_validate(config(*path, to=value))


def test_what_the_contract_s_required_limits_say_is_enforced() -> None:
    refuse_unenforced(RiskConfig.model_validate(WIRE))
    assert set(LIMITS) <= ENFORCED


@pytest.mark.parametrize("limit", sorted(set(WIRE_OPTIONAL) - ENFORCED))
def test_a_limit_that_the_build_does_not_enforce_stops_the_start(limit: str) -> None:
    with pytest.raises(UnenforcedLimit, match=rf"accounts\.main\.limits\.{limit}"):
        refuse_unenforced(with_limits(**{limit: WIRE_OPTIONAL[limit]}))


def test_every_limit_a_bot_a_strategy_or_a_symbol_can_have_is_enforced() -> None:
    whole = RiskConfig.model_validate(config("bots", to={"qe1": dict.fromkeys(Overrides.model_fields)}))
    assert set(Overrides.model_fields) == ENFORCED_OVERRIDES
    assert set(SymbolRules.model_fields) - set(SYMBOL) == ENFORCED_SYMBOL_LIMITS
    refuse_unenforced(whole)


@pytest.mark.parametrize(
    ("path", "value", "enforced"),
    [
        (("bots",), {"qe1": {"max_leverage": 2}}, "ENFORCED_OVERRIDES"),
        (("strategies",), {"scalp": {"order_rate": {"count": 1, "per_s": 1}}}, "ENFORCED_OVERRIDES"),
        (("symbols", "BTC-PERP"), {**SYMBOL, "max_notional": 100}, "ENFORCED_SYMBOL_LIMITS"),
    ],
    ids=str,
)
def test_limits_of_a_bot_a_strategy_or_a_symbol_would_be_refused_if_they_were_not_enforced(
    path: tuple[str, ...], value: object, enforced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_unenforced(RiskConfig.model_validate(config(*path, to=value)))
    monkeypatch.setattr(risk_config, enforced, frozenset())
    with pytest.raises(UnenforcedLimit):
        refuse_unenforced(RiskConfig.model_validate(config(*path, to=value)))


def test_one_order_is_no_repetition_and_no_throttle_remembers_more_than_it_can() -> None:
    for limit, count in (("repeated_order", 1), ("order_rate", 0), ("order_rate", 10_001), ("repeated_order", 10_001)):
        with pytest.raises(ValidationError):
            with_limits(**{limit: {"count": count, "per_s": 1}})
