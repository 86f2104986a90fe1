"""The gateway's metrics, declared once; read from the state when they are scraped, so the hot path counts nothing twice."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet_chassis.gc_pauses import GcPauses
from risk_gateway.core.drift import drifts
from risk_gateway.shard import Shard


class _Shards(Collector):
    def __init__(self, shards: Mapping[str, Shard]) -> None:
        self._shards = shards

    def collect(self) -> Iterable[Metric]:
        decisions = CounterMetricFamily("gateway_decisions", "Decisions folded, by reason", labels=["account", "reason"])
        leads = GaugeMetricFamily("gateway_leads", "1 while this instance leads the account", labels=["account"])
        folded = GaugeMetricFamily("gateway_folded_seq", "Sequence of the last folded message", labels=["account"])
        skipped = CounterMetricFamily("gateway_skipped_lines", "Lines the fold passed over", labels=["account"])
        gross = GaugeMetricFamily("gateway_gross_exposure", "Gross exposure, account currency", labels=["account"])
        waiting = GaugeMetricFamily("gateway_waiting_requests", "Callers waiting for an answer", labels=["account"])
        overloaded = CounterMetricFamily("gateway_overloaded", "Requests answered OVERLOADED", labels=["account"])
        gated = CounterMetricFamily("gateway_gated_fills", "Fills of orders the gateway had allowed", labels=["account"])
        ungated = CounterMetricFamily(
            "gateway_ungated_fills", "Fills of orders the gateway never saw, or denied", labels=["account"]
        )
        coverage = GaugeMetricFamily(
            "gateway_coverage_ratio", "Gated / observed fills of the newest day with any", labels=["account"]
        )
        unknown = GaugeMetricFamily(
            "gateway_asked_orders", "Orders a bot was asked about and has not accounted for", labels=["account"]
        )
        drifting = GaugeMetricFamily(
            "gateway_drifting_symbols", "Positions that differ from the reported ones; they deny entries", labels=["account"]
        )
        unplaced = CounterMetricFamily(
            "gateway_unplaced_fills", "Fills that belong to no symbol anybody knows", labels=["account"]
        )
        unpriced = GaugeMetricFamily(
            "gateway_unpriced_symbols", "Positions without a price; they deny openings", labels=["account"]
        )
        for name, shard in self._shards.items():
            leads.add_metric([name], float(shard.leads))
            if not shard.is_open:
                continue
            state, fold = shard.core.state, shard.drive.pipeline.fold
            for reason, count in state.decided.items():
                decisions.add_metric([name, reason], count)
            folded.add_metric([name], fold.seq)
            skipped.add_metric([name], fold.skipped)
            gross.add_metric([name], float(state.exposure.gross))
            waiting.add_metric([name], shard.desk.waiting)
            overloaded.add_metric([name], shard.desk.overloaded)
            gated.add_metric([name], state.gated_fills)
            ungated.add_metric([name], state.ungated_fills)
            coverage.add_metric([name], float(state.coverage.pct) / 100)
            unknown.add_metric([name], len(state.inquiries))
            drifting.add_metric([name], len(drifts(state)))
            unplaced.add_metric([name], state.unplaced_fills)
            unpriced.add_metric([name], len(state.exposure.unpriced))
        fills = [gated, ungated, unplaced, coverage]
        return [decisions, leads, folded, skipped, gross, waiting, overloaded, *fills, unknown, drifting, unpriced]


def registry_of(shards: Mapping[str, Shard], pauses: GcPauses) -> CollectorRegistry:
    """A registry of its own for this process."""
    registry = CollectorRegistry()
    longest = Gauge(
        "gateway_gc_longest_pause_seconds", "Longest stop by the garbage collector since it serves", registry=registry
    )
    longest.set_function(lambda: pauses.longest_s)
    registry.register(_Shards(shards))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
