"""The gateway's HTTP side in process, over the in-memory log: asked as bots and people ask it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from fleet_chassis.auth import make_tokens
from fleet_chassis.clock import wall_clock
from fleet_chassis.config import load_config
from fleet_chassis.lease import LeaseTable, MemoryLease
from fleet_chassis.memory_log import MemoryLog
from fleet_chassis.settings import FleetSettings
from parts.gateway import ROOT
from parts.trading import equity
from risk_gateway.core.admission import Admission, Rate
from risk_gateway.service import make_app, make_shards
from risk_gateway.shard import Shard
from risk_gateway.watch import Beats, Inputs

EVALUATE = "/api/v1/risk/evaluate"
PATIENT_MS = "30000"
"""A test's machine may be busy; whoever asks about deadlines says another one."""
ORDER = {"order_id": "a", "symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": "0.01", "price": "40000"}


@dataclass
class Front:
    http: httpx.AsyncClient
    log: MemoryLog
    tokens: Path
    app: Any
    shard: Shard

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.tokens / f'{name}.token').read_text().strip()}"}

    async def ask(self, body: Any = None, *, content: bytes | None = None, name: str = "qe1", **headers: str) -> httpx.Response:
        named = self.headers(name) | {"X-Deadline-Ms": PATIENT_MS} | headers
        if content is not None:
            return await self.http.post(EVALUATE, content=content, headers=named)
        return await self.http.post(EVALUATE, json=body, headers=named)

    async def get(self, path: str, name: str = "viewer") -> httpx.Response:
        return await self.http.get(f"/api/v1/{path}", headers=self.headers(name))

    async def post(self, path: str, body: Any, name: str = "operator", **headers: str) -> httpx.Response:
        return await self.http.post(f"/api/v1/{path}", json=body, headers=self.headers(name) | headers)


@asynccontextmanager
async def opened(home: Path, *, rate: Rate | None = None, log: MemoryLog | None = None) -> AsyncIterator[Front]:
    """A ready gateway with a day's base; on a log of before, it goes on with it."""
    settings = FleetSettings(home=home, config=ROOT / "deploy" / "config")
    settings.fleet_home.make()
    config = load_config(settings.config)
    make_tokens(settings.fleet_home, config.supervisor.tokens)
    shards = make_shards(config, settings)
    app = make_app(config, settings, shards, Beats())
    log = log or MemoryLog(wall_clock, idle_s=0.05)
    lease = MemoryLease(LeaseTable(), "risk-gateway.main", "gw")
    shard = shards["main"]
    await shard.open(
        log,
        lease,
        Admission(rate or Rate()),
        Inputs(lambda account, symbol, age: None, lambda bot: None, None, home / "risk.shadow.yaml"),
    )
    running = asyncio.create_task(shard.run())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        front = Front(http, log, settings.fleet_home.tokens, app, shard)
        async with asyncio.timeout(10):
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.01)
            log.store(*equity("10000", datetime.now(UTC)))
            while shard.core.state.equity.base is None:
                await asyncio.sleep(0.01)
        yield front
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
