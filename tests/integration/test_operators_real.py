"""Twenty operators at once at the real gateway over a real NATS: halts, kills and resumes end in one state."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from parts.gateway import running_gateway
from parts.nats import running

pytestmark = pytest.mark.real
OVERRIDES = {name: "a drill" for name in ("NOT_ACKNOWLEDGED", "NOT_FLAT", "STALE_EQUITY", "EQUITY_UNTRUSTED", "UNKNOWN_ORDERS")}


async def test_twenty_operators_at_once_agree_in_the_end_and_after_a_kill_of_the_gateway(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "nats") as nats,
        running_gateway(tmp_path / "home", nats) as gateway,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        api, approver = f"{gateway.url}/api/v1", gateway.headers("approver")

        async def press(number: int) -> int:
            body: dict[str, Any] = {"reason": f"press {number}"}
            if number % 4 == 0:
                more = {"phrase": "resume main", "overrides": OVERRIDES}
                return (await client.post(f"{api}/resume", json=body | more, headers=approver)).status_code
            route, scope = ("kill", {"symbol": "ETH-PERP"} if number % 3 else {}) if number % 2 else ("halt", {})
            return (await client.post(f"{api}/{route}", json=body | scope, headers=gateway.headers("operator"))).status_code

        async def shown() -> list[dict[str, Any]]:
            answer = await client.get(f"{api}/halts", headers=gateway.headers("viewer"))
            found: list[dict[str, Any]] = answer.json()["items"]
            return found

        statuses = await asyncio.gather(*(press(number) for number in range(20)))
        assert set(statuses) <= {200, 409}
        assert await press(21) == 200, "a last kill, so that something is in force"
        async with asyncio.timeout(20):
            while not all(row["recorded"] and row.get("stage") != "REQUESTED" for row in await shown()):
                await asyncio.sleep(0.05)
        before = await shown()
        assert before
        gateway.kill()
        gateway.start()
        await gateway.ready()
        after = await shown()
        assert [row["halt_id"] for row in after] == [row["halt_id"] for row in before]
        assert [(row.get("stages") or {}).get("requested") for row in after] == [
            (row.get("stages") or {}).get("requested") for row in before
        ]
