"""The real gateway as a process, in a home of its own, beside a real NATS."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from fleet_chassis.auth import make_tokens
from fleet_chassis.config import load_config
from fleet_chassis.home import FleetHome
from parts.nats import Nats, free_port

ROOT = Path(__file__).parents[2]


class GatewayProcess:
    """`python -m risk_gateway`, which can be killed and started again."""

    def __init__(self, home: Path, nats: Nats, config: Path = ROOT / "deploy" / "config", **environment: str) -> None:
        self.home = FleetHome(home)
        self.home.make()
        make_tokens(self.home, load_config(config).supervisor.tokens)
        seed = self.home.nats_seed("risk-gateway")
        if not seed.exists():
            seed.write_bytes(nats.seed("risk-gateway").read_bytes())
        self.port = free_port()
        self._environment = {
            **os.environ,
            "FLEET_HOME": str(home),
            "FLEET_CONFIG": str(config),
            "FLEET_NATS_URL": nats.url,
            "FLEET_GATEWAY_PORT": str(self.port),
            **environment,
        }
        self.command = (sys.executable, "-m", "risk_gateway")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.home.token(name).read_text().strip()}"}

    def start(self) -> None:
        with self.home.log_file("risk-gateway").open("ab") as output:
            self.process = subprocess.Popen(self.command, env=self._environment, stdout=output, stderr=output)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(15)
        self.process = None
        return code

    async def ready(self, within_s: float = 30) -> None:
        async with asyncio.timeout(within_s), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                assert self.process is not None
                assert self.process.poll() is None, self.home.log_file("risk-gateway").read_text()[-2000:]
                await asyncio.sleep(0.1)


@asynccontextmanager
async def running_gateway(home: Path, nats: Nats) -> AsyncIterator[GatewayProcess]:
    """A ready gateway; killed at the end."""
    gateway = GatewayProcess(home, nats)
    try:
        gateway.start()
        await gateway.ready()
        yield gateway
    finally:
        gateway.kill()
