"""The order side of a bot over a bus in memory and a jumping clock, and a gateway that can be slow, silent or away."""

import asyncio
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from fleet_contracts import Mode
from fleet_sdk.core.local import Standing
from fleet_sdk.core.verdict import Verdict
from fleet_sdk.door import Door
from fleet_sdk.gatekeeper import Gatekeeper
from fleet_sdk.id_journal import IdJournal
from fleet_sdk.journal import Journal
from fleet_sdk.settings import BotSettings
from fleet_sdk.spool import Spool
from fleet_sdk.voice import Voice
from parts.memory_bus import MemoryBus, Stored

DOOR = "svc.risk.evaluate.main.qe1"
GATEWAY_EPOCH = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""The gateway's clock is not the bot's."""


@dataclass
class DoorGateway:
    """Answers orders after `delay_s`, ALLOW unless told otherwise; every ALLOW is in the bus's stream first.

    `no_decision`: the reason it answers instead. `decides_anyway`: its no-decision's append arrives `late_append_s` later
    (JOURNAL_UNAVAILABLE while the append is still on its way).
    """

    bus: MemoryBus
    delay_s: float = 0.001
    no_decision: str | None = None
    decides_anyway: bool = False
    late_append_s: float = 1.0
    silent: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    decided_at: dict[str, float] = field(default_factory=dict)

    def open(self) -> None:
        self.bus.doors[DOOR] = self._door

    def close(self) -> None:
        self.bus.doors.pop(DOOR, None)

    def _door(self, body: bytes) -> bytes | None:
        self.bodies.append(body)
        order = from_json(body)
        loop = asyncio.get_running_loop()
        if self.no_decision is not None:
            if self.decides_anyway:
                loop.call_later(self.late_append_s, self._decide, order)
            return to_json({**order, "decision": "DENY", "reason": self.no_decision, "event_id": None, "bot": "qe1"})
        reply = to_json(self._decide(order))
        return None if self.silent else reply

    def _decide(self, order: dict[str, Any]) -> dict[str, Any]:
        known = self.decided.get(order["order_id"])
        if known is not None:
            return {**known, "duplicate": True}
        now = asyncio.get_running_loop().time()
        at = GATEWAY_EPOCH + timedelta(seconds=now)
        decision = {
            **order,
            "event_type": "ORDER_DECISION",
            "source": "risk-gateway",
            "bot": "qe1",
            "event_id": f"d-{order['order_id']}",
            "decision": "ALLOW",
            "reason": "OK",
            "allowed_qty": order["qty"],
            "opening_qty": "0" if order.get("reduce_only") else order["qty"],
            "ts": at.isoformat(),
            "valid_until": (at + timedelta(seconds=5)).isoformat(),
            "duplicate": False,
            **self.changes,
        }
        self.decided[order["order_id"]] = decision
        self.decided_at[order["order_id"]] = now
        self.bus.stream.append(Stored(len(self.bus.stream) + 1, "fleet.main.order_decision.risk-gateway", to_json(decision)))
        return decision


class AskedBot:
    """One process of a bot. `kill()` leaves what SIGKILL leaves; another one may then start on the same folder."""

    def __init__(self, folder: Path, bus: MemoryBus, mode: Mode = Mode.DEMO, *, spool_bytes_max: int = 1 << 20) -> None:
        self.bus, self.mode = bus, mode
        self.halted = self.latched = False
        self.clock_ahead_s = 0.0
        self.settings = BotSettings(
            bot="qe1", account="main", mode=mode, nats_url="nats://nowhere", nkey_seed=None, spool_dir=folder
        )
        self.spool = Spool(folder, spool_bytes_max)
        self.journal = Journal(self.spool, bus, "qe1", fsync_s=0.5)  # type: ignore[arg-type]
        self.voice = Voice(self.settings, self.journal)
        self.memory = IdJournal(folder / "orders.ids", keep=1000)
        self.gatekeeper = Gatekeeper(
            self.voice,
            Door(bus, "main", "qe1", self.now),  # type: ignore[arg-type]
            self.memory,
            self.now,
            standing=lambda _: Standing(self.mode, None, self.halted or self.latched),
            latched=lambda _: self.latched,
            on_loop=lambda action: action(),
            stepped=False,
        )
        jobs = (self.journal.send_all(), self.journal.sync_all(), self.gatekeeper.settle_all())
        self._jobs = [asyncio.create_task(job) for job in jobs]

    async def evaluate(self, order_id: str = "o-1", deadline_s: float = 0.25, **more: Any) -> Verdict:
        fields = {
            "order_id": order_id,
            "symbol": "BTC-PERP",
            "side": "BUY",
            "order_type": "LIMIT",
            "qty": "0.5",
            "price": "40000",
        }
        order = self.voice.order({**fields, **more})
        now = self.now()
        return await self.gatekeeper.evaluate(order, now, now + deadline_s)

    def now(self) -> float:
        """The bot's monotonic clock; it may have gone on while the loop was busy."""
        return asyncio.get_running_loop().time() + self.clock_ahead_s

    async def kill(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self.memory.close()
        if self.spool._fd is not None:
            os.close(self.spool._fd)
            self.spool._fd = None

    def said(self, event_type: str) -> list[dict[str, Any]]:
        """What has arrived of it, in order."""
        token = f".{event_type.lower()}."
        return [message.event for message in self.bus.stream if token in message.subject]
