"""Two gateways over a cluster of three NATS servers, each of which is killed in turn, under a crowd. Invariants 1 to 5."""

import asyncio
from pathlib import Path

import pytest

from parts.pair import pair
from parts.reckoning import witnessed

CROWD = 64
pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


async def test_killing_every_node_in_turn_passes_no_limit_and_loses_no_record(tmp_path: Path) -> None:
    async with pair(tmp_path, servers=3) as fleet:
        fleet.load.lanes = CROWD
        trading = asyncio.create_task(fleet.load.run())
        await asyncio.sleep(2)
        for server in fleet.nats.servers:
            server.kill()
            await asyncio.sleep(2)
            server.start()
            await asyncio.sleep(3)
        await fleet.decided_again(await fleet.leader())
        fleet.load.stop()
        await asyncio.wait_for(trading, 20)
        await asyncio.sleep(0.5)
        reasons = fleet.load.reasons
        assert reasons["OK"] > 20, reasons
        assert reasons["SYMBOL_NOTIONAL_TOO_LARGE"] > 10, f"the limits did not bite: {reasons}"
        assert not fleet.load.errors, fleet.load.errors
        witnessed(await fleet.messages(), fleet.load.allowed)
