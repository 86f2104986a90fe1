"""EQ-5: untrusted equity alone halts only after a window, whose beginning is folded."""

from datetime import timedelta

import pytest

from parts.account_log import AccountLog, log_of
from risk_gateway.core.account import Account

WINDOW = {"untrusted_equity_s": 900, "stale_equity_s": 86_400}
OVER = "9400"
"""600 lost of at most 500."""


def after(log: AccountLog, seconds: float, amount: str, *, priced: bool = False) -> list[str]:
    """An EQUITY so many seconds later; the causes of the halts in force then."""
    log.now += timedelta(seconds=seconds - 1)
    log.equity(amount, priced=priced)
    return [halt.cause for halt in log.core.halts]


def test_untrusted_equity_over_a_limit_halts_after_the_window_and_not_before() -> None:
    log = log_of(limits=WINDOW)
    assert after(log, 10, OVER) == []
    assert log.said().reason == "EQUITY_UNTRUSTED", "no entries meanwhile (EQ-6)"
    assert after(log, 899, OVER) == []
    assert after(log, 1, OVER) == ["DAILY_LOSS"]
    assert log.core.state.doubts == {}


def test_without_a_window_it_halts_at_once() -> None:
    assert after(log_of(limits={"stale_equity_s": 86_400}), 10, OVER) == ["DAILY_LOSS"]


def test_trusted_equity_over_a_limit_halts_at_once() -> None:
    assert after(log_of(limits=WINDOW), 10, OVER, priced=True) == ["DAILY_LOSS"]


def test_a_trusted_figure_under_the_limit_begins_the_window_anew() -> None:
    log = log_of(limits=WINDOW)
    after(log, 10, OVER)
    after(log, 800, "10000", priced=True)
    after(log, 10, OVER)
    assert after(log, 890, OVER) == []
    assert after(log, 10, OVER) == ["DAILY_LOSS"]


def test_an_untrusted_figure_under_the_limit_proves_nothing() -> None:
    """EQ-4: untrusted equity may raise a loss, never lower it."""
    log = log_of(limits=WINDOW)
    after(log, 10, OVER)
    after(log, 450, "10000")
    assert after(log, 450, OVER) == ["DAILY_LOSS"]


@pytest.mark.parametrize("amount", [OVER, "8700"])
def test_a_restart_inside_the_window_does_not_extend_it(amount: str) -> None:
    log = log_of(limits=WINDOW)
    after(log, 10, amount)
    log.core = Account.load("main", log.setup, log.core.dump())
    assert after(log, 899, amount) == []
    assert "DAILY_LOSS" in after(log, 1, amount)
    assert log.core.dump() == log.anew().dump()
