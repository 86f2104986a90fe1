"""Bots that trade against a real gateway while somebody pulls its plugs: orders over HTTP and NATS, fills and equity over NATS.

Every answer is kept. Nothing here retries a decision: what a bot is told is what counts.
"""

import asyncio
import json
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import httpx
from nats.errors import Error as NatsError

from fleet_chassis.nats_connection import Client
from fleet_contracts import OrderDecision, derived_id
from parts.gateway import GatewayProcess
from parts.trading import done, equity, fill

PRICE = "40000"


@dataclass
class Load:
    """Runs until `stop()`. (Not cancelled: the client's `request` swallows that now and then on Python 3.11.)"""

    gateway: GatewayProcess
    client: Client
    bot: str = "qe1"
    pace_s: float = 0.004
    seed: int = 1
    allowed: list[OrderDecision] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    lanes: int = 6
    """How many orders are asked about at once."""
    stopping: bool = False
    others: list[GatewayProcess] = field(default_factory=list)
    """More gateways of the fleet: orders over HTTP go to any of them."""

    def stop(self) -> None:
        self.stopping = True

    async def run(self) -> None:
        rng = random.Random(self.seed)
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report_equity())
            for lane in range(self.lanes):
                tasks.create_task(self._trade(http, lane, random.Random(rng.random())))

    async def _report_equity(self) -> None:
        while not self.stopping:
            with suppress(NatsError):
                if self.client.is_connected:
                    await self._publish(*equity("10000", datetime.now(UTC), bot=self.bot))
            await asyncio.sleep(0.5)

    async def _trade(self, http: httpx.AsyncClient, lane: int, rng: random.Random) -> None:
        number = 0
        while not self.stopping:
            number += 1
            request = {
                "order_id": f"{self.bot}-{self.seed}-{lane}-{number}",
                "symbol": "BTC-PERP",
                "side": rng.choice(["BUY", "SELL"]),
                "order_type": "LIMIT",
                "qty": rng.choice(["0.05", "0.1", "0.12"]),
                "price": PRICE,
            }
            gateway = rng.choice([self.gateway, *self.others])
            answer = await self._ask(http, request, gateway if rng.random() < 0.7 else None)
            if answer is not None:
                self.reasons[answer.reason] += 1
                if answer.decision == "ALLOW":
                    self.allowed.append(answer)
                    await self._report(answer, rng)
            await asyncio.sleep(self.pace_s)

    async def _ask(
        self, http: httpx.AsyncClient, request: dict[str, str], gateway: GatewayProcess | None
    ) -> OrderDecision | None:
        """Over HTTP at a gateway, or over NATS."""
        try:
            if gateway is not None:
                url = f"{gateway.url}/api/v1/risk/evaluate"
                reply = await http.post(url, json=request, headers=gateway.headers(self.bot))
                body = reply.content
                if reply.status_code != 200:
                    self.errors[f"status {reply.status_code}"] += 1
                    return None
            else:
                subject = f"svc.risk.evaluate.main.{self.bot}"
                body = (await self.client.request(subject, json.dumps(request).encode(), timeout=2)).data
        except (httpx.TransportError, NatsError, TimeoutError):
            return None
        return OrderDecision.model_validate_json(body)

    async def _report(self, answer: OrderDecision, rng: random.Random) -> None:
        """Fill or cancel it, telling the bus until the bus has it: what a spool does."""
        half = (answer.qty / 2).quantize(Decimal("0.001"))
        told = [fill(answer.order_id, "f0", str(half), PRICE, bot=self.bot, filled_qty=half)]
        if rng.random() < 0.5:
            rest = answer.qty - half
            told.append(fill(answer.order_id, "f1", str(rest), PRICE, "FILLED", bot=self.bot, filled_qty=answer.qty))
        else:
            told.append(done(answer.order_id, bot=self.bot, filled_qty=half))
        for number, (subject, body) in enumerate(told):
            await self._until_stored(subject, body, derived_id("main", self.bot, answer.order_id, "ORDER_EVENT", str(number)))

    async def _until_stored(self, subject: str, body: bytes, msg_id: str) -> None:
        while not self.stopping:
            try:
                if self.client.is_connected:
                    await self._publish(subject, body, {"Nats-Msg-Id": f"{self.bot}:{msg_id}"})
                    return
            except (NatsError, TimeoutError):
                pass
            await asyncio.sleep(0.1)

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        reply = await self.client.request(subject, body, timeout=1, headers=headers)
        assert b"error" not in reply.data, reply.data
