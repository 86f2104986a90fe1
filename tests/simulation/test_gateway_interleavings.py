"""Invariant 1 under a crowd: two gateways, 64 requests at once, pauses, fills, cancels, holds that expire, answers, restarts.

Every history is a seed; `make chaos` plays 1,000. The witness adds up posted + held anew after every decision and every report.
"""

import asyncio
import os
from collections import Counter

import pytest

from parts.gateway_world import BotOrder, Sabotage, World
from parts.virtual_time import VirtualLoop, run

INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "100"))
CHUNK = 50
CROWD = 64
WAVES = 2
PAST_A_HOLD_S = 7.0


class Crowd(World):
    """Waves of requests, each asked after a pause of its own: at one gateway, at the other, or at both."""

    heard: Counter[str]

    async def play(self) -> None:
        self.heard = Counter()
        for instance in self.instances:
            await instance.start()
        await asyncio.sleep(1)
        self._equity()
        await asyncio.sleep(0.5)
        for _ in range(WAVES):
            await self._wave()
            await asyncio.sleep(self.rng.uniform(0, PAST_A_HOLD_S))
            self._equity()
        await self._calm()

    async def _wave(self) -> None:
        crowd = [asyncio.create_task(self._ask(self._make(), self.rng.uniform(0, 0.5))) for _ in range(CROWD)]
        trouble = self.rng.choice([self._crash, self._partition, self._two_leaders, self._snapshot, self._equity])
        when = self.rng.randrange(15)
        for step in range(15):
            if step == when and (doing := trouble()) is not None:
                await doing
            self._report()
            await asyncio.sleep(self.rng.uniform(0, 0.1))
            self.witness.check()
        await asyncio.gather(*crowd)

    async def _ask(self, known: BotOrder, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        both = self.rng.random() < 0.3
        for instance in self.instances if both else [self.rng.choice(self.instances)]:
            if instance.alive:
                instance.ask(known.request, known.bot, lambda body, name=instance.name: self._count(known, body, name))

    def _count(self, known: BotOrder, body: bytes, instance: str) -> None:
        self._hear(known, body, instance)
        reason = body.partition(b'"reason":"')[2].partition(b'"')[0]
        self.heard[reason.decode()] += 1


def play(seed: int) -> Counter[str]:
    """One history; what was answered. Raises what broke."""
    heard: Counter[str] = Counter()

    async def main(loop: VirtualLoop) -> None:
        crowd = Crowd(loop, seed, Sabotage())
        await crowd.play()
        heard.update(crowd.heard)

    run(main)
    return heard


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(0, INTERLEAVINGS, CHUNK))
def test_posted_and_held_never_pass_a_limit_whoever_asks_whom_when(start: int) -> None:
    heard: Counter[str] = Counter()
    for seed in range(start, start + CHUNK):
        try:
            heard += play(seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert heard["OK"] > CHUNK, heard
    assert heard["SYMBOL_NOTIONAL_TOO_LARGE"] > CHUNK, f"the limits did not bite: {heard}"


def test_one_crowd_passes_no_limit() -> None:
    heard = play(1)
    assert heard["OK"] > 0
