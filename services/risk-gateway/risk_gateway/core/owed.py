"""What the log demands of a leader now: level-triggered, so asking twice never does a thing twice.

At most one RISK_STATE is on its way at a time; the next change follows when it is folded.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from fleet_contracts import (
    Fact,
    Halt,
    OperatorCommand,
    RiskLimits,
    RiskState,
    derived_id,
)
from fleet_contracts.money import ZERO, plain, ratio, reportable
from risk_gateway.core.closing import due_stages, needs_a_person
from risk_gateway.core.equity import HUNDRED, DayBase
from risk_gateway.core.facts import fact_of
from risk_gateway.core.halts import DAILY_LOSS, Trip, trading_state, trips
from risk_gateway.core.kill import Stage
from risk_gateway.core.rules import Setup, limits_fields
from risk_gateway.core.state import SERVICE, State
from risk_gateway.core.terms import Scope

HALTS_MAX = 200
"""Halts recorded at a time: 200 of them are half of what fits into one RISK_STATE."""


def first_limits(account: str, setup: Setup, now: datetime) -> Fact:
    """Revision 1, out of risk.yaml: it precedes the first decision."""
    return limits_fact(account, setup, 1, now, by="risk.yaml", reason="first start", cause="risk.yaml")


def limits_fact(account: str, setup: Setup, revision: int, now: datetime, *, by: str, reason: str, cause: str) -> Fact:
    """A RISK_LIMITS fact that puts `setup` in force as `revision`."""
    fields: dict[str, Any] = {
        "event_type": "RISK_LIMITS",
        "account": account,
        "source": SERVICE,
        "ts": now,
        "event_id": derived_id(account, SERVICE, f"{cause}/{revision}", "RISK_LIMITS"),
        "cause": cause,
        "revision": revision,
        "by": by,
        "reason": reason,
        **limits_fields(setup),
    }
    return fact_of(RiskLimits(**fields))


def enabling_fact(
    account: str, limits: RiskLimits, who: Sequence[Scope], now: datetime, *, by: str, reason: str, cause: str
) -> Fact:
    """The next revision of the same limits; `enabled` says whose orders may open again (TH-2)."""
    revision = limits.revision + 1
    changes = {
        "ts": now,
        "event_id": derived_id(account, SERVICE, f"{cause}/{revision}", "RISK_LIMITS"),
        "cause": cause,
        "revision": revision,
        "by": by,
        "reason": reason,
        "enabled": [list(scope) for scope in who],
    }
    return fact_of(limits.model_copy(update=changes))


def command_fact(
    account: str, command: str, now: datetime, *, by: str, role: str, reason: str, key: str, target: Mapping[str, Any]
) -> Fact:
    """OPERATOR_COMMAND: what a human asked. `key` makes it one command however often it is sent."""
    return fact_of(
        OperatorCommand(
            event_type="OPERATOR_COMMAND",
            account=account,
            source=SERVICE,
            ts=now,
            event_id=derived_id(account, SERVICE, key, "OPERATOR_COMMAND", command),
            command=command,
            by=by,
            role=role,
            reason=reason,
            idempotency_key=key,
            target=dict(target),
        )
    )


def due_state(state: State, latches: Mapping[str, Halt], account: str, now: datetime) -> Fact | None:
    """The RISK_STATE the account owes: day base, lifted day halt, tripped limit, unrecorded latch, soft tier, lost command."""
    change = _Change(state, latches, account, now)
    return change.fact()


class _Change:
    """Collects everything that differs from the newest RISK_STATE into one fact."""

    def __init__(self, state: State, latches: Mapping[str, Halt], account: str, now: datetime) -> None:
        self._state, self._account, self._now = state, account, now
        self._halts = dict(state.halts)
        self._causes: list[str] = []
        self._more: dict[str, Any] = {}
        self._stages: Mapping[str, Stage] = {}
        self._new_day()
        self._trip(trips(state, account, now))
        self._record(latches)
        self._reach(due_stages(state, now))
        self._lost_commands()

    def fact(self) -> Fact | None:
        target = trading_state(list(self._halts.values()), self._state.equity, self._state.rules)
        if target is not self._state.trading_state:
            self._causes.append(f"{self._state.equity.event}/{target}")
        manual = needs_a_person(self._state, self._halts.values(), self._stages)
        if manual is not self._state.manual_close_needed:
            self._causes.append(f"{self._now.isoformat()}/manual_close_needed/{manual}")
        if not self._causes:
            return None
        halts = sorted(self._halts.values(), key=lambda halt: (halt.since, halt.halt_id))
        return state_fact(self._state, self._account, self._now, halts, self._causes[0], self._more, manual)

    def _new_day(self) -> None:
        base = self._state.equity.next_base
        if base is None:
            return
        self._causes.append(f"{base.event}/{base.day}")
        self._more |= _base_fields(base)
        rules = self._state.rules
        if rules is not None and rules.risk.day.auto_resume:
            self._halts = {halt_id: halt for halt_id, halt in self._halts.items() if not self._ends_with_the_day(halt)}

    def _ends_with_the_day(self, halt: Halt) -> bool:
        """A day's halt does (DL-6), but not while it waits for a person to close what it should have closed."""
        return halt.cause == DAILY_LOSS and not needs_a_person(self._state, [halt])

    def _trip(self, tripped: list[Trip]) -> None:
        for trip in tripped:
            self._halts[trip.halt.halt_id] = trip.halt
            self._causes.append(trip.halt.halt_id)
            self._more.setdefault("tripped", {})[trip.halt.cause] = trip.event

    def _record(self, latches: Mapping[str, Halt]) -> None:
        """Latches that are not in the log yet, as many as an event holds; the others halt all the same."""
        for halt_id, halt in latches.items():
            if len(self._halts) >= HALTS_MAX:
                return
            if halt_id not in self._halts and halt_id not in self._state.resumed:
                self._halts[halt_id] = halt
                self._causes.append(halt_id)

    def _reach(self, stages: Mapping[str, Stage]) -> None:
        """Kills that are flat, or have missed their time."""
        stages = {halt_id: stage for halt_id, stage in stages.items() if halt_id in self._halts}
        if not stages:
            return
        self._causes += [f"{halt_id}/{stage}/{self._state.kills[halt_id].turns}" for halt_id, stage in stages.items()]
        self._stages = self._more["stages"] = stages

    def _lost_commands(self) -> None:
        """A raising command of an earlier leadership that no fact followed has failed."""
        for command in self._state.raising.values():
            if command.leader != self._state.leader:
                self._causes.insert(0, command.event_id)
                self._more["outcome"] = "FAILED"
                return


