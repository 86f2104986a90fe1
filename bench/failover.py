"""How long nobody decides after the leader is killed: `python bench/failover.py [--kills 20]`, two gateways under load.

From the SIGKILL to the first decision that the other one gives, in seconds. The lease has a time to live of 2 s.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parts.pair import pair
from parts.reckoning import witnessed


async def measure(kills: int) -> list[float]:
    """The seconds of every kill. Raises when the log shows that an invariant was broken meanwhile."""
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with pair(Path(folder)) as fleet:
            trading = asyncio.create_task(fleet.load.run())
            for number in range(kills):
                await fleet.traded(20)
                leader = await fleet.leader()
                leader.kill()
                took.append(await fleet.decided_again(fleet.other(leader)))
                sys.stderr.write(f"  {number + 1}/{kills}: {took[-1]:.2f} s\n")
                leader.start()
                await leader.ready()
            fleet.load.stop()
            await asyncio.wait_for(trading, 10)
            messages = await fleet.messages()
            witnessed(messages, fleet.load.allowed)
            print(
                f"{len(messages):,} messages and {sum(fleet.load.reasons.values()):,} answers looked at: invariants 1 to 5 hold"
            )
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    took = asyncio.run(measure(parser.parse_args().kills))
    print(
        f"{len(took)} kills of the leader; deciding again after {min(took):.2f} to {max(took):.2f} s, median {median(took):.2f}"
    )


if __name__ == "__main__":
    main()
