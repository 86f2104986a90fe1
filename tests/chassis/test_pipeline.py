"""Every outcome of an append (DESIGN §5), on the in-memory log in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleet_chassis.drive import CoreMaker, Drive
from fleet_chassis.lease import LeaseTable, MemoryLease
from fleet_chassis.log import NO_HEADERS, Fence, NoAnswer, Outcome, Refused, Stored
from fleet_chassis.memory_log import MemoryLog
from fleet_chassis.pipeline import Status
from fleet_chassis.pipeline_limits import PipelineLimits
from fleet_contracts import Reason
from parts.tally import Caller, Tally, fact
from parts.virtual_time import VirtualLoop, run

FENCE = "fleet.main.*.risk-gateway"
DECISIONS = "fleet.main.anomaly.risk-gateway"


class ScriptedLog(MemoryLog):
    """Does to the next appends of ANOMALY facts what the script says: `lose`, `lose ack`, `refuse`, `duplicate`."""

    script: list[str]

    async def append(self, subject, body, *, fence=None, headers=NO_HEADERS, timeout_s) -> Outcome:  # type: ignore[no-untyped-def]
        step = self.script.pop(0) if self.script and subject == DECISIONS else "store"
        if step == "refuse":
            return Refused(10077, "maximum bytes exceeded")
        if step == "duplicate":
            return Stored(1, duplicate=True)
        if step != "lose":
            outcome = self.store(subject, body, fence=fence, headers=headers)
            if step == "store":
                return outcome
        await asyncio.sleep(timeout_s)
        return NoAnswer()


@dataclass
class Scene:
    loop: VirtualLoop
    log: ScriptedLog
    drive: Drive[Tally]

    def call(self, kind: str, patience_s: float = 0.25) -> Caller:
        caller = Caller(self.loop.time() + patience_s)
        caller.reason = self.drive.pipeline.put(fact(kind), caller)
        return caller

    @property
    def stored(self) -> list[str]:
        return [message.body.decode() for message in self.log.messages if message.subject == DECISIONS]


def play(story: Callable[[Scene], Awaitable[None]], *script: str, demands: tuple[str, ...] = ()) -> None:
    """Run a story with one leading instance."""

    async def main(loop: VirtualLoop) -> None:
        log = ScriptedLog(loop.wall_clock)
        log.script = list(script)

        def fresh() -> Tally:
            tally = Tally()
            tally.demands = list(demands)
            return tally

        drive = Drive(
            CoreMaker(fresh, Tally.load),
            log,
            MemoryLease(LeaseTable(), "risk-gateway.main", "gw-1"),
            loop.wall_clock,
            service="risk-gateway",
            account="main",
            instance="gw-1",
            limits=PipelineLimits(queue_facts_max=4),
        )
        await drive.open()
        running = asyncio.create_task(drive.run())
        await asyncio.sleep(1)
        assert drive.pipeline.status is Status.LEADING
        await story(Scene(loop, log, drive))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main)


def test_a_stored_fact_answers_its_waiter_and_leaves_the_overlay() -> None:
    async def story(scene: Scene) -> None:
        caller = scene.call("a")
        assert scene.drive.core.held == {"a": 1}
        await asyncio.sleep(0.1)
        assert caller.seq == 2  # the LEADER record is 1
        assert scene.drive.core.folded == ["a"]
        assert scene.drive.pipeline.settled

    play(story)


def test_what_is_put_while_an_append_is_away_leaves_as_one_message() -> None:
    async def story(scene: Scene) -> None:
        callers = [scene.call(kind) for kind in "abc"]
        await asyncio.sleep(0.1)
        assert [caller.seq for caller in callers] == [2, 2, 2]
        assert len(scene.stored) == 1
        assert scene.stored[0].count("\n") == 2

    play(story)


def test_a_lost_ack_is_resent_found_in_the_log_and_stored_once() -> None:
    async def story(scene: Scene) -> None:
        caller = scene.call("a", patience_s=2)
        await asyncio.sleep(2)
        assert caller.seq == 2
        assert len(scene.stored) == 1
        assert not scene.drive.pipeline.stalled

    play(story, "lose ack")


def test_a_refusal_says_nothing_of_an_earlier_send_without_an_answer() -> None:
    async def story(scene: Scene) -> None:
        caller = scene.call("a", patience_s=2)
        await asyncio.sleep(1)
        assert caller.seq == 2
        assert caller.reason is None
        assert len(scene.stored) == 1

    play(story, "lose ack", "refuse")


def test_nothing_new_is_decided_while_an_append_has_no_answer() -> None:
    async def story(scene: Scene) -> None:
        scene.call("a", patience_s=2)
        await asyncio.sleep(0.5)
        assert scene.call("b").reason is Reason.JOURNAL_UNAVAILABLE

    play(story, "lose", "lose", "lose")


def test_an_append_without_any_answer_ends_in_a_new_take_over() -> None:
    async def story(scene: Scene) -> None:
        caller = scene.call("a")
        await asyncio.sleep(5)
        assert caller.reason is Reason.JOURNAL_UNAVAILABLE
        assert sum(message.subject == "fleet.main.leader.risk-gateway" for message in scene.log.messages) == 2
        assert scene.drive.pipeline.settled
        assert scene.drive.pipeline.status is Status.LEADING

    play(story, *["lose"] * 20)


def test_a_refused_append_is_certainly_not_stored_and_the_next_one_is() -> None:
    async def story(scene: Scene) -> None:
        refused = scene.call("a")
        await asyncio.sleep(0.1)
        assert refused.reason is Reason.JOURNAL_UNAVAILABLE
        assert scene.drive.core.held == {}
        stored = scene.call("b")
        await asyncio.sleep(0.1)
        assert stored.seq is not None

    play(story, "refuse")


def test_a_duplicate_is_no_success() -> None:
    """A foreign message may carry our Msg-Id: the PubAck then names another message's sequence."""

    async def story(scene: Scene) -> None:
        caller = scene.call("a")
        await asyncio.sleep(3)
        assert caller.seq is None or scene.log.messages[caller.seq - 1].body == fact("a").line

    play(story, "duplicate")


