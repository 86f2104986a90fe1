"""The HTTP door against a bare echo: decisions at 1, 8 and 64 connections, journaled on page cache and with fsync.

Beside them the usual FastAPI route with pydantic, without a journal.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from sampling import Ratios, Sample, Watch, interleave

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import asyncio
import json
import urllib.request

from parts.gateway import ROOT, GatewayProcess
from parts.nats import Nats, free_port

SECONDS = 1.0
FOLD_S = 5.0
SERVER_CORE, LOAD_CORE = 0, 1
HOT = "/api/v1/risk/evaluate"
OPEN_ORDERS = 1_000
_tags = iter(range(10**6))


class NoLoadGenerator(RuntimeError):
    """wrk is missing."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at `url`; `others` work for it (its NATS)."""

    name: str
    pid: int
    url: str
    token: str = "none"
    others: tuple[int, ...] = ()
    decided: Callable[[], int] | None = None

    def load(self, connections: int) -> Sample:
        """A second of new orders. Raises RuntimeError when an answer is no decision."""
        before = self.decided() if self.decided else 0
        watch = Watch(self.pid, self.others)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS:.0f}s", "-s", str(Path(__file__).parent / "order.lua")]
        done = subprocess.run(
            [*command, self.url + HOT, "--", self.token, f"b{os.getpid()}-{next(_tags)}-"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
        figures = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES"))
        requests, duration_us, errors, latency_us = (int(text) for text in figures.split()[1:])
        sample = watch.sample(requests, duration_us / 1e6, latency_us)
        if errors or not self.has_decided(before, requests):
            raise RuntimeError(f"{self.name}: {errors} errors, {requests} answers, not all of them decisions")
        return sample

    def has_decided(self, before: int, requests: int) -> bool:
        """Whether so many decisions more than `before` are folded; the last of them may be on their way."""
        until = time.perf_counter() + FOLD_S
        while self.decided and self.decided() - before < requests:
            if time.perf_counter() > until:
                return False
            time.sleep(0.05)
        return True


def pin(pid: int) -> None:
    """All threads of a server on one core, so that the load generator has the other."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {SERVER_CORE})


@contextmanager
def app(kind: str) -> Iterator[Server]:
    """One of apps.py, frozen while nobody asks it."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "apps.py"), kind, str(port)])
    try:
        _wait(f"http://127.0.0.1:{port}/docs")
        pin(process.pid)
        yield Server(kind, process.pid, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(10)


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def bench_config(folder: Path) -> Path:
    """The usual configuration with limits that let an order through to the last check."""
    config = folder / "config"
    shutil.copytree(ROOT / "deploy" / "config", config)
    risk: dict[str, Any] = yaml.safe_load((config / "risk.yaml").read_text())
    vast = 10**14
    risk["accounts"]["main"]["limits"] |= {
        "max_order_notional": vast,
        "max_notional_per_symbol": vast,
        "max_gross_exposure": vast,
        "max_leverage": 10**6,
        "max_open_orders": OPEN_ORDERS,
        "stale_equity_s": 86_400,
    }
    (config / "risk.yaml").write_text(yaml.safe_dump(risk))
    return config


@contextmanager
def gateway(folder: Path, sync: str, *, grouped: bool = True) -> Iterator[tuple[Server, Nats]]:
    """A gateway on a NATS of its own, with a day's base, that takes any rate of orders."""
    nats = Nats(folder / "nats", sync=sync)
    process = GatewayProcess(folder / "home", nats, bench_config(folder), FLEET_BOT_REQUESTS_PER_S="1000000")
    if not grouped:
        process.command = (sys.executable, str(Path(__file__).parent / "apps.py"), "one-by-one")
    try:
        nats.server.start()
        asyncio.run(nats.provision(2 * 1024**3))
        process.start()
        asyncio.run(process.ready())
        asyncio.run(_tell_equity(nats, process))
        assert process.process is not None
        assert nats.server.process is not None
        pin(process.process.pid)
        token = process.home.token("qe1").read_text().strip()
        pids = (nats.server.process.pid,)
        yield Server(sync, process.process.pid, process.url, token, pids, lambda: _decided(process)), nats
    finally:
        process.kill()
        nats.stop()


async def _tell_equity(nats: Nats, process: GatewayProcess) -> None:
    """Say what the account is worth, and wait until the day has its base. Raises TimeoutError."""
    async with nats.connect("qe1") as client:
        await client.publish("fleet.main.equity.qe1", json.dumps({"equity": "1000000"}).encode())
        await client.flush()
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False, headers=process.headers("viewer")) as http:
        status = f"{process.url}/api/v1/status"
        while (await http.get(status)).json()["accounts"][0].get("e0") is None:  # noqa: ASYNC110 - another process knows
            await asyncio.sleep(0.05)


def _decided(process: GatewayProcess) -> int:
    text = urllib.request.urlopen(f"{process.url}/metrics", timeout=10).read().decode()
    return int(sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("gateway_decisions_total{")))


def measure(folder: Path, rounds: int, say: Callable[[str], None]) -> dict[str, Ratios]:
    """Every case against the echo."""
    if shutil.which("wrk") is None:
        raise NoLoadGenerator("the load generator wrk is missing (Debian: apt install wrk)")
    found: dict[str, Ratios] = {}
    with ExitStack() as stack:
        echo, fastapi, hot = (stack.enter_context(app(kind)) for kind in ("echo", "fastapi", "hot"))
        servers = {
            "FastAPI + pydantic, no journal": fastapi,
            "decided, no journal": hot,
            "journaled, page cache": stack.enter_context(gateway(folder / "cache", "10s"))[0],
            "journaled, fsync always": stack.enter_context(gateway(folder / "always", "always"))[0],
        }
        for connections in (1, 8, 64):
            for server in (echo, *servers.values()):
                server.load(connections)

            def base(connections: int = connections) -> Sample:
                return echo.load(connections)

            cases = {
                f"HTTP {connections}, {name}": lambda server=server, connections=connections: server.load(connections)
                for name, server in servers.items()
            }
            found |= interleave(base, cases, rounds, say)
        for name in ("page cache", "fsync always"):
            sync = "always" if "always" in name else "10s"
            alone = stack.enter_context(gateway(folder / f"alone-{sync}", sync, grouped=False))[0]
            grouped = servers[f"journaled, {name}"]
            alone.load(64)
            case = {f"group ÷ one by one, HTTP 64, {name}": lambda server=grouped: server.load(64)}
            found |= interleave(lambda alone=alone: alone.load(64), case, rounds, say)  # type: ignore[misc]
    return found
