"""The API answers as its document says: generated requests, good and bad, against a real gateway on a real NATS."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from parts.gateway import GatewayProcess, running_gateway
from parts.nats import running

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
EXAMPLES = 25
EXCLUDED = "positive_data_acceptance"
"""What fits the document may still be refused, and says why: a wrong phrase, a key used twice, limits that contradict."""


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    async with running(tmp_path / "nats") as nats, running_gateway(tmp_path / "home", nats) as gateway:
        yield gateway


async def conforms(gateway: GatewayProcess, token: str, folder: Path, *more: str) -> tuple[int, str]:
    """Run the generated requests as the owner of a token; the exit code, and what was found."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "st"),
        *("run", f"{gateway.url}/openapi.json", "--header", f"Authorization: {gateway.headers(token)['Authorization']}"),
        *("--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--seed", "1", "--rate-limit", "40/s"),
        *("--checks", "all", "--exclude-checks", EXCLUDED, "--no-color", *more),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


async def test_every_route_answers_as_documented_whatever_is_sent(gateway: GatewayProcess, tmp_path: Path) -> None:
    order = {
        "order_id": "qe1-000123",
        "symbol": "BTC-PERP",
        "side": "BUY",
        "order_type": "LIMIT",
        "qty": "0.01",
        "price": "40000",
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        asked = await http.post(f"{gateway.url}/api/v1/risk/evaluate", json=order, headers=gateway.headers("qe1"))
        assert asked.json()["event_id"]
    code, said = await conforms(gateway, "admin", tmp_path, "--exclude-path", "/api/v1/risk/evaluate")
    assert code == 0, said[-6000:]


async def test_the_order_door_answers_as_documented_whatever_is_sent(gateway: GatewayProcess, tmp_path: Path) -> None:
    code, said = await conforms(gateway, "qe1", tmp_path, "--include-path", "/api/v1/risk/evaluate")
    assert code == 0, said[-6000:]
