"""The fail policy (SPEC B5): what the SDK answers by itself, mode by mode."""

import pytest

from fleet_contracts import Decision, Mode
from fleet_sdk.core.local import FailPolicy, LocalReason, Standing, local_answer

ALLOW, DENY = Decision.ALLOW, Decision.DENY


@pytest.mark.parametrize(
    ("mode", "told", "reduce_only", "halted", "configured", "decision", "policy"),
    [
        (Mode.LIVE, None, False, False, False, DENY, "live_deny"),
        (Mode.DEMO, None, False, False, False, DENY, "demo_deny"),
        (Mode.PAPER, None, False, False, False, ALLOW, "paper_allow"),
        (Mode.OFF, None, True, False, True, DENY, "off_deny"),
        (Mode.LIVE, Mode.LIVE, True, False, False, DENY, "live_deny"),
        (Mode.LIVE, Mode.LIVE, True, False, True, ALLOW, "reduce_only_allow"),
        (Mode.DEMO, Mode.DEMO, True, True, True, ALLOW, "reduce_only_allow"),
        (Mode.LIVE, Mode.LIVE, False, False, True, DENY, "live_deny"),
        (Mode.PAPER, Mode.PAPER, False, True, False, DENY, "halted_deny"),
        (Mode.PAPER, Mode.PAPER, True, True, False, ALLOW, "paper_allow"),
        (Mode.PAPER, Mode.LIVE, False, False, False, DENY, "live_deny"),
        (Mode.LIVE, Mode.PAPER, False, False, False, DENY, "live_deny"),
        (Mode.PAPER, Mode.OFF, False, False, False, DENY, "off_deny"),
    ],
)
def test_the_policy_of_each_mode(
    mode: Mode, told: Mode | None, reduce_only: bool, halted: bool, configured: bool, decision: Decision, policy: str
) -> None:
    standing = Standing(mode, told, halted, FailPolicy.BY_MODE, configured)
    answer = local_answer(standing, reduce_only=reduce_only, reason="NO_ANSWER")
    assert (answer.decision, answer.policy) == (decision, policy)


def test_the_reason_says_why_there_was_no_decision() -> None:
    assert local_answer(Standing(Mode.DEMO), reduce_only=False, reason="NO_LEADER").reason == "NO_LEADER"


def test_a_halt_is_the_reason_when_it_alone_denies() -> None:
    answer = local_answer(Standing(Mode.PAPER, halted=True), reduce_only=False, reason="NO_ANSWER")
    assert answer.reason is LocalReason.HALTED


def test_the_policy_deny_denies_in_paper_too() -> None:
    standing = Standing(Mode.PAPER, fail_policy=FailPolicy.DENY)
    assert local_answer(standing, reduce_only=False, reason="NO_ANSWER").decision is DENY