def test_a_leader_that_finds_another_leaders_message_steps_down() -> None:
    async def story(scene: Scene) -> None:
        scene.log.store("fleet.main.risk_state.risk-gateway", b"{}", headers={"Fleet-Leader": "gw-2.9"})
        caller = scene.call("a")
        await asyncio.sleep(0.05)
        assert caller.reason is Reason.JOURNAL_UNAVAILABLE
        assert scene.stored == []
        assert scene.drive.core.held == {}

    play(story)


def test_a_message_under_the_fence_without_a_leader_deposes_nobody_and_is_not_folded() -> None:
    async def story(scene: Scene) -> None:
        scene.log.store(DECISIONS, fact("forged").line)
        caller = scene.call("a")
        await asyncio.sleep(0.1)
        assert caller.reason is Reason.JOURNAL_UNAVAILABLE
        again = scene.call("a")
        await asyncio.sleep(0.1)
        assert again.seq is not None
        assert scene.drive.core.folded == ["a"]
        assert scene.drive.pipeline.fold.skipped == 1

    play(story)


def test_a_full_queue_is_overloaded() -> None:
    async def story(scene: Scene) -> None:
        reasons = [scene.call(str(number)).reason for number in range(5)]
        assert reasons == [None] * 4 + [Reason.OVERLOADED]

    play(story)


def test_what_the_core_owes_is_stored_before_anybody_is_served() -> None:
    async def story(scene: Scene) -> None:
        assert scene.drive.core.folded == ["day base"]
        scene.drive.core.demands.append("halt")
        await asyncio.sleep(1)
        assert scene.drive.core.folded == ["day base", "halt"]

    play(story, demands=("day base",))


def test_an_old_append_that_arrives_after_a_take_over_is_not_stored() -> None:
    """Invariant 5: one writer. The fence of the old append is behind the new LEADER record."""

    async def story(scene: Scene) -> None:
        fence = Fence(FENCE, scene.log.messages[-1].seq)
        scene.call("a")
        await asyncio.sleep(5)
        late = scene.log.store(DECISIONS, fact("a").line, fence=fence, headers={"Fleet-Leader": "gw-1.1"})
        assert not isinstance(late, Stored)

    play(story, *["lose"] * 20)


def test_a_follower_takes_over_when_the_leader_falls_silent() -> None:
    async def main(loop: VirtualLoop) -> None:
        log, table = MemoryLog(loop.wall_clock), LeaseTable()
        drives: list[Drive[Tally]] = []
        tasks: list[asyncio.Task[None]] = []
        for name in ("gw-1", "gw-2"):
            drive = Drive(
                CoreMaker(Tally, Tally.load),
                log,
                MemoryLease(table, "risk-gateway.main", name),
                loop.wall_clock,
                service="risk-gateway",
                account="main",
                instance=name,
            )
            await drive.open()
            drives.append(drive)
            tasks.append(asyncio.create_task(drive.run()))
        await asyncio.sleep(1)
        assert [drive.pipeline.status for drive in drives] == [Status.LEADING, Status.FOLLOWING]
        assert drives[1].pipeline.put(fact("a")) is Reason.NO_LEADER
        drives[0].pipeline.put(fact("a"))
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        await asyncio.sleep(3)
        assert drives[1].pipeline.status is Status.LEADING
        assert drives[1].core.folded == ["a"]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main)
