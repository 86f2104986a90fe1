"""nats-py as it comes, with a user's nkey: what the fleet's own client is measured against, and the requester of both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client


@asynccontextmanager
async def plain(url: str, user: str, seed: Path) -> AsyncIterator[Client]:
    """A connection as `user`."""
    client = await nats.connect(url, nkeys_seed=str(seed), inbox_prefix=f"_INBOX.{user}")
    try:
        yield client
    finally:
        await client.close()
