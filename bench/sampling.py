"""How things are measured here: a case always between two samples of its base in the same run; ratios, never absolutes.

One sample is a second of load. The foreign load is noted with it (what others used of the machine meanwhile): a quiet
sample had less than a tenth of a core beside it, and one with more than 1.5 cores is thrown away.
"""

import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
QUIET_CORES = 0.1
FOREIGN_CORES_MAX = 1.5
WAIT_S = 4.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of load: requests a second, server CPU and median latency per request (µs), foreign cores."""

    rate: float
    cpu_us: float
    latency_us: float = 0.0
    foreign: float = 0.0

    @property
    def quiet(self) -> bool:
        return self.foreign < QUIET_CORES


@dataclass(slots=True)
class Ratios:
    """Of one case against its base: a ratio per round, of rate, CPU and latency."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    quiet: int = 0
    dropped: int = 0

    def add(self, sample: Sample, before: Sample, after: Sample) -> None:
        """One round."""
        if max(sample.foreign, before.foreign, after.foreign) > FOREIGN_CORES_MAX:
            self.dropped += 1
            return
        self.rate.append(sample.rate / ((before.rate + after.rate) / 2))
        self.cpu.append(sample.cpu_us / ((before.cpu_us + after.cpu_us) / 2) if before.cpu_us + after.cpu_us else 0.0)
        base = (before.latency_us + after.latency_us) / 2
        self.latency.append(sample.latency_us / base if base else 0.0)
        self.quiet += sample.quiet and before.quiet and after.quiet


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time these processes have used."""
    total = 0.0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) * TICK_S
    return total


def busy_s() -> float:
    """What all cores together have worked."""
    with open("/proc/stat") as file:
        fields = [int(text) for text in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) * TICK_S


def own_s() -> float:
    """What this process and its finished children have used."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


@dataclass(slots=True)
class Watch:
    """CPU of the measured server, and foreign load, between `__init__` and `sample`."""

    server: int
    others: Sequence[int] = ()
    begun: float = field(default_factory=time.perf_counter)
    _cpu: float = 0.0
    _known: float = 0.0
    _busy: float = 0.0

    def __post_init__(self) -> None:
        self._cpu, self._known, self._busy = cpu_s([self.server]), self._ours(), busy_s()

    def sample(self, requests: int, seconds: float, latency_us: float = 0.0) -> Sample:
        """The figures since the beginning."""
        elapsed = time.perf_counter() - self.begun
        cpu = cpu_s([self.server]) - self._cpu
        foreign = (busy_s() - self._busy) - (self._ours() - self._known)
        return Sample(requests / seconds, cpu / max(requests, 1) * 1e6, latency_us, max(0.0, foreign / elapsed))

    def _ours(self) -> float:
        return cpu_s([self.server, *self.others]) + own_s()


def wait_for_quiet() -> None:
    """Up to some seconds; then measure all the same."""
    until = time.perf_counter() + WAIT_S
    while time.perf_counter() < until:
        busy, own, begun = busy_s(), own_s(), time.perf_counter()
        time.sleep(0.2)
        if (busy_s() - busy) - (own_s() - own) < 2 * QUIET_CORES * (time.perf_counter() - begun):
            return


def interleave(
    base: Callable[[], Sample], cases: Mapping[str, Callable[[], Sample]], rounds: int, say: Callable[[str], None]
) -> dict[str, Ratios]:
    """B V1 B V2 B … for each round; every case against the base before and after it."""
    ratios = {name: Ratios() for name in cases}
    for number in range(rounds):
        wait_for_quiet()
        before = base()
        for name, case in cases.items():
            sample = case()
            after = base()
            ratios[name].add(sample, before, after)
            before = after
            say(f"round {number + 1}/{rounds}  {name}: {sample.rate:,.0f}/s, base {after.rate:,.0f}/s")
    return ratios


def spread(values: Sequence[float]) -> str:
    """`median (min–max)`."""
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})" if values else "–"
