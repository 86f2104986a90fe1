"""Ingest's metrics, declared once; read from its counters when they are scraped."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet_chassis.gc_pauses import GcPauses


@dataclass(slots=True)
class Lag:
    """How far behind a stream we are: messages not acknowledged, and the age of the oldest one in hand, in seconds."""

    messages: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Counts:
    """What ingest has done since it started. Rows count again when an outage makes it write them again."""

    messages: int = 0
    lines: int = 0
    rows: int = 0
    outages: int = 0
    stalls: int = 0
    replayed: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    lag: dict[str, Lag] = field(default_factory=dict)
    free_bytes: int | None = None

    def letter(self, reason: str) -> None:
        """One more letter in DEAD."""
        self.letters[str(reason)] += 1


class _Ingest(Collector):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        counts = self._counts
        for name, what, value in (
            ("ingest_messages", "Messages stored and acknowledged", counts.messages),
            ("ingest_lines", "Lines committed", counts.lines),
            ("ingest_rows", "Rows committed", counts.rows),
            ("ingest_outages", "Times QuestDB did not take a batch", counts.outages),
            ("ingest_stalls", "Times a stuck writer was replaced", counts.stalls),
            ("ingest_replayed_lines", "Lines read again on request", counts.replayed),
        ):
            yield CounterMetricFamily(name, what, value)
        dead = CounterMetricFamily("ingest_dead_letters", "Bad lines written to DEAD, by reason", labels=["reason"])
        for reason, count in counts.letters.items():
            dead.add_metric([reason], count)
        behind = GaugeMetricFamily("ingest_lag_messages", "Messages not yet acknowledged", labels=["stream"])
        age = GaugeMetricFamily("ingest_lag_seconds", "Age of the oldest message in hand", labels=["stream"])
        for stream, lag in counts.lag.items():
            behind.add_metric([stream], lag.messages)
            age.add_metric([stream], lag.seconds)
        yield from (dead, behind, age)
        if counts.free_bytes is not None:
            yield GaugeMetricFamily("ingest_database_free_bytes", "Room left for the database", counts.free_bytes)


def registry_of(counts: Counts, pauses: GcPauses) -> CollectorRegistry:
    """A registry of its own for this process."""
    registry = CollectorRegistry()
    longest = Gauge("ingest_gc_longest_pause_seconds", "Longest stop by the garbage collector", registry=registry)
    longest.set_function(lambda: pauses.longest_s)
    registry.register(_Ingest(counts))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
