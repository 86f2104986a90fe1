"""docs/risk-gateway.md is the table of checks: every check has its row, in the order in which they run."""

from types import FunctionType, ModuleType

import pytest

from fleet_contracts import NO_DECISIONS, Reason
from risk_gateway.checks_page import PAGE, page
from risk_gateway.core import account_checks, limit_checks, order_checks
from risk_gateway.core.checks import CHECKS, TABLE
from risk_gateway.core.judge import CHECKS as ASKED

BEFORE_THE_TABLE = {Reason.OK, Reason.IDEMPOTENCY_CONFLICT, Reason.DECISION_EXPIRED}


def test_the_page_is_what_the_table_says() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run python -m risk_gateway.checks_page"


@pytest.mark.parametrize("module", [account_checks, limit_checks, order_checks])
def test_every_check_has_its_row_and_runs(module: ModuleType) -> None:
    checks = {
        value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert checks <= set(CHECKS) == set(ASKED)


def test_every_row_says_its_rule_and_what_it_reads() -> None:
    assert all(row.check.__doc__ and row.rule and row.reads and row.reasons for row in TABLE)


def test_the_table_gives_every_reason_of_a_decision_but_those_of_other_parts() -> None:
    given = {reason for row in TABLE for reason in row.reasons}
    others = {Reason.ENTRIES_BLOCKED, Reason.OUTSIDE_TRADING_HOURS}
    assert given >= set(Reason) - NO_DECISIONS - BEFORE_THE_TABLE - others
