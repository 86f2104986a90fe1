"""What each case must reach and what it aims at, as ratios to its base. `make bench-check` fails on a missed gate."""

from dataclasses import dataclass
from enum import Enum


class Figure(Enum):
    """Which figure of a case a target speaks of; for rates more is better, for the others less."""

    RATE = "rate"
    CPU = "CPU"
    LATENCY = "p50"


@dataclass(frozen=True, slots=True)
class Target:
    """`gate`: must, `goal`: aim."""

    case: str
    figure: Figure
    gate: float
    goal: float

    def reached(self, value: float) -> str:
        """`goal`, `gate` or `missed`."""
        better = (lambda a, b: a >= b) if self.figure is Figure.RATE else (lambda a, b: a <= b)
        return "goal" if better(value, self.goal) else "gate" if better(value, self.gate) else "missed"


CACHE, ALWAYS = "journaled, page cache", "journaled, fsync always"
TARGETS = (
    Target("HTTP 8, decided, no journal", Figure.RATE, 0.45, 0.65),
    Target("HTTP 64, decided, no journal", Figure.RATE, 0.40, 0.65),
    Target(f"HTTP 8, {CACHE}", Figure.RATE, 0.33, 0.40),
    Target(f"HTTP 64, {CACHE}", Figure.RATE, 0.50, 0.60),
    Target(f"HTTP 8, {ALWAYS}", Figure.RATE, 0.17, 0.22),
    Target(f"HTTP 64, {ALWAYS}", Figure.RATE, 0.40, 0.50),
    Target(f"HTTP 8, {CACHE}", Figure.CPU, 2.8, 2.0),
    Target(f"HTTP 64, {CACHE}", Figure.CPU, 1.7, 1.2),
    Target(f"HTTP 8, {ALWAYS}", Figure.CPU, 3.5, 2.5),
    Target(f"HTTP 64, {ALWAYS}", Figure.CPU, 1.8, 1.25),
    Target("group ÷ one by one, HTTP 64, page cache", Figure.RATE, 1.4, 1.7),
    Target("group ÷ one by one, HTTP 64, fsync always", Figure.RATE, 3.0, 4.5),
    Target(f"NATS 1, {CACHE}", Figure.LATENCY, 2.0, 1.7),
    Target(f"NATS 1, {ALWAYS}", Figure.LATENCY, 3.3, 2.6),
    Target(f"NATS 64, {CACHE}", Figure.RATE, 0.50, 0.60),
    Target(f"NATS 64, {ALWAYS}", Figure.RATE, 0.35, 0.45),
    Target("core ÷ json.loads", Figure.CPU, 1.7, 1.3),
    Target("core, 1,000 open orders ÷ 1", Figure.CPU, 1.2, 1.05),
    Target("core, 1,000 symbols ÷ 20", Figure.CPU, 1.2, 1.05),
    Target("fold, 1 events a message", Figure.RATE, 1.5, 1.9),
    Target("fold, 64 events a message", Figure.RATE, 3.0, 4.1),
    Target("ingest's drain ÷ the slower of both", Figure.RATE, 0.60, 0.60),
)
"""The targets of the gateway's speed (its measured limits say what is possible)."""
