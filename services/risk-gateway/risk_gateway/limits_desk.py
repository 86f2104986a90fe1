"""The limits of one account as people change and watch them: other revisions, who may open again, the trend, the shadow set."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from fleet_contracts import Fact
from risk_gateway.commands import NotRecorded, Outdated, Stop
from risk_gateway.core.headroom import sample
from risk_gateway.core.rules import Rules, Setup
from risk_gateway.core.terms import Scope
from risk_gateway.core.trend import Trend
from risk_gateway.shadow_set import ShadowSet

if TYPE_CHECKING:
    from risk_gateway.shard import Shard

SAMPLE_S = 5.0


class LimitsDesk:
    """Beside the shard it belongs to; `run()` watches."""

    def __init__(self, shard: Shard, shadow_file: Path) -> None:
        self._shard = shard
        self.trend = Trend()
        self.shadow = ShadowSet(shadow_file, shard.core, shard.drive.pipeline.fold, shard.setup)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.shadow.run())
            tasks.create_task(self._sample())

    async def apply(self, stop: Stop, setup: Setup, revision: int) -> int:
        """Put other limits in force instead of `revision`: the command first, then the next revision; which it is.

        Raises `Outdated` when another revision is in force by now, `NotRecorded`, `Unknown`.
        """
        shard = self._shard
        async with shard.raising:
            rules = shard.core.state.rules
            if rules is None or rules.revision != revision:
                raise Outdated
            command = shard.command("limits", stop, {"from_revision": revision})
            await shard.recording.must(command)
            fact = shard.core.limits_fact(setup, command.key, shard.now(), by=stop.by, reason=stop.reason)
            await self._put(fact, rules)
            shard.setup = setup
        return revision + 1

    async def enable(self, stop: Stop, who: Scope) -> int:
        """Let somebody open again who was disabled (TH-2): the command first, then the same limits as the next revision.

        Raises `NotRecorded`, `Unknown`; `Outdated` when there are no limits yet.
        """
        shard = self._shard
        async with shard.raising:
            rules = shard.core.state.rules
            if rules is None:
                raise Outdated
            command = shard.command("enable", stop, {"kind": who[0], "name": who[1]})
            await shard.recording.must(command)
            fact = shard.core.enabling_fact([who], command.key, shard.now(), by=stop.by, reason=stop.reason)
            await self._put(fact, rules)
        return rules.revision + 1

    async def _put(self, fact: Fact, before: Rules) -> None:
        """Store the next revision, and see it folded: whoever asks next shall be judged by it."""
        await self._shard.recording.took_effect(fact)
        with contextlib.suppress(NotRecorded):
            await self._shard.recording.folded(lambda: self._shard.core.state.rules is not before)

    async def _sample(self) -> None:
        """How full the limits are, every five seconds."""
        await self._shard.drive.caught_up.wait()
        while True:
            sample(self._shard.core, self.trend, self._shard.now())
            await asyncio.sleep(SAMPLE_S)
