"""One question to the server's JetStream API, and one answer in time."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from fleet_chassis.log import LogUnavailable
from fleet_chassis.nats_connection import has_room, heeding

RETRY_S = 0.2
"""How long a question that cannot be asked takes to say so, lest its asker spin."""


async def api(client: Client, verb: str, question: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
    """The answer to `$JS.API.<verb>`, an `error` in it included. Raises `LogUnavailable` when there is none in time."""
    if not has_room(client):
        await asyncio.sleep(min(timeout_s, RETRY_S))
        raise LogUnavailable("NATS is away")
    try:
        reply = await heeding(client.request(f"$JS.API.{verb}", json.dumps(question).encode(), timeout=timeout_s))
    except (NatsError, TimeoutError, OSError) as error:
        raise LogUnavailable(str(error) or type(error).__name__) from error
    answer: dict[str, Any] = json.loads(reply.data)
    return answer
