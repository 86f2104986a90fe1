"""The NATS request door against a bare nats-py echo, over the same two accounts, by the same requester: 1 and 64 in flight."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from http_cases import SECONDS, Server, gateway, pin
from nats.aio.client import Client
from plain_nats import plain
from sampling import Ratios, Sample, Watch, interleave

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parts.nats import Nats, started

_APP = str(Path(__file__).parent / "apps.py")
DOOR = "svc.risk.evaluate.main.qe1"
_names = itertools.count()


@dataclass
class Target:
    """A responder behind a NATS of its own, and the requester's connection to it."""

    server: Server
    client: Client
    runner: asyncio.Runner

    def load(self, in_flight: int) -> Sample:
        """A second of new orders. Raises RuntimeError when an answer is no decision."""
        before = self.server.decided() if self.server.decided else 0
        watch = Watch(self.server.pid, self.server.others)
        seconds, latencies = self.runner.run(self._ask(in_flight))
        sample = watch.sample(len(latencies), seconds, median(latencies) * 1e6)
        if not self.server.has_decided(before, len(latencies)):
            raise RuntimeError(f"{self.server.name}: not every answer is a decision")
        return sample

    async def _ask(self, in_flight: int) -> tuple[float, list[float]]:
        latencies: list[float] = []
        begun = time.perf_counter()

        async def one() -> None:
            while (asked := time.perf_counter()) - begun < SECONDS:
                await self.client.request(DOOR, _order(), timeout=10)
                latencies.append(time.perf_counter() - asked)

        await asyncio.gather(*(one() for _ in range(in_flight)))
        return time.perf_counter() - begun, latencies


def _order() -> bytes:
    order = {"order_id": f"n{os.getpid()}-{next(_names)}", "symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT"}
    return json.dumps(order | {"qty": "0.010", "price": "43000.5", "strategy": "scalp", "reference_price": "43001"}).encode()


@contextmanager
def echo(folder: Path) -> Iterator[tuple[Server, Nats]]:
    """nats-py that answers every request with a constant."""
    with started(folder) as nats:
        command = [
            sys.executable,
            str(Path(__file__).parent / "apps.py"),
            "nats-echo",
            nats.url,
            str(nats.seed("risk-gateway")),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            pin(process.pid)
            assert nats.server.process is not None
            yield Server("echo", process.pid, nats.url, others=(nats.server.process.pid,)), nats
        finally:
            process.kill()
            process.wait(10)


def measure(folder: Path, rounds: int, say: Callable[[str], None]) -> dict[str, Ratios]:
    """Every case against the echo."""
    found: dict[str, Ratios] = {}
    runner = asyncio.Runner()
    stack = AsyncExitStack()
    try:
        targets = {}
        base_server, base_nats = stack.enter_context(echo(folder / "echo"))
        served = [("echo", base_server, base_nats)]
        for name, sync in (("page cache", "10s"), ("fsync always", "always")):
            server, nats = stack.enter_context(gateway(folder / sync, sync))
            served.append((f"journaled, {name}", server, nats))
        for name, server, nats in served:
            client = runner.run(stack.enter_async_context(plain(nats.url, "qe1", nats.seed("qe1"))))
            targets[name] = Target(server, client, runner)
        base = targets.pop("echo")
        for in_flight in (1, 64):
            for target in (base, *targets.values()):
                target.load(in_flight)
            cases = {
                f"NATS {in_flight}, {name}": lambda target=target, in_flight=in_flight: target.load(in_flight)
                for name, target in targets.items()
            }
            found |= interleave(lambda in_flight=in_flight: base.load(in_flight), cases, rounds, say)  # type: ignore[misc]
    finally:
        runner.run(stack.aclose())
        runner.close()
    return found
