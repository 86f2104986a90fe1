"""How long a gateway needs to serve again, with many decisions in the log: with a snapshot, and by folding everything; and how
long its garbage collector then stops it at most, under load.

`python bench/restart.py [--decisions 200000]`. Real NATS, the real gateway process; time from process start to ready. The load
is wrk's; without it the last line is left out.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from http_cases import Server

from fleet_chassis.fold import LEADER_HEADER
from fleet_chassis.lease import LEASE_TTL_S
from fleet_chassis.log import Fence, Stored
from fleet_contracts import Decision, OrderDecision, content_hash, derived_id, encode
from parts.gateway import GatewayProcess
from parts.nats import logs, running
from parts.trading import order

GROUP = 64
LOAD_S = 6
SUBJECT = "fleet.main.order_decision.risk-gateway"
FENCE = "fleet.main.*.risk-gateway"


def decision(number: int) -> bytes:
    """A stored DENY, as the gateway writes it."""
    request = order(f"bench-{number}")
    now = datetime.now(UTC)
    fields = {name: value for name, value in request.__dict__.items() if value is not None}
    fields |= {
        "event_type": "ORDER_DECISION",
        "source": "risk-gateway",
        "ts": now,
        "event_id": derived_id("main", "qe1", request.order_id, "ORDER_DECISION"),
        "cause": request.order_id,
        "bot": "qe1",
        "door": "http",
        "decision": Decision.DENY,
        "reason": "TOO_MANY_OPEN_ORDERS",
        "message": "20 orders are open; the limit is 20",
        "check": "open_orders",
        "content_hash": content_hash(request),
        "limits_revision": 1,
        "valid_until": now,
    }
    return encode(OrderDecision.model_construct(**fields))


async def fill(nats: object, count: int) -> None:
    """Append decisions in groups, as group commit does under load."""
    async with logs(nats, "fleet-init") as (log,):  # type: ignore[arg-type]
        last = await log.last(FENCE, timeout_s=5)
        assert last is not None
        seq, leader = last.seq, last.headers[LEADER_HEADER]
        for start in range(0, count, GROUP):
            body = b"\n".join(decision(number) for number in range(start, min(start + GROUP, count)))
            outcome = await log.append(SUBJECT, body, fence=Fence(FENCE, seq), headers={LEADER_HEADER: leader}, timeout_s=10)
            assert isinstance(outcome, Stored), outcome
            seq = outcome.seq


async def started(gateway: GatewayProcess) -> float:
    """Seconds from process start to ready."""
    begun = time.perf_counter()
    gateway.start()
    await gateway.ready(120)
    return time.perf_counter() - begun


def longest_pause(gateway: GatewayProcess) -> str:
    """In words."""
    assert gateway.process is not None
    token = gateway.home.token("qe1").read_text().strip()
    server = Server("gateway", gateway.process.pid, gateway.url, token)
    before = _metrics(gateway)
    answered = sum(server.load(64).rate for _ in range(LOAD_S))
    after = _metrics(gateway)
    collections = sum(after[name] - before[name] for name in after if name.startswith("python_gc_collections_total{"))
    longest_ms = after["gateway_gc_longest_pause_seconds"] * 1000
    return f"{longest_ms:.1f} ms, in {collections:.0f} collections while it answered {answered:,.0f} orders"


def _metrics(gateway: GatewayProcess) -> dict[str, float]:
    text = urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10).read().decode()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")}


async def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running(folder / "nats", fleet_bytes_max=2 * 1024**3) as nats:
            gateway = GatewayProcess(folder / "home", nats, FLEET_BOT_REQUESTS_PER_S="1000000")
            try:
                empty = await started(gateway)
                gateway.kill()
                await asyncio.sleep(LEASE_TTL_S)  # the killed gateway's lease runs out, as in a real restart after a crash
                await fill(nats, count)
                full = await started(gateway)
                code = gateway.stop()
                assert code == 0, code
                snapshot = await started(gateway)
                pause = await asyncio.to_thread(longest_pause, gateway) if shutil.which("wrk") else "wrk is missing"
            finally:
                gateway.kill()
    print(f"{'restart of the gateway':38}  seconds to ready")
    print(f"{'empty log':38}  {empty:8.2f}")
    print(f"{f'{count:,} decisions, full fold':38}  {full:8.2f}")
    print(f"{f'{count:,} decisions, with a snapshot':38}  {snapshot:8.2f}")
    print(f"{'longest pause of the collector':38}  {pause}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=200_000)
    asyncio.run(measure(parser.parse_args().decisions))
