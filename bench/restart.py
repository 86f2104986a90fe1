"""How long a gateway needs to serve again, with many decisions in the log: with a snapshot, and by folding everything.

`python bench/restart.py [--decisions 200000]`. Real NATS, the real gateway process; time from process start to ready.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fleet_chassis.fold import LEADER_HEADER
from fleet_chassis.lease import LEASE_TTL_S
from fleet_chassis.log import Fence, Stored
from fleet_contracts import Decision, OrderDecision, content_hash, derived_id, encode
from parts.gateway import GatewayProcess
from parts.nats import logs, running
from parts.trading import order

GROUP = 64
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


async def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running(folder / "nats", fleet_bytes_max=2 * 1024**3) as nats:
            gateway = GatewayProcess(folder / "home", nats)
            try:
                empty = await started(gateway)
                gateway.kill()
                await asyncio.sleep(LEASE_TTL_S)  # the killed gateway's lease runs out, as in a real restart after a crash
                await fill(nats, count)
                full = await started(gateway)
                code = gateway.stop()
                assert code == 0, code
                snapshot = await started(gateway)
            finally:
                gateway.kill()
    print(f"{'restart of the gateway':38}  seconds to ready")
    print(f"{'empty log':38}  {empty:8.2f}")
    print(f"{f'{count:,} decisions, full fold':38}  {full:8.2f}")
    print(f"{f'{count:,} decisions, with a snapshot':38}  {snapshot:8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=200_000)
    asyncio.run(measure(parser.parse_args().decisions))
