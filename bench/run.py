"""`python bench/run.py [--rounds 4] [--only core,fold,nats,http,ingest] [--check] [--write]`: one table of ratios.

Every case stands between two samples of its base in the same run. `--write` puts the table into docs/benchmarks.md, `--check`
ends with 1 when a gate of gates.py is missed.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import core_cases
import fold_cases
import http_cases
import ingest_cases
import nats_cases
from gates import TARGETS, Figure
from sampling import Ratios, spread

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ROOMS: dict[str, Callable[[Path, int, Callable[[str], None]], dict[str, Ratios]]] = {
    "http": http_cases.measure,
    "nats": nats_cases.measure,
    "fold": fold_cases.measure,
    "ingest": ingest_cases.measure,
}
MARK = "<!-- made by `make bench` -->"


def measure(rooms: list[str], rounds: int) -> dict[str, Ratios]:
    """All cases of the rooms."""
    found: dict[str, Ratios] = {}
    with tempfile.TemporaryDirectory() as folder:
        for room in rooms:
            if room == "core":
                found |= {name: Ratios(cpu=[ratio]) for name, ratio in core_cases.measure().items()}
            else:
                found |= ROOMS[room](Path(folder) / room, rounds, _say)
    return found


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")


def rows(found: dict[str, Ratios]) -> Iterator[str]:
    """The table, a line a case."""
    yield "| case | rate × base | server CPU × base | p50 × base | quiet of samples | reached |"
    yield "|---|---:|---:|---:|---:|---|"
    for name, ratios in found.items():
        samples = f"{ratios.quiet} of {len(ratios.rate) + ratios.dropped}" if ratios.latency else "–"
        reached = ", ".join(f"{figure} {what}" for figure, what in verdicts(name, ratios)) or "–"
        cells = (name, spread(ratios.rate), spread(ratios.cpu), spread(ratios.latency), samples, reached)
        yield f"| {' | '.join(cells)} |"


def verdicts(name: str, ratios: Ratios) -> Iterator[tuple[str, str]]:
    """Each target of a case, and whether goal or gate are reached or missed."""
    values = {Figure.RATE: ratios.rate, Figure.CPU: ratios.cpu, Figure.LATENCY: ratios.latency}
    for target in TARGETS:
        if target.case == name and values[target.figure]:
            yield target.figure.value, target.reached(median(values[target.figure]))


def machine() -> str:
    """What the figures were measured on."""
    cores, python = os.cpu_count(), platform.python_version()
    return f"{cores} cores, {platform.system()} {platform.machine()}, Python {python}"


def write(table: list[str], command: str) -> None:
    """Put the table into the page, below its mark."""
    text = PAGE.read_text() if PAGE.exists() else f"# Benchmarks\n\n{MARK}\n"
    head = text.split(MARK)[0]
    PAGE.write_text(f"{head}{MARK}\n\n`{command}`, {machine()}. Medians; in brackets the smallest and the largest ratio.\n\n")
    with PAGE.open("a") as page:
        page.write("\n".join(table) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="core,fold,nats,http,ingest")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    try:
        found = measure(given.only.split(","), given.rounds)
    except http_cases.NoLoadGenerator as error:
        _say(f"bench: {error}")
        return 2
    table = list(rows(found))
    print("\n".join(table))
    if given.write:
        write(table, f"python bench/run.py --rounds {given.rounds} --only {given.only}")
    missed = [
        f"{name}: {figure}" for name, ratios in found.items() for figure, what in verdicts(name, ratios) if what == "missed"
    ]
    if given.check and missed:
        _say("missed gates: " + "; ".join(missed))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
