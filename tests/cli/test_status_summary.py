"""What `supervisor status` says below its table."""

import pytest

from fleet_chassis.settings import FleetSettings
from fleet_cli.status import _say_summary


@pytest.mark.parametrize(
    ("gated", "ungated", "pct", "said"),
    [
        (3, 1, "75", "coverage 75 % of 4 fills on 2026-01-05: 1 UNGATED"),
        (4, 0, "100", "coverage 100 % of 4 fills on 2026-01-05"),
    ],
)
def test_an_account_s_line_ends_with_the_coverage_of_its_fills(
    gated: int, ungated: int, pct: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    coverage = {"day": "2026-01-05", "observed_fills": 4, "gated_fills": gated, "ungated_fills": ungated, "pct": pct}
    view = {"accounts": [{"account": "main", "trading_state": "ACTIVE", "coverage": coverage}]}
    _say_summary(FleetSettings(), "ready", view, None)
    out = capsys.readouterr()
    line = next(line for line in (out.out + out.err).splitlines() if "account main" in line)
    assert line.endswith(said)
