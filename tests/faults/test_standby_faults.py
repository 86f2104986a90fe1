"""Two real gateways and a real NATS: the leader is killed and frozen under load. Invariants 1 to 5 (R13)."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from fleet_chassis.fold import leader_of
from parts.gateway import GatewayProcess
from parts.pair import pair
from parts.reckoning import witnessed

KILLS = int(os.environ.get("KILLS", "3"))
FROZEN_S = float(os.environ.get("FROZEN_S", "4"))
"""`make chaos` kills 20 times and freezes for 10 s."""
pytestmark = [pytest.mark.faults, pytest.mark.timeout(60 + 15 * KILLS)]


async def test_a_follower_asks_the_leader_and_says_no_leader_when_there_is_none(tmp_path: Path) -> None:
    async with pair(tmp_path) as fleet:
        leader = await fleet.leader()
        follower = fleet.other(leader)
        answer = await fleet.ask(follower)
        assert (answer["reason"], answer["event_id"] is None) == ("QTY_TOO_SMALL", False), "the leader has decided it"
        assert answer["door"] == "nats"
        leader.kill()
        answer = await fleet.ask(follower)
        assert (answer["decision"], answer["reason"], answer["event_id"]) == ("DENY", "NO_LEADER", None)
        await fleet.decided_again(follower)


async def test_killing_the_leader_again_and_again_breaks_no_invariant(tmp_path: Path) -> None:
    async with pair(tmp_path) as fleet:
        trading = asyncio.create_task(fleet.load.run())
        for _ in range(KILLS):
            await fleet.traded(20)
            leader = await fleet.leader()
            leader.kill()
            await fleet.decided_again(fleet.other(leader))
            await fleet.traded(10)
            leader.start()
            await leader.ready()
        fleet.load.stop()
        await asyncio.wait_for(trading, 10)
        assert fleet.load.reasons["OK"] > 20 * KILLS, fleet.load.reasons
        assert not fleet.load.errors
        witnessed(await fleet.messages(), fleet.load.allowed)


async def test_a_leader_frozen_past_its_lease_writes_nothing_when_it_wakes(tmp_path: Path) -> None:
    """Invariant 5: the log fences it off, whatever it believes of itself."""
    async with pair(tmp_path) as fleet:
        trading = asyncio.create_task(fleet.load.run())
        await fleet.traded(20)
        sleeper = await fleet.leader()
        _signal(sleeper, signal.SIGSTOP)
        try:
            successor = fleet.other(sleeper)
            fleet.load.gateway, fleet.load.others = successor, []
            await fleet.decided_again(successor)
            await asyncio.sleep(FROZEN_S)
        finally:
            _signal(sleeper, signal.SIGCONT)
        fleet.load.others = [sleeper]
        async with asyncio.timeout(10):
            while (await fleet.ask(sleeper))["event_id"] is None:  # it follows, and asks the leader
                await asyncio.sleep(0.05)
        assert await fleet.leader() is successor
        fleet.load.stop()
        await asyncio.wait_for(trading, 10)
        witnessed(await fleet.messages(), fleet.load.allowed)
        leaders = [leader_of(message) for message in await fleet.messages() if leader_of(message)]
        changes = [leader for leader, before in zip(leaders[1:], leaders, strict=False) if leader != before]
        assert len(changes) == 1, "one change of leader, and none back"


def _signal(gateway: GatewayProcess, number: signal.Signals) -> None:
    assert gateway.process is not None
    gateway.process.send_signal(number)
