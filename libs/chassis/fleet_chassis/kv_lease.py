"""The lease in NATS: one key of the bucket `leases` (time to live: the bucket's), written by compare-and-set."""

import asyncio
import base64
import json

from nats.aio.client import Client

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.lease import LEASE_TTL_S, LeaseUnavailable
from fleet_chassis.log import Fence, LogUnavailable, NoAnswer, Refused, Stored, WrongLast

BUCKET = "leases"
STREAM = f"KV_{BUCKET}"
TIMEOUT_S = 0.5
_NO_MESSAGE = 10037


class KvLease:
    """The right of `instance` to lead (service, account). One owner; calls are not concurrent."""

    def __init__(self, client: Client, log: JetStreamLog, service: str, account: str, instance: str) -> None:
        """`log` is the opened JetStreamLog of `KV_leases`."""
        self._client, self._log, self._instance = client, log, instance
        self._subject = f"$KV.{BUCKET}.{service}.{account}"
        self._revision = 0
        self._until = 0.0

    async def acquire(self) -> int | None:
        """Our revision when the key is free or carries our own name; None while another instance holds it."""
        owner, revision = await self._read()
        if owner not in (None, self._instance):
            return None
        return await self._write(revision)

    async def renew(self) -> bool:
        """Extend it; False when somebody else has written the key or it has run out."""
        return await self._write(self._revision) is not None

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

    async def _read(self) -> tuple[str | None, int]:
        try:
            answer = await api(self._client, f"STREAM.MSG.GET.{STREAM}", {"last_by_subj": self._subject}, TIMEOUT_S)
        except LogUnavailable as error:
            raise LeaseUnavailable(str(error)) from error
        if "error" in answer:
            if answer["error"].get("err_code") == _NO_MESSAGE:
                return None, 0
            raise LeaseUnavailable(answer["error"].get("description", "unknown error"))
        body = base64.b64decode(answer["message"].get("data", ""))
        owner = json.loads(body)["instance"] if body else None
        return owner, int(answer["message"]["seq"])

    async def _write(self, last: int) -> int | None:
        sent_at = asyncio.get_running_loop().time()
        body = json.dumps({"instance": self._instance}).encode()
        outcome = await self._log.append(self._subject, body, fence=Fence(self._subject, last), timeout_s=TIMEOUT_S)
        match outcome:
            case Stored(seq=seq):
                self._revision, self._until = seq, sent_at + LEASE_TTL_S
                return seq
            case WrongLast():
                self._until = 0.0
                return None
            case Refused(description=description):
                raise LeaseUnavailable(description)
            case NoAnswer():
                raise LeaseUnavailable("no answer")
