"""docs/risk-gateway.md is the table of checks: every check has its row, in the order in which they run."""

import re
from pathlib import Path

from fleet_contracts import Reason
from risk_gateway.core.checks import CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "risk-gateway.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \|.*?\| ([A-Z_, ]+) \|", PAGE, re.MULTILINE)


def test_every_check_has_its_row_in_the_order_of_the_code() -> None:
    assert [name for name, _ in ROWS] == [check.__name__ for check in CHECKS]


def test_every_reason_in_the_table_exists() -> None:
    named = {reason for _, reasons in ROWS for reason in reasons.split(", ")}
    assert named <= {reason.value for reason in Reason}


def test_every_check_says_its_rule() -> None:
    assert all(check.__doc__ for check in CHECKS)
