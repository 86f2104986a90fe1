"""Seeded histories of two gateways under crashes, repeats, delays, lost acks, refusals and split leadership.

Invariants 1-5 and 7 hold in all of them. `make chaos` runs many more (FLEET_HISTORIES).
"""

import os

import pytest

from parts.gateway_world import Sabotage, World
from parts.virtual_time import VirtualLoop, run

HISTORIES = int(os.environ.get("HISTORIES", "500"))
CHUNK = 50


def play(seed: int, sabotage: Sabotage | None = None) -> None:
    """One history; raises what broke."""

    async def main(loop: VirtualLoop) -> None:
        await World(loop, seed, sabotage or Sabotage()).play()

    run(main)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(0, HISTORIES, CHUNK))
def test_the_invariants_hold_in_every_history(start: int) -> None:
    for seed in range(start, start + CHUNK):
        try:
            play(seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_one_history_holds_the_invariants() -> None:
    play(1)