def resume_fact(
    state: State, account: str, halts: Sequence[Halt], lifted: Collection[str], cause: str, now: datetime, *, rebase: bool
) -> Fact:
    """The RISK_STATE that lifts halts, of all that are in force. `rebase`: the high-water mark becomes the trusted equity."""
    kept = [halt for halt in state.halts.values() if halt.halt_id not in lifted]  # all of them: what is left out is lifted
    new = [halt for halt in halts if halt.halt_id not in lifted and halt.halt_id not in state.halts]
    kept = sorted([*kept, *new[: max(0, HALTS_MAX - len(kept))]], key=lambda halt: (halt.since, halt.halt_id))
    more: dict[str, Any] = {"lifted": sorted(lifted)[:HALTS_MAX]}
    if rebase and state.equity.trusted_equity is not None:
        more["high"] = plain(state.equity.trusted_equity)
    return state_fact(state, account, now, kept, cause, more, needs_a_person(state, kept))


def state_fact(
    state: State,
    account: str,
    now: datetime,
    halts: list[Halt],
    cause: str,
    more: Mapping[str, Any] | None = None,
    manual: bool | None = None,
) -> Fact:
    """A RISK_STATE with these halts, and the account's numbers as a report: one too large for the wire is left out.

    The list is the whole truth, so the next RISK_STATE must be made with the last one folded: one at a time.
    """
    equity, rules = state.equity, state.rules
    fields: dict[str, Any] = {
        "event_type": "RISK_STATE",
        "account": account,
        "source": SERVICE,
        "ts": now,
        "event_id": derived_id(account, SERVICE, cause, "RISK_STATE"),
        "cause": cause[:128],
        "trading_state": trading_state(halts, equity, rules),
        "halts": halts,
        "manual_close_needed": state.manual_close_needed if manual is None else manual,
        "gross_exposure": reportable(state.exposure.gross),
    }
    if equity.event:
        fields |= {
            "equity": equity.equity,
            "trusted": equity.trusted,
            "daily_loss": reportable(equity.daily_loss()),
            "drawdown": reportable(ratio(equity.fall(), equity.high or ZERO)),
            "leverage": reportable(ratio(state.exposure.gross, equity.equity)) if equity.equity > 0 else None,
        }
    if rules is not None:
        fields["daily_loss_limit"] = reportable(equity.daily_loss_limit(rules))
        fields["max_drawdown"] = ratio(rules.risk.limits.max_drawdown.hard_pct, HUNDRED)
    if equity.base is not None:
        fields |= _base_fields(equity.base)
    fields |= more or {}
    return fact_of(RiskState(**fields))


def _base_fields(base: DayBase) -> dict[str, Any]:
    fields = {"day": base.day, "e0": base.amount, "e0_deposits": plain(base.deposits), "e0_event": base.event}
    return fields if base.balance is None else fields | {"e0_balance": plain(base.balance)}
