"""The roster of parts: order of readiness, restarts with backoff, the crash-loop latch, the drain. No process is started."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fleet_chassis.process import (
    RUNNING,
    Kill,
    Part,
    PartState,
    RestartPolicy,
    Roster,
    Start,
    Terminate,
    UnknownPart,
)

POLICY = RestartPolicy(backoff_s_first=1, backoff_s_max=4, exits_max=4, window_s=60, stable_s=10)
NATS = Part("nats", policy=POLICY)
INIT = Part("init", after=("nats",), one_shot=True, policy=POLICY)
GATEWAY = Part("gateway", after=("init",), stop_s=5, policy=POLICY)
FLEET = (NATS, INIT, GATEWAY)


def running_fleet() -> Roster:
    roster = Roster(FLEET, 0)
    roster.act(0)
    roster.ready("nats", 0)
    roster.act(0)
    roster.exited("init", 0, 0)
    roster.act(0)
    roster.ready("gateway", 0)
    return roster


def state(roster: Roster, name: str) -> PartState:
    return roster.seats[name].state


def test_a_part_starts_only_when_all_it_comes_after_are_ready() -> None:
    roster = Roster(FLEET, 0)
    assert roster.act(0) == [Start("nats")]
    assert roster.act(1) == []
    roster.ready("nats", 2)
    assert roster.act(2) == [Start("init")]


def test_a_one_shot_counts_as_good_when_it_exits_with_0() -> None:
    roster = running_fleet()
    assert state(roster, "init") is PartState.DONE
    assert roster.good


def test_a_one_shot_that_fails_is_tried_again_and_holds_back_what_comes_after() -> None:
    roster = Roster(FLEET, 0)
    roster.act(0)
    roster.ready("nats", 0)
    roster.act(0)
    roster.exited("init", 1, 0, "exit code 1")
    assert roster.act(0.5) == []
    assert roster.act(1) == [Start("init")]


def test_a_part_that_exits_is_started_again_after_a_wait_that_doubles_up_to_its_bound() -> None:
    roster = Roster([Part("nats", policy=RestartPolicy(1, 4, exits_max=9, window_s=1000))], 0)
    roster.act(0)
    now, waits = 0.0, []
    for _ in range(5):
        roster.exited("nats", 1, now)
        due = roster.next_due()
        assert due is not None
        assert roster.act(due - 0.01) == []
        assert roster.act(due) == [Start("nats")]
        waits.append(due - now)
        now = due
    assert waits == [1, 2, 4, 4, 4]


def test_too_many_exits_in_the_window_latch_the_part() -> None:
    roster = Roster([NATS], 0)
    now = 0.0
    for _ in range(4):
        roster.act(now)
        roster.exited("nats", 3, now, "exit code 3: no license")
        now += 5
    assert state(roster, "nats") is PartState.CRASH_LOOP
    assert roster.seats["nats"].detail == "4 exits in 15 s; last: exit code 3: no license"
    assert roster.next_due() is None
    assert roster.act(1e9) == []


def test_exits_older_than_the_window_do_not_count() -> None:
    roster = Roster([NATS], 0)
    for now in (0, 30, 61, 95):
        roster.act(now)
        roster.exited("nats", 1, now)
    assert state(roster, "nats") is PartState.BACKOFF


def test_an_exit_after_a_stable_run_starts_the_count_anew() -> None:
    roster = Roster([NATS], 0)
    for now in (0, 5, 10):
        roster.act(now)
        roster.exited("nats", 1, now)
    roster.act(20)
    roster.ready("nats", 20)
    roster.exited("nats", -9, 30)
    assert roster.seats["nats"].exits == [30]


def test_only_a_human_releases_the_latch() -> None:
    roster = Roster([NATS], 0)
    for now in (0, 5, 10, 15):
        roster.act(now)
        roster.exited("nats", 1, now)
    roster.retry(20)
    assert roster.act(20) == [Start("nats")]
    roster.exited("nats", 1, 21)
    assert state(roster, "nats") is PartState.BACKOFF


def test_a_part_does_not_stop_when_one_it_came_after_dies() -> None:
    roster = running_fleet()
    roster.exited("nats", -9, 1)
    assert state(roster, "gateway") is PartState.READY
    assert not roster.good


def test_a_failing_probe_shows_and_heals() -> None:
    roster = running_fleet()
    roster.unready("gateway", 1, "no NATS")
    assert (state(roster, "gateway"), roster.seats["gateway"].detail) == (PartState.UNREADY, "no NATS")
    roster.ready("gateway", 2)
    assert roster.good


def test_a_late_answer_of_a_probe_does_not_revive_a_part_that_is_gone() -> None:
    roster = running_fleet()
    roster.exited("gateway", 1, 1)
    roster.ready("gateway", 1)
    assert state(roster, "gateway") is PartState.BACKOFF


def test_the_drain_stops_in_reverse_order_each_part_after_its_followers() -> None:
    roster = running_fleet()
    roster.drain()
    assert roster.act(1) == [Terminate("gateway")]
    assert roster.act(2) == []
    roster.exited("gateway", 0, 2)
    assert roster.act(2) == [Terminate("nats")]
    roster.exited("nats", 0, 3)
    assert roster.act(3) == []
    assert roster.stopped


def test_a_part_that_does_not_end_in_time_is_killed_once() -> None:
    roster = running_fleet()
    roster.drain()
    roster.act(1)
    assert roster.next_due() == 6
    assert roster.act(6) == [Kill("gateway")]
    assert roster.act(7) == []
    roster.exited("gateway", -9, 7)
    assert roster.act(7) == [Terminate("nats")]


def test_nothing_is_started_during_a_drain() -> None:
    roster = running_fleet()
    roster.exited("gateway", 1, 1)
    roster.drain()
    assert roster.act(100) == [Terminate("nats")]
    roster.exited("nats", 0, 100)
    roster.act(100)
    assert roster.stopped


def test_a_part_cannot_come_after_one_that_is_not_there() -> None:
    with pytest.raises(UnknownPart, match="gateway comes after init"):
        Roster([GATEWAY], 0)


def test_a_part_may_join_a_running_fleet() -> None:
    roster = running_fleet()
    roster.add(Part("qe1", after=("gateway",)), 1)
    assert roster.act(1) == [Start("qe1")]


class AnyHistory(RuleBasedStateMachine):
    """Any order of news, told to a roster whose orders are obeyed by a naive model: the set of living processes."""

    names = st.sampled_from([part.name for part in FLEET])

    def __init__(self) -> None:
        super().__init__()
        self.roster, self.now, self.alive = Roster(FLEET, 0), 0.0, set[str]()

    def obey(self) -> None:
        for action in self.roster.act(self.now):
            if isinstance(action, Start):
                assert action.part not in self.alive
                assert not self.roster.draining
                self.alive.add(action.part)
            else:
                assert action.part in self.alive

    @rule(wait_s=st.floats(0.01, 20))
    def time_passes(self, wait_s: float) -> None:
        self.now += wait_s
        self.obey()

    @rule(name=names, missing=st.sampled_from([None, "no answer"]))
    def a_probe_answers(self, name: str, missing: str | None) -> None:
        if missing is None:
            self.roster.ready(name, self.now)
        else:
            self.roster.unready(name, self.now, missing)

    @rule(name=names, code=st.sampled_from([0, 1, -9]))
    def a_process_ends(self, name: str, code: int) -> None:
        if name in self.alive:
            self.alive.discard(name)
            self.roster.exited(name, code, self.now)

    @rule()
    def a_human_retries(self) -> None:
        self.roster.retry(self.now)

    @rule()
    def a_human_stops(self) -> None:
        self.roster.drain()

    @invariant()
    def the_roster_knows_who_lives(self) -> None:
        assert self.alive == {name for name, seat in self.roster.seats.items() if seat.state in RUNNING}

    def teardown(self) -> None:
        self.roster.drain()
        for _ in range(10):
            self.time_passes(20)
            for name in [name for name in self.alive if state(self.roster, name) is PartState.STOPPING]:
                self.a_process_ends(name, 0)
        assert self.roster.stopped
        assert not self.alive


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_whatever_happens_no_part_runs_twice_and_a_drain_ends = AnyHistory.TestCase
