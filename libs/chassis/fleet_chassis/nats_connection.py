"""One connection to NATS, by nkey, that never gives up and whose callbacks never raise."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client

CONNECT_TIMEOUT_S = 2
RETRY_S = 0.25
RETRY_S_MAX = 2.0
_log = logging.getLogger(__name__)
__all__ = ["Client", "connected"]


@asynccontextmanager
async def connected(url: str, user: str, seed: Path, *, on_lost: Callable[[], None] | None = None) -> AsyncIterator[Client]:
    """A connection as `user`; waits for the server until cancelled, and reconnects for ever.

    `on_lost` runs when the client has closed for good without being asked to (then only a restart helps).
    """
    closing = False

    async def closed() -> None:
        if not closing:
            _log.error("the NATS connection of %s is closed for good", user)
            if on_lost is not None:
                on_lost()

    client = await _connect(url, user, seed, closed)
    try:
        yield client
    finally:
        closing = True
        await client.close()


async def _connect(url: str, user: str, seed: Path, closed: Callable[[], object]) -> Client:
    wait_s = RETRY_S
    while True:
        try:
            return await nats.connect(
                url.split(","),
                name=user,
                nkeys_seed=str(seed),
                inbox_prefix=f"_INBOX.{user}",
                error_cb=_note,
                disconnected_cb=_disconnected,
                reconnected_cb=_reconnected,
                closed_cb=closed,
                connect_timeout=CONNECT_TIMEOUT_S,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RETRY_S,
                ping_interval=20,
                max_outstanding_pings=2,
                allow_reconnect=True,
            )
        except (OSError, nats.errors.Error, TimeoutError) as error:
            _log.info("NATS at %s does not answer yet (%s)", url, type(error).__name__)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX)


async def _note(error: Exception) -> None:
    _log.warning("NATS: %s", error or type(error).__name__)


async def _disconnected() -> None:
    _log.warning("NATS is away")


async def _reconnected() -> None:
    _log.info("NATS is back")
