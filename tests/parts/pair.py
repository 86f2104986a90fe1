"""Two gateways of one fleet under load: one leads, one follows, and somebody takes the leader away."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fleet_chassis.log import Message
from parts.gateway import GatewayProcess
from parts.load import Load
from parts.nats import Nats, logs, running
from parts.reckoning import whole_log

FAILOVER_MAX_S = 15.0
"""How long a test waits for another leader. (How long it takes is measured by bench/failover.py.)"""


@dataclass
class Pair:
    """`gateways[0]` and `gateways[1]` share a home and a NATS."""

    nats: Nats
    gateways: tuple[GatewayProcess, GatewayProcess]
    load: Load
    http: httpx.AsyncClient

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    async def leader(self) -> GatewayProcess:
        """The one that says it leads; asked until one does."""
        async with asyncio.timeout(FAILOVER_MAX_S):
            while True:
                for gateway in self.gateways:
                    if await self._leads(gateway):
                        return gateway
                await asyncio.sleep(0.05)

    def other(self, gateway: GatewayProcess) -> GatewayProcess:
        return self.gateways[1] if gateway is self.gateways[0] else self.gateways[0]

    async def traded(self, more: int) -> None:
        """Until the load has been allowed so many more orders."""
        wanted = self.load.reasons["OK"] + more
        async with asyncio.timeout(FAILOVER_MAX_S):
            while self.load.reasons["OK"] < wanted:
                await asyncio.sleep(0.02)

    async def decided_again(self, survivor: GatewayProcess) -> float:
        """Ask a gateway new orders until one is decided; the seconds that took."""
        begun = time.monotonic()
        async with asyncio.timeout(FAILOVER_MAX_S):
            while (await self.ask(survivor))["event_id"] is None:
                await asyncio.sleep(0.02)
        return time.monotonic() - begun

    async def ask(self, gateway: GatewayProcess) -> dict[str, Any]:
        """A new order over HTTP; the answer. It is too small, so that a decision on it holds nothing."""
        order = {"order_id": f"probe-{next(self._numbers)}", "symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT"}
        url = f"{gateway.url}/api/v1/risk/evaluate"
        reply = await self.http.post(url, json=order | {"qty": "0.0001", "price": "40000"}, headers=gateway.headers("qe1"))
        answer: dict[str, Any] = reply.json()
        assert reply.status_code == 200, answer
        return answer

    async def messages(self) -> list[Message]:
        """The whole stream, read by the one user that may."""
        async with logs(self.nats, "fleet-init") as (log,):
            return await whole_log(log)

    async def _leads(self, gateway: GatewayProcess) -> bool:
        try:
            answer = await self.http.get(f"{gateway.url}/api/v1/status", headers=gateway.headers("viewer"), timeout=1)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and bool(answer.json()["accounts"][0]["leads"])


@asynccontextmanager
async def pair(folder: Path, servers: int = 1) -> AsyncIterator[Pair]:
    """Both ready, nobody trading yet. `servers`: of NATS; three are a cluster."""
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(running(folder / "nats", servers))
        gateways = [GatewayProcess(folder / "home", nats, FLEET_INSTANCE=f"risk-gateway-{number}") for number in (1, 2)]
        for gateway in gateways:
            stack.callback(gateway.kill)
            gateway.start()
            await gateway.ready()
        client = await stack.enter_async_context(nats.connect("qe1"))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=5))
        load = Load(gateways[0], client, others=gateways[1:])
        yield Pair(nats, (gateways[0], gateways[1]), load, http)
