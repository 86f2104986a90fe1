"""Before every order: answers in time, by whom, and that nothing is sent late or forgotten.

One file, though long: one rule of the gatekeeper a test.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fleet_contracts import Mode
from fleet_sdk.errors import InvalidOrder
from parts.asked_bot import AskedBot, DoorGateway
from parts.memory_bus import MemoryBus
from parts.virtual_time import VirtualLoop, run

Tell = Callable[[AskedBot, DoorGateway, VirtualLoop], Coroutine[Any, Any, None]]


def tell(folder: Path, story: Tell, mode: Mode = Mode.DEMO, **more: Any) -> None:
    """Run a story with a bot and an open gateway; what is spooled has arrived at its end."""

    async def main(loop: VirtualLoop) -> None:
        bus = MemoryBus()
        gateway = DoorGateway(bus)
        gateway.open()
        bot = AskedBot(folder, bus, mode, **more)
        await story(bot, gateway, loop)
        await bot.kill()

    run(main)


async def settled(bot: AskedBot) -> None:
    """Everything the bot has to say has arrived."""
    assert await bot.journal.flush(30)


def never_sent(bot: AskedBot) -> list[str]:
    return [event["order_id"] for event in bot.said("ORDER_EVENT") if event["detail"] == "NEVER_SENT"]


def test_an_allow_is_valid_until_its_time_and_then_reported_never_sent(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        verdict = await bot.evaluate()
        assert verdict
        assert not verdict.local
        assert verdict.allowed_qty == Decimal("0.5")
        await asyncio.sleep(5)
        assert not verdict.still_valid()
        assert not verdict.still_valid()
        await settled(bot)
        assert never_sent(bot) == ["o-1"]
        assert (await bot.evaluate()).reason == "GIVEN_UP"
        assert len(gateway.bodies) == 1

    tell(tmp_path, story)


def test_a_verdict_once_found_valid_may_have_been_sent_and_is_not_reported_when_it_expires(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        verdict = await bot.evaluate()
        assert verdict.still_valid()
        await asyncio.sleep(5)
        assert not verdict.still_valid()
        await settled(bot)
        assert never_sent(bot) == []

    tell(tmp_path, story)


def test_validity_counts_from_the_question_not_from_the_answer(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        bot.bus.delay_s = 0.2
        asked_at = loop.time()
        verdict = await bot.evaluate()
        assert verdict.send_by == pytest.approx(asked_at + 5)

    tell(tmp_path, story)


@pytest.mark.parametrize("trouble", ["bus away", "nobody listens", "silent", "JOURNAL_UNAVAILABLE", "NO_LEADER", "OVERLOADED"])
@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.DEMO, Mode.PAPER])
def test_without_a_decision_the_policy_answers_at_the_deadline_and_says_so(tmp_path: Path, trouble: str, mode: Mode) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        match trouble:
            case "bus away":
                bot.bus.go_away()
            case "nobody listens":
                gateway.close()
            case "silent":
                gateway.silent = True
            case reason:
                gateway.no_decision = reason
        started = loop.time()
        verdict = await bot.evaluate()
        assert loop.time() - started == pytest.approx(0.25, abs=0.001)
        assert verdict.local
        assert verdict.allowed is (mode is Mode.PAPER)
        assert verdict.still_valid() is verdict.allowed
        bot.bus.come_back()
        await settled(bot)
        (said,) = bot.said("LOCAL_VERDICT")
        assert said["decision"] == ("ALLOW" if mode is Mode.PAPER else "DENY")
        assert (said["order_id"], said["reason"], said["qty"]) == ("o-1", verdict.reason, "0.5")
        assert never_sent(bot) == ([] if mode is Mode.PAPER else ["o-1"])

    tell(tmp_path, story, mode)


def test_every_retry_carries_the_same_bytes(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.no_decision = "NO_LEADER"
        await bot.evaluate()
        assert 3 < len(gateway.bodies) < 12
        assert len(set(gateway.bodies)) == 1

    tell(tmp_path, story)


def test_a_leader_that_comes_inside_the_deadline_is_still_asked(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.close()
        loop.call_later(0.1, gateway.open)
        verdict = await bot.evaluate()
        assert verdict
        assert not verdict.local

    tell(tmp_path, story)


def test_a_bus_that_comes_back_inside_the_deadline_is_asked_again(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.silent = True
        loop.call_later(0.02, bot.bus.go_away)
        loop.call_later(0.05, lambda: (setattr(gateway, "silent", False), bot.bus.come_back()))
        verdict = await bot.evaluate()
        assert verdict
        assert not verdict.local

    tell(tmp_path, story)


def test_a_late_allow_is_never_used_and_is_answered_never_sent(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        bot.bus.delay_s = 0.3
        verdict = await bot.evaluate()
        assert not verdict
        assert not verdict.still_valid()
        bot.bus.delay_s = 0.001
        await asyncio.sleep(0.5)
        await settled(bot)
        assert set(never_sent(bot)) == {"o-1"}
        assert bot.said("ORDER_EVENT")[-1]["cause"] == "d-o-1"
        asked = len(gateway.bodies)
        again = await bot.evaluate()
        assert (again.allowed, again.reason) == (False, "GIVEN_UP")
        assert len(gateway.bodies) == asked

    tell(tmp_path, story)


def test_an_answer_that_the_busy_loop_sees_after_the_deadline_is_late(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        bot.bus.delay_s = 0.2
        loop.call_later(0.199, lambda: setattr(bot, "clock_ahead_s", 1.0))
        assert not await bot.evaluate()
        await asyncio.sleep(10)
        await settled(bot)
        assert never_sent(bot) == ["o-1", "o-1"]

    tell(tmp_path, story)


def test_an_order_that_may_be_decided_after_all_is_reported_never_sent_behind_its_decision(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.no_decision, gateway.decides_anyway = "JOURNAL_UNAVAILABLE", True
        await bot.evaluate()
        await asyncio.sleep(10)
        order = [message.event.get("decision") or message.event["detail"] for message in bot.bus.stream][1:]
        assert order == ["NEVER_SENT", "ALLOW", "NEVER_SENT"]

    tell(tmp_path, story)


def test_with_a_latch_file_an_opening_allow_is_a_deny_and_a_reduction_passes(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        bot.latched = True
        opening = await bot.evaluate("o-1")
        reducing = await bot.evaluate("o-2", reduce_only=True)
        assert (opening.allowed, opening.reason, opening.local) == (False, "HALTED", True)
        assert reducing.still_valid()
        await settled(bot)
        assert never_sent(bot) == ["o-1"]

    tell(tmp_path, story)


def test_a_latch_file_that_appears_after_the_verdict_voids_it(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        verdict = await bot.evaluate()
        bot.latched = True
        assert not verdict.still_valid()
        await settled(bot)
        assert never_sent(bot) == ["o-1"]

    tell(tmp_path, story)


def test_a_known_halt_denies_openings_in_paper_when_the_gateway_is_away(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.close()
        bot.halted = True
        assert (await bot.evaluate("o-1")).reason == "HALTED"
        assert await bot.evaluate("o-2", reduce_only=True)

    tell(tmp_path, story, Mode.PAPER)


def test_an_allow_that_cannot_be_recorded_is_none(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        bot.bus.go_away()
        verdicts = [await bot.evaluate(f"o-{number}") for number in range(60)]
        assert verdicts[0].allowed
        assert verdicts[-1].reason == "NOT_RECORDED"
        bot.bus.come_back()
        await settled(bot)
        recorded = {said["order_id"] for said in bot.said("LOCAL_VERDICT") if said["decision"] == "ALLOW"}
        assert recorded == {f"o-{number}" for number, verdict in enumerate(verdicts) if verdict}

    tell(tmp_path, story, Mode.PAPER, spool_bytes_max=16 * 1024)


def test_what_is_no_order_is_an_error_and_not_a_verdict(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        with pytest.raises(InvalidOrder, match="price"):
            await bot.evaluate(price=None)
        with pytest.raises(InvalidOrder, match="account"):
            await bot.evaluate(account="another")
        gateway.no_decision = "INVALID_REQUEST"
        with pytest.raises(InvalidOrder):
            await bot.evaluate()

    tell(tmp_path, story)


def test_a_caller_that_stops_waiting_gives_its_order_up(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.silent = True
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await bot.evaluate()
        await settled(bot)
        assert never_sent(bot) == ["o-1"]
        assert [said["reason"] for said in bot.said("LOCAL_VERDICT")] == ["CANCELLED"]

    tell(tmp_path, story)


def test_an_order_given_up_on_stays_so_after_a_restart(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.close()
        await bot.evaluate()
        await bot.kill()
        gateway.open()
        again = AskedBot(tmp_path, bot.bus)
        assert (await again.evaluate()).reason == "GIVEN_UP"
        assert gateway.bodies == []
        await again.kill()

    tell(tmp_path, story)


def test_an_allow_of_an_earlier_process_is_valid_by_the_wall_clock_and_never_called_never_sent(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        now = bot.voice.now()
        gateway.changes = {"ts": now.isoformat(), "valid_until": (now + timedelta(seconds=5)).isoformat()}
        assert await bot.evaluate()
        await bot.kill()
        again = AskedBot(tmp_path, bot.bus)
        gateway.decided["o-1"]["valid_until"] = (now - timedelta(seconds=1)).isoformat()
        gateway.decided["o-1"]["ts"] = (now - timedelta(seconds=6)).isoformat()
        verdict = await again.evaluate()
        assert verdict.decision.duplicate  # type: ignore[union-attr]
        assert not verdict.still_valid()
        gateway.close()
        assert not await again.evaluate()
        await settled(again)
        assert never_sent(again) == []
        await again.kill()

    tell(tmp_path, story)


def test_a_bot_may_say_never_sent_itself_but_not_of_what_it_reported(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        first, second = await bot.evaluate("o-1"), await bot.evaluate("o-2")
        assert first.still_valid()
        order = {"symbol": "X", "side": "BUY", "order_type": "MARKET", "qty": 1}
        bot.gatekeeper.never_sent(bot.voice.order({**order, "order_id": "o-1"}))
        bot.gatekeeper.sent("o-2")
        with pytest.raises(InvalidOrder, match="was sent"):
            bot.gatekeeper.never_sent(bot.voice.order({**order, "order_id": "o-2"}))
        assert second.allowed
        await settled(bot)
        assert never_sent(bot) == ["o-1"]

    tell(tmp_path, story)


def test_the_fleet_asking_about_an_order_given_up_on_is_answered(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.close()
        await bot.evaluate()
        assert bot.gatekeeper.report_again("o-1")
        assert not bot.gatekeeper.report_again("o-2")
        await settled(bot)
        assert never_sent(bot) == ["o-1", "o-1"]

    tell(tmp_path, story)


def test_a_process_that_died_with_a_question_on_its_way_leaves_an_answer_for_the_next_one(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.silent = True
        asking = asyncio.create_task(bot.evaluate("o-1", deadline_s=60))
        await asyncio.sleep(0.01)
        assert not bot.gatekeeper.report_again("o-1"), "it may still be allowed"
        bot.gatekeeper._give_up = lambda *_, **__: None  # type: ignore[method-assign]  # what a SIGKILL leaves undone
        asking.cancel()
        await bot.kill()
        again = AskedBot(tmp_path, bot.bus)
        assert "o-1" in gateway.decided, "the gateway holds it"
        assert again.gatekeeper.report_again("o-1")
        await settled(again)
        assert never_sent(again) == ["o-1"]
        assert (await again.evaluate("o-1")).reason == "GIVEN_UP"
        await again.kill()

    tell(tmp_path, story)


def test_an_order_denied_here_was_never_sent_whatever_the_gateway_holds(tmp_path: Path) -> None:
    """The reply to an ALLOW is DENY when a halt has taken effect meanwhile; its hold waits for NEVER_SENT (DESIGN §5)."""

    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        gateway.changes = {"decision": "DENY", "reason": "KILL_SWITCH"}
        assert not await bot.evaluate("o-1")
        assert bot.gatekeeper.report_again("o-1")
        await settled(bot)
        assert never_sent(bot) == ["o-1"]

    tell(tmp_path, story)


def test_of_an_order_that_was_allowed_the_bot_has_to_tell_also_after_a_restart(tmp_path: Path) -> None:
    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        assert (await bot.evaluate("o-1")).still_valid()
        assert not bot.gatekeeper.report_again("o-1")
        await bot.kill()
        again = AskedBot(tmp_path, bot.bus)
        assert not again.gatekeeper.report_again("o-1")
        await again.kill()

    tell(tmp_path, story)


def test_an_allow_that_cannot_be_written_down_is_a_deny_and_a_reduction_is_not(tmp_path: Path) -> None:
    """Else a crash would leave word that it was only asked about, and it would be called never sent."""

    async def story(bot: AskedBot, gateway: DoorGateway, loop: VirtualLoop) -> None:
        write = bot.memory.write

        def full(identifier: str, word: str) -> None:
            if word == "ALLOWED":
                raise OSError("no space left on device")
            write(identifier, word)

        bot.memory.write = full  # type: ignore[method-assign]
        assert (await bot.evaluate("o-1")).reason == "NOT_RECORDED"
        assert await bot.evaluate("o-2", reduce_only=True)
        await settled(bot)
        assert never_sent(bot) == ["o-1"]
        await bot.kill()
        again = AskedBot(tmp_path, bot.bus)
        assert not again.gatekeeper.report_again("o-2"), "nobody knows: it may have been sent"
        await again.kill()

    tell(tmp_path, story)


class History:
    """Orders in any weather. What is sent is noted with its time; at the end the log must account for everything."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.sent: dict[str, float] = {}

    async def tell(self, loop: VirtualLoop) -> None:
        bus = MemoryBus()
        gateway = DoorGateway(bus)
        gateway.open()
        mode = self.rng.choice([Mode.DEMO, Mode.PAPER])
        bot = AskedBot(self.folder, bus, mode)
        for number in range(25):
            self._weather(bus, gateway, bot)
            orders = [f"o-{number}-{lane}" for lane in range(self.rng.randrange(1, 4))]
            await asyncio.gather(*(self._trade(bot, order_id, loop) for order_id in orders))
            await asyncio.sleep(self.rng.choice([0, 0.1, 1]))
            if self.rng.random() < 0.05:
                bot = await self._restart(bot, mode)
        bus.delay_s, bus.lose_answers, bot.latched = 0.001, 0, False
        bus.come_back()
        await asyncio.sleep(30)
        await settled(bot)
        self._account_for(bot, gateway)
        await bot.kill()

    async def _restart(self, bot: AskedBot, mode: Mode) -> AskedBot:
        """Between orders, everything said: what a killed bot knew of open questions is gone with it."""
        bot.gatekeeper.settle(float("inf"))
        await bot.kill()
        return AskedBot(self.folder, bot.bus, mode)

    def _weather(self, bus: MemoryBus, gateway: DoorGateway, bot: AskedBot) -> None:
        rng = self.rng
        gateway.no_decision = rng.choice([None] * 5 + ["JOURNAL_UNAVAILABLE", "NO_LEADER", "OVERLOADED"])
        gateway.decides_anyway = gateway.no_decision == "JOURNAL_UNAVAILABLE" and rng.random() < 0.5
        gateway.silent = rng.random() < 0.1
        gateway.close() if rng.random() < 0.1 else gateway.open()
        bus.delay_s = rng.choice([0.001, 0.001, 0.05, 0.24, 0.26, 1.0])
        bus.lose_answers = rng.choice([0, 0, 0, 1, 2])
        bus.go_away() if rng.random() < 0.15 else bus.come_back()
        bot.latched = rng.random() < 0.1

    async def _trade(self, bot: AskedBot, order_id: str, loop: VirtualLoop) -> None:
        for _ in range(self.rng.randrange(1, 3)):
            started = loop.time()
            verdict = await bot.evaluate(order_id)
            assert loop.time() - started <= 0.2501
            await asyncio.sleep(self.rng.choice([0, 0.01, 2, 4.9, 5.1]))
            if verdict.still_valid() and order_id not in self.sent:
                self.sent[order_id] = loop.time()
                bot.gatekeeper.sent(order_id)

    def _account_for(self, bot: AskedBot, gateway: DoorGateway) -> None:
        place = {order_id: 0 for order_id in gateway.decided}
        voids: dict[str, int] = {}
        for message in bot.bus.stream:
            event = message.event
            if ".order_decision." in message.subject:
                place[str(event["order_id"])] = message.seq
            elif event.get("detail") == "NEVER_SENT":
                voids[str(event["order_id"])] = message.seq
        assert not voids.keys() & self.sent.keys(), "sent, and called never sent"
        locally = {said["order_id"] for said in bot.said("LOCAL_VERDICT") if said["decision"] == "ALLOW"}
        for order_id, at in self.sent.items():
            assert order_id in locally or at <= gateway.decided_at[order_id] + 5, "sent late"
        for order_id, seq in place.items():
            unaccounted = order_id not in self.sent and order_id not in locally and voids.get(order_id, 0) < seq
            assert not unaccounted, f"{order_id} holds limits for ever"


@pytest.mark.parametrize("seed", range(80))
def test_in_any_weather_nothing_is_sent_late_and_every_allow_is_sent_or_called_never_sent(tmp_path: Path, seed: int) -> None:
    run(History(tmp_path, seed).tell)
