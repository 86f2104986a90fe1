"""How often an order is asked about before its deadline."""

from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import Reason
from fleet_sdk.core.asking import Asking, Due, gateway_deadline_ms


def test_it_is_sent_at_once_and_again_without_an_answer() -> None:
    asking = Asking(0.0, 0.25)
    assert asking.due(0.0) is Due.SEND
    asking.sent(0.0)
    assert asking.due(0.01) is Due.WAIT
    again = asking.wake_at(0.01)
    assert 0.05 < again < 0.15
    assert asking.due(again) is Due.SEND


def test_at_the_deadline_it_is_given_up_whatever_is_due() -> None:
    asking = Asking(0.0, 0.25)
    assert asking.due(0.25) is Due.GIVE_UP


def test_a_no_decision_is_asked_again_after_a_growing_pause() -> None:
    asking = Asking(0.0, 10.0)
    pauses = []
    now = 0.0
    for _ in range(4):
        asking.sent(now)
        asking.heard_no_decision(now, Reason.NO_LEADER)
        pauses.append(asking.wake_at(now) - now)
        now += pauses[-1]
    assert pauses == sorted(set(pauses))


def test_what_nobody_heard_is_certainly_undecided_and_what_was_not_answered_is_not() -> None:
    asking = Asking(0.0, 0.25)
    assert asking.open_sends == 0
    asking.sent(0.0)
    asking.heard_no_decision(0.01, Reason.NO_LEADER)
    assert asking.open_sends == 0
    asking.sent(0.02)
    asking.heard_no_decision(0.03, Reason.JOURNAL_UNAVAILABLE)
    assert asking.open_sends == 1


def test_a_lost_connection_brings_the_next_send_forward() -> None:
    asking = Asking(0.0, 10.0)
    asking.sent(0.0)
    asking.connection_lost(0.5)
    assert asking.due(0.5) is Due.SEND


@given(
    deadline_s=st.floats(0.001, 60),
    events=st.lists(st.sampled_from(["sent", "not_sent", "no_decision", "lost", "silence"]), max_size=300),
)
def test_sends_are_bounded_and_nothing_is_due_after_the_deadline(deadline_s: float, events: list[str]) -> None:
    asking, now = Asking(0.0, deadline_s), 0.0
    for event in events:
        due = asking.due(now)
        if due is Due.GIVE_UP:
            assert now >= deadline_s
            break
        if due is Due.SEND:
            asking.not_sent(now) if event == "not_sent" else asking.sent(now)
        else:
            assert now < asking.wake_at(now) <= deadline_s
        if event == "no_decision":
            asking.heard_no_decision(now, Reason.OVERLOADED)
        elif event == "lost":
            asking.connection_lost(now)
        now = min(asking.wake_at(now), deadline_s) if event == "silence" else now + deadline_s / 1000
    assert asking.sends <= 9 + 4 * deadline_s


@given(st.integers(1, 60_000))
def test_the_gateway_gets_a_little_less_time_than_we_have(deadline_ms: int) -> None:
    assert 1 <= gateway_deadline_ms(deadline_ms) <= deadline_ms
    assert gateway_deadline_ms(250) == 238
