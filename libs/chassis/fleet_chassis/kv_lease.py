"""The lease in NATS: one key of the bucket `leases` (time to live: the bucket's), written by compare-and-set.

The value is `{"instance", "run"}`. The instance may take back what carries its name; a renewal whose answer was lost is
known by the run, so that a slow disk does not make a leader step down.
"""

import asyncio
import base64
import json
import os
import time
from dataclasses import dataclass

from nats.aio.client import Client

from fleet_chassis.jetstream import NO_MESSAGE, JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.lease import LEASE_TTL_S, LeaseUnavailable
from fleet_chassis.log import Fence, LogUnavailable, NoAnswer, Refused, Stored, WrongLast

BUCKET = "leases"
STREAM = f"KV_{BUCKET}"
TIMEOUT_S = 0.5


class KvLease:
    """The right of `instance` to lead (service, account). One owner; calls are not concurrent."""

    def __init__(self, client: Client, log: JetStreamLog, service: str, account: str, instance: str) -> None:
        """`log` is the opened JetStreamLog of `KV_leases`."""
        self._client, self._log, self._instance = client, log, instance
        self._run = f"{os.getpid()}-{time.monotonic_ns()}"
        self._subject = f"$KV.{BUCKET}.{service}.{account}"
        self._revision = 0
        self._until = 0.0

    async def acquire(self) -> int | None:
        """Our revision when the key is free or carries our own name; None while another instance holds it."""
        found = await self._read()
        if found.instance not in ("", self._instance):
            return None
        return self._revision if await self._write(found.revision) else None

    async def renew(self) -> bool:
        """Extend it; False when somebody else has written the key or it has run out."""
        if await self._write(self._revision):
            return True
        found = await self._read()
        if found.run != self._run:
            self._until = 0.0
            return False
        if await self._write(found.revision):
            return True
        raise LeaseUnavailable("an earlier renewal is still on its way")

    async def release(self) -> None:
        """Empty the key if it is still ours."""
        held, self._until = self._revision, 0.0
        if held and self._client.is_connected:
            await self._log.append(
                self._subject, b"", fence=Fence(self._subject, held), headers={"KV-Operation": "DEL"}, timeout_s=TIMEOUT_S
            )

    @property
    def held(self) -> bool:
        """Written less than a TTL ago, counted from before the write was sent."""
        return asyncio.get_running_loop().time() < self._until

    async def _read(self) -> "_Found":
        try:
            answer = await api(self._client, f"STREAM.MSG.GET.{STREAM}", {"last_by_subj": self._subject}, TIMEOUT_S)
        except LogUnavailable as error:
            raise LeaseUnavailable(str(error)) from error
        if "error" in answer:
            if answer["error"].get("err_code") == NO_MESSAGE:
                return _Found("", "", 0)
            raise LeaseUnavailable(answer["error"].get("description", "unknown error"))
        body = base64.b64decode(answer["message"].get("data", ""))
        value = json.loads(body) if body else {}
        return _Found(value.get("instance", ""), value.get("run", ""), int(answer["message"]["seq"]))

    async def _write(self, last: int) -> bool:
        """Write if the key is still at revision `last`. Raises `LeaseUnavailable`."""
        sent_at = asyncio.get_running_loop().time()
        body = json.dumps({"instance": self._instance, "run": self._run}).encode()
        outcome = await self._log.append(self._subject, body, fence=Fence(self._subject, last), timeout_s=TIMEOUT_S)
        match outcome:
            case Stored(seq=seq):
                self._revision, self._until = seq, sent_at + LEASE_TTL_S
                return True
            case WrongLast():
                return False
            case Refused(description=description):
                raise LeaseUnavailable(description)
            case NoAnswer():
                raise LeaseUnavailable("no answer")


@dataclass(frozen=True, slots=True)
class _Found:
    """What the key holds: its writer (empty: nobody), and the revision."""

    instance: str
    run: str
    revision: int
