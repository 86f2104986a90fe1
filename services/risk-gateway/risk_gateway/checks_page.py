"""Writes the table of checks into docs/risk-gateway.md: `python -m risk_gateway.checks_page`. Needs a checkout."""

from pathlib import Path

from risk_gateway.core.checks import TABLE, Row

PAGE = Path(__file__).parents[3] / "docs" / "risk-gateway.md"
BEGIN, END = "<!-- checks: made by `python -m risk_gateway.checks_page` -->\n", "<!-- end of checks -->\n"
_HEAD = "| check | rule | reason | asked of | reads | when that is missing |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """A row for every check, in the order in which they run."""
    return _HEAD + "".join(_line(row) for row in TABLE)


def page(now: str) -> str:
    """The page as it should be; raises ValueError when it has lost its marks."""
    before, begin, rest = now.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has lost the marks between which the table stands")
    return before + BEGIN + table() + END + after


def _line(row: Row) -> str:
    asked = "openings" if not row.reductions_too else "all, at the event door"
    cells = [f"`{row.check.__name__}`", row.rule, ", ".join(row.reasons), asked, row.reads, row.missing]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
