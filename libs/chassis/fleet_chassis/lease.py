"""Who leads, politely: a lease with a time to live. Safety is the fence of the log, never the lease (DESIGN §5).

`KvLease` (kv_lease.py) keeps it in the NATS bucket `leases`; `MemoryLease` here serves simulations and unit tests.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

LEASE_TTL_S = 2.0
"""A lease not renewed for this long is free for anybody."""


class LeaseUnavailable(Exception):
    """The lease store gave no answer in time: nobody knows who holds it. Retry."""


class Lease(Protocol):
    """The right of one instance to lead one (service, account). Times are monotonic."""

    async def acquire(self) -> int | None:
        """Our lease revision, larger than any before; None while another instance holds it.

        An instance takes its own old lease back at once. Raises `LeaseUnavailable`.
        """
        ...

    async def renew(self) -> bool:
        """False: another instance has it now. Raises `LeaseUnavailable`; the lease then runs on until its TTL."""
        ...

    async def release(self) -> None:
        """Give it up at once so that a follower need not wait for the TTL. Never raises: the TTL does the rest."""
        ...

    @property
    def held(self) -> bool:
        """True while we may believe it is ours: acquired or renewed less than a TTL ago."""
        ...


@dataclass(slots=True)
class LeaseTable:
    """The store behind `MemoryLease`: key → (instance, expiry in loop seconds), and the last revision given out."""

    rows: dict[str, tuple[str, float]] = field(default_factory=dict)
    revision: int = 0
    reachable: bool = True


class MemoryLease:
    """A lease in memory, shared by the instances of one process through a `LeaseTable`."""

    def __init__(self, table: LeaseTable, key: str, instance: str, ttl_s: float = LEASE_TTL_S) -> None:
        self._table, self._key, self._instance, self._ttl_s = table, key, instance, ttl_s
        self._until = 0.0

    async def acquire(self) -> int | None:
        """Take it when it is free, expired, or already ours."""
        self._reach()
        now = asyncio.get_running_loop().time()
        owner, expiry = self._table.rows.get(self._key, (self._instance, 0.0))
        if owner != self._instance and expiry > now:
            return None
        self._table.revision += 1
        self._write(now)
        return self._table.revision

    async def renew(self) -> bool:
        """Extend it by a TTL if it is still ours."""
        self._reach()
        now = asyncio.get_running_loop().time()
        owner, expiry = self._table.rows.get(self._key, ("", 0.0))
        if owner != self._instance or expiry <= now:
            self._until = 0.0
            return False
        self._write(now)
        return True

    async def release(self) -> None:
        """Free it if it is ours."""
        self._until = 0.0
        if self._table.reachable and self._table.rows.get(self._key, ("", 0.0))[0] == self._instance:
            del self._table.rows[self._key]

    @property
    def held(self) -> bool:
        """Acquired or renewed less than a TTL ago."""
        return asyncio.get_running_loop().time() < self._until

    def _reach(self) -> None:
        if not self._table.reachable:
            raise LeaseUnavailable("the lease store does not answer")

    def _write(self, now: float) -> None:
        self._until = now + self._ttl_s
        self._table.rows[self._key] = (self._instance, self._until)
