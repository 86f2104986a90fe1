"""A bot that only talks: records numbered trades and says on stdout which are promised. To be killed at any moment.

python talking_bot.py <nats url> <seed file> <spool folder> <first number> <how many> <pause in s>
"""

import asyncio
import sys
from pathlib import Path

from fleet_sdk import Bot, BotSettings, Mode


async def main(url: str, seed: str, spool: str, first: int, count: int, pause_s: float) -> None:
    settings = BotSettings(
        bot="qe2",
        account="main",
        mode=Mode.DEMO,
        nats_url=url,
        nkey_seed=Path(seed),
        spool_dir=Path(spool),
        connect_wait_s=0.2,
    )
    async with Bot(settings) as bot:
        for number in range(first, first + count):
            await bot.trade(symbol="BTC-PERP", side="BUY", price="40000", qty="0.001", pnl="0", number=number)
            print(number, flush=True)
            await asyncio.sleep(pause_s)
        await bot.flush(20)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])))
