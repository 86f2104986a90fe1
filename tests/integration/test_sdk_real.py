"""The SDK against real NATS and the real gateway, which go away, freeze and come back.

One file, though long: its fleet starts once for all of it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_core import from_json, to_json

from fleet_contracts import AckState, BotCommand, Mode, OrderDecision
from fleet_sdk import Bot, BotSettings, GatedExchange, OrderRequest, SyncBot
from parts.gateway import ROOT, GatewayProcess
from parts.nats import Nats, logs

pytestmark = pytest.mark.real
TALKING_BOT = ROOT / "tests" / "parts" / "talking_bot.py"


@dataclass
class Fleet:
    """One NATS and one gateway, which knows qe1 as a demo bot and qe2 as a paper bot."""

    folder: Path
    nats: Nats
    gateway: GatewayProcess
    orders: int = 0
    spools: int = 0
    started: float = field(default_factory=time.monotonic)

    def order(self, **more: Any) -> dict[str, Any]:
        """A new order of ten dollars."""
        self.orders += 1
        fields = {"symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": "0.001", "price": "10000"}
        return {"order_id": f"o-{os.getpid()}-{self.orders}", **fields, **more}

    def settings(self, bot: str = "qe1", mode: Mode = Mode.DEMO, **more: Any) -> BotSettings:
        self.spools += 1
        fields: dict[str, Any] = {
            "nats_url": self.nats.url,
            "nkey_seed": self.nats.seed(bot),
            "spool_dir": self.folder / f"spool-{self.spools}",
            "latch_dir": self.gateway.home.latch,
        }
        return BotSettings(bot=bot, account="main", mode=mode, **(fields | more))

    @asynccontextmanager
    async def bot(self, bot: str = "qe1", mode: Mode = Mode.DEMO, **more: Any) -> AsyncIterator[Bot]:
        async with Bot(self.settings(bot, mode, **more)) as made:
            if made.settings.bot == "qe1":
                await made.equity(equity="10000", balance="10000", net_deposits="0")
            yield made

    async def stored(self, bot: str, after: int = 0, stream: str = "FLEET") -> list[tuple[str, dict[str, Any]]]:
        """Subject token and event of every line this bot has in a stream, in order."""
        found: list[tuple[str, dict[str, Any]]] = []
        async with logs(self.nats, "operator", (stream,)) as (log,):
            last = await log.last(">", timeout_s=5)
            async with asyncio.timeout(20):
                async for batch in log.read(after + 1, [f"fleet.*.*.{bot}"]):
                    for message in batch:
                        token = message.subject.split(".")[2]
                        found += [(token, from_json(line)) for line in message.body.splitlines()]
                    if last is None or not batch or batch[-1].seq >= last.seq:
                        return found
        return found

    async def last_seq(self) -> int:
        async with logs(self.nats, "operator") as (log,):
            last = await log.last("fleet.>", timeout_s=5)
            return last.seq if last is not None else 0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("sdk")
    config = folder / "config"
    shutil.copytree(ROOT / "deploy" / "config", config)
    supervisor = config / "supervisor.yaml"
    supervisor.write_text(supervisor.read_text().replace("bots:\n", "bots:\n  qe2: {accounts: [main], mode: paper}\n", 1))
    nats = Nats(folder / "nats")
    gateway = GatewayProcess(folder / "home", nats, config)
    try:
        nats.server.start()
        asyncio.run(nats.provision())
        gateway.start()
        asyncio.run(gateway.ready())
        yield Fleet(folder, nats, gateway)
    finally:
        gateway.kill()
        nats.stop()


async def until(condition: Any, within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_an_order_is_asked_about_and_its_decision_is_in_the_journal(fleet: Fleet) -> None:
    async with fleet.bot() as bot:
        assert bot.state.mode is Mode.DEMO
        assert not bot.state.stale
        order, equity = fleet.order(), await bot.equity(equity="10001", balance="10001", net_deposits="0")
        verdict = await bot.evaluate(order)
        assert (verdict.allowed, verdict.reason, verdict.local) == (True, "OK", False), verdict
        assert isinstance(verdict.decision, OrderDecision)
        assert verdict.decision.equity_event == equity, "the bot's own equity, told just before, was not waited for"
        assert verdict.still_valid()
        await bot.order_event(order_id=order["order_id"], status="CANCELLED", filled_qty="0", leaves_qty="0")
        assert await bot.flush()
        decisions = [event for token, event in await fleet.stored("risk-gateway") if token == "order_decision"]
        assert decisions[-1]["order_id"] == order["order_id"]
        assert decisions[-1]["event_id"] == verdict.decision.event_id


async def test_heartbeats_come_every_interval_and_their_seq_grows_by_one(fleet: Fleet) -> None:
    async with fleet.bot("qe2", Mode.PAPER, heartbeat_s=0.1) as bot:
        bot.progress(pnl="12.5", open_positions=1, last_tick_at=datetime.now(UTC))
        await asyncio.sleep(0.8)
    beats = [event for _, event in await fleet.stored("qe2", stream="HEARTBEAT")]
    seqs = [beat["seq"] for beat in beats]
    assert len(beats) >= 5
    assert seqs == list(range(1, len(seqs) + 1))
    assert (beats[-1]["pnl"], beats[-1]["open_positions"], beats[-1]["mode"]) == ("12.5", 1, "paper")
    assert beats[-1]["pid"] == os.getpid()
    assert beats[-1]["loop_lag_ms"] >= 0


async def test_with_the_gateway_away_live_and_demo_deny_and_paper_allows_in_time_and_on_record(fleet: Fleet) -> None:
    after = await fleet.last_seq()
    async with fleet.bot(mode=Mode.LIVE) as live, fleet.bot("qe2", Mode.PAPER) as paper:
        fleet.gateway.kill()
        for bot, allowed in ((live, False), (paper, True)):
            started = time.monotonic()
            verdict = await bot.evaluate(fleet.order())
            assert time.monotonic() - started < 0.4
            assert (verdict.allowed, verdict.local, verdict.reason) == (allowed, True, "NO_LEADER")
            assert verdict.still_valid() is allowed
            assert await bot.flush()
        await until(lambda: live.state.stale)
        fleet.gateway.start()
        await fleet.gateway.ready()
        await until(lambda: not live.state.stale)
        await live.equity(equity="10000", balance="10000", net_deposits="0")
        verdict = await live.evaluate(order := fleet.order(), deadline_ms=2000)
        assert (verdict.allowed, verdict.local) == (True, False)
        await live.order_event(order_id=order["order_id"], status="CANCELLED", filled_qty="0", leaves_qty="0")
    said = {name: await fleet.stored(name, after) for name in ("qe1", "qe2")}
    verdicts = {name: [e["decision"] for token, e in said[name] if token == "local_verdict"] for name in said}
    assert verdicts == {"qe1": ["DENY"], "qe2": ["ALLOW"]}
    assert next(e["detail"] for token, e in said["qe1"] if token == "order_event") == "NEVER_SENT"
    assert not [e for token, e in said["qe2"] if token == "order_event"]


async def test_with_the_bus_frozen_or_killed_the_deadline_holds_and_everything_arrives_in_order(fleet: Fleet) -> None:
    after = await fleet.last_seq()
    async with fleet.bot() as bot:
        numbers = iter(range(1000))

        async def talk(seconds: float) -> None:
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                await bot.trade(symbol="BTC-PERP", side="BUY", price="1", qty="1", pnl="0", number=next(numbers))
                await asyncio.sleep(0.02)

        for trouble in ("freeze", "kill"):
            await talk(0.2)
            fleet.nats.server.freeze() if trouble == "freeze" else fleet.nats.server.kill()
            started = time.monotonic()
            verdict = await bot.evaluate(fleet.order())
            assert time.monotonic() - started < 0.4
            assert (verdict.allowed, verdict.local) == (False, True)
            await talk(3)
            assert bot.spooled > 50
            fleet.nats.server.thaw() if trouble == "freeze" else fleet.nats.server.start()
            assert await bot.flush(20)
        total = next(numbers)
    said = await fleet.stored("qe1", after)
    assert [event["number"] for token, event in said if token == "trade"] == list(range(total))
    assert len({event["event_id"] for _, event in said}) == len(said)
    await fleet.gateway.ready()


async def test_a_bot_killed_with_the_bus_away_loses_nothing_it_promised(fleet: Fleet, tmp_path: Path) -> None:
    after = await fleet.last_seq()

    def start(first: int, count: int, pause_s: float) -> subprocess.Popen[bytes]:
        place = (fleet.nats.url, str(fleet.nats.seed("qe2")), str(tmp_path))
        command = [sys.executable, "-P", str(TALKING_BOT), *place, str(first), str(count), str(pause_s)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    promised: list[int] = []
    for life in range(3):
        process = start(life * 10_000, 5_000, 0.0005)
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        promised += [int(next(lines)) for _ in range(100)]
        if life:
            fleet.nats.server.kill()
        promised += [int(next(lines)) for _ in range(100 * (life + 1))]
        process.kill()
        promised += [int(line) for line in lines if line.endswith(b"\n")]
        process.wait(10)
        process.stdout.close()
        if life:
            fleet.nats.server.start()
    last = start(90_000, 1, 0)
    out, _ = await asyncio.to_thread(last.communicate, timeout=60)
    promised += [int(line) for line in out.split()]
    numbers = [event["number"] for token, event in await fleet.stored("qe2", after) if token == "trade"]
    assert numbers == sorted(set(numbers)), "not in order, or twice"
    assert set(promised) <= set(numbers)
    assert len(numbers) - len(promised) <= 3, "only the one line whose promise was cut off may be more"
    await fleet.gateway.ready()


async def test_a_late_order_is_never_sent_and_its_hold_is_released(fleet: Fleet) -> None:
    exchange: list[OrderRequest] = []

    class Exchange:
        async def send(self, order: OrderRequest) -> None:
            exchange.append(order)

        async def cancel(self, order_id: str) -> None:
            raise AssertionError(order_id)

    async with fleet.bot() as bot:
        gated = GatedExchange(Exchange(), bot)
        first = fleet.order()
        assert (await gated.submit(first)).sent
        assert [order.order_id for order in exchange] == [first["order_id"]]
        await bot.order_event(order_id=first["order_id"], status="CANCELLED", filled_qty="0", leaves_qty="0")
        order = fleet.order()
        assert fleet.gateway.process is not None
        os.kill(fleet.gateway.process.pid, signal.SIGSTOP)
        submission = await gated.submit(order)
        os.kill(fleet.gateway.process.pid, signal.SIGCONT)
        assert (submission.sent, submission.verdict.reason) == (False, "NO_ANSWER")
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(15):

            async def see(path: str) -> httpx.Response:
                await asyncio.sleep(0.05)
                return await client.get(f"{fleet.gateway.url}/api/v1/{path}", headers=fleet.gateway.headers("viewer"))

            while (await see(f"decisions/{order['order_id']}?bot=qe1")).status_code != 200:
                pass
            while order["order_id"] in (await see("reservations")).text:
                pass
        again = await gated.submit(order)
        assert (again.sent, again.verdict.reason) == (False, "GIVEN_UP")
    assert len(exchange) == 1


async def test_a_latch_file_stops_openings_at_once_and_reductions_pass_to_the_gateway(fleet: Fleet) -> None:
    latch = fleet.gateway.home.latch / "main" / "by-hand.json"
    async with fleet.bot() as bot:
        verdict = await bot.evaluate(fleet.order())
        latch.parent.mkdir(parents=True, exist_ok=True)
        latch.write_bytes(b"{}")
        await until(lambda: bot.halted, 1)
        assert not verdict.still_valid()
        denied = await bot.evaluate(fleet.order())
        latch.unlink()
        assert (denied.allowed, denied.reason) == (False, "HALTED")
        async with httpx.AsyncClient(trust_env=False, headers=fleet.gateway.headers("approver")) as client, asyncio.timeout(10):
            while bot.halted:  # the gateway looks now and then: if it has seen the file, a person has to lift the halt
                lift = {"reason": "test over", "phrase": "resume main"}
                answer = await client.post(f"{fleet.gateway.url}/api/v1/resume", json=lift)
                assert answer.status_code in (200, 409), answer.text
                await asyncio.sleep(0.2)


async def test_a_halt_of_an_operator_reaches_the_bot(fleet: Fleet) -> None:
    async with fleet.bot() as bot, httpx.AsyncClient(trust_env=False, headers=fleet.gateway.headers("admin")) as client:
        answer = await client.post(f"{fleet.gateway.url}/api/v1/halt", json={"reason": "test"})
        assert answer.status_code == 200, answer.text
        await until(lambda: bool(bot.state.halts), 3)
        verdict = await bot.evaluate(fleet.order())
        assert not verdict
        answer = await client.post(f"{fleet.gateway.url}/api/v1/resume", json={"reason": "test over", "phrase": "resume main"})
        assert answer.status_code == 200, answer.text
        await until(lambda: not bot.halted, 3)
        verdict = await bot.evaluate(order := fleet.order())
        assert verdict
        await bot.never_sent(order)


async def test_an_event_whose_msg_id_another_bot_has_taken_is_stored_all_the_same(fleet: Fleet) -> None:
    after = await fleet.last_seq()
    trade = {"symbol": "BTC-PERP", "side": "BUY", "price": "1", "qty": "1", "pnl": "0"}
    async with fleet.nats.connect("qe2") as stranger:
        headers = {"Nats-Msg-Id": "qe1:taken"}
        reply = await stranger.request("fleet.main.trade.qe2", to_json(trade), timeout=5, headers=headers)
        assert b"error" not in reply.data
    async with fleet.bot() as bot:
        await bot.trade(event_id="taken", **trade)
        assert await bot.flush()
    assert "taken" in [event["event_id"] for token, event in await fleet.stored("qe1", after) if token == "trade"]


async def test_a_full_journal_keeps_events_in_the_spool_until_there_is_room(fleet: Fleet) -> None:
    async with fleet.bot() as bot:
        await bot.flush()
        await fleet.nats.provision(fleet_bytes_max=1)
        await bot.trade(symbol="BTC-PERP", side="BUY", price="1", qty="1", pnl="0")
        assert not await bot.flush(0.5)
        assert bot.spooled == 1
        await fleet.nats.provision()
        assert await bot.flush(10)


async def test_the_sync_face_works_from_several_threads(fleet: Fleet) -> None:
    def run() -> list[bool]:
        answers: list[bool] = []
        with SyncBot(fleet.settings()) as bot:
            bot.equity(equity="10000", balance="10000", net_deposits="0")
            orders = [[fleet.order() for _ in range(3)] for _ in range(4)]

            def trade(mine: list[dict[str, Any]]) -> None:
                for order in mine:
                    verdict = bot.evaluate(order, deadline_ms=2000)
                    answers.append(verdict.allowed and verdict.still_valid())
                    bot.order_event(order_id=order["order_id"], status="CANCELLED", filled_qty="0", leaves_qty="0")
                    bot.mark(symbol="BTC-PERP", bid="9999", ask="10001")

            threads = [threading.Thread(target=trade, args=(mine,)) for mine in orders]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert bot.flush(10)
            assert bot.spooled == 0
            assert bot.state.mode is Mode.DEMO
        return answers

    assert await asyncio.to_thread(run) == [True] * 12


async def test_a_command_seen_live_is_carried_out_once_and_answered(fleet: Fleet) -> None:
    after = await fleet.last_seq()
    done: list[str] = []
    async with fleet.bot("qe2", Mode.PAPER) as bot:

        @bot.on_command
        async def handle(command: BotCommand) -> tuple[AckState, str]:
            done.append(command.command_id)
            return AckState.DONE, "paused"

        command = to_json({"command_id": "c-1", "bot": "qe2", "command": "PAUSE", "params": {}})
        async with fleet.nats.connect("risk-gateway") as client:
            for _ in range(2):
                await client.request("fleet.main.bot_command.risk-gateway", command, timeout=5)
        await until(lambda: done, 5)
        await asyncio.sleep(0.2)
        await bot.flush()
    acks = [event for token, event in await fleet.stored("qe2", after) if token == "bot_ack"]
    assert done == ["c-1"]
    assert [(ack["command_id"], ack["state"]) for ack in acks] == [("c-1", "ACCEPTED"), ("c-1", "DONE")]


async def test_in_virtual_time_every_event_is_stored_when_its_call_returns(fleet: Fleet) -> None:
    moment = datetime.now(UTC)
    async with fleet.bot(virtual_time=lambda: moment, deadline_ms=30_000) as bot:
        await bot.equity(equity="10000", balance="10000", net_deposits="0")
        assert bot.spooled == 0
        await bot.step()
        assert bot.state.mode is Mode.DEMO
        verdict = await bot.evaluate(order := fleet.order())
        assert verdict.decision.ts is not None
        await bot.order_event(order_id=order["order_id"], status="CANCELLED", filled_qty="0", leaves_qty="0")
        assert bot.spooled == 0
