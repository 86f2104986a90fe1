"""The fail policy: what the SDK answers by itself when there is no decision (SPEC B5)."""

from dataclasses import dataclass
from enum import StrEnum

from fleet_contracts import Decision, Mode


class FailPolicy(StrEnum):
    """`BY_MODE`: live and demo DENY, paper ALLOW. `DENY`: always DENY."""

    BY_MODE = "by_mode"
    DENY = "deny"


class LocalReason(StrEnum):
    """Why the SDK answered by itself. The no-decisions of the gateway appear under their own names."""

    NO_ANSWER = "NO_ANSWER"
    BUS_AWAY = "BUS_AWAY"
    HALTED = "HALTED"
    MODE_OFF = "MODE_OFF"
    GIVEN_UP = "GIVEN_UP"
    """This order id was given up on before; it may not be sent any more."""
    CANCELLED = "CANCELLED"
    """The caller stopped waiting before the deadline."""
    NOT_RECORDED = "NOT_RECORDED"
    """An ALLOW that cannot be written down is none."""


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """The answer, its reason and the rule that gave it (`policy` of LOCAL_VERDICT)."""

    decision: Decision
    reason: str
    policy: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the SDK knows of the bot when the gateway is away. `mode`: as the bot runs; `told`: as the fleet last said."""

    mode: Mode
    told: Mode | None = None
    halted: bool = False
    fail_policy: FailPolicy = FailPolicy.BY_MODE
    reduce_only_when_away: bool = False


def local_answer(standing: Standing, *, reduce_only: bool, reason: str) -> LocalAnswer:
    """Answer an order that got no decision for `reason`. Of two modes the stricter counts; what is unknown is refused."""
    modes = {standing.mode, standing.told or standing.mode}
    if Mode.OFF in modes:
        return LocalAnswer(Decision.DENY, LocalReason.MODE_OFF, "off_deny")
    paper = modes == {Mode.PAPER} and standing.fail_policy is FailPolicy.BY_MODE
    if reduce_only:
        if paper or standing.reduce_only_when_away:
            return LocalAnswer(Decision.ALLOW, reason, "paper_allow" if paper else "reduce_only_allow")
    elif standing.halted:
        return LocalAnswer(Decision.DENY, LocalReason.HALTED, "halted_deny")
    elif paper:
        return LocalAnswer(Decision.ALLOW, reason, "paper_allow")
    strictest = Mode.LIVE if Mode.LIVE in modes else Mode.DEMO if Mode.DEMO in modes else Mode.PAPER
    return LocalAnswer(Decision.DENY, reason, f"{strictest}_deny")
