"""The events the fleet publishes. Every subject has exactly one producer (see `registry`)."""

from typing import Annotated, Any

from pydantic import Field

from fleet_contracts.bot_events import Milliseconds, OrderFields, Share
from fleet_contracts.envelope import Count, Event, Flag, Moment, Open, Text, Token
from fleet_contracts.money import Amount, Derived, Factor, NotNegative
from fleet_contracts.vocabulary import (
    AccountClock,
    Action,
    Command,
    Decision,
    Direction,
    Effect,
    Liveness,
    Mode,
    ProcessState,
    ProposalState,
    ReviewSource,
    RiskAdvice,
    Stance,
    TradingState,
)

Short = Annotated[str, Field(max_length=64)]


class OrderDecision(OrderFields):
    """One order's answer, with every field of the request and every input that was used.

    `value` and `limit` belong to `check`; `reserved_notional` is what the ALLOW holds, `hold_unit` for each unit of its
    quantity; send by `valid_until` or not at all.
    `replaced_filled`: the order was judged as a modify of `replaces`, of which so much had filled. `collar_price`: the fresh
    price that its own was held against.
    """

    bot: Token
    door: Short | None = None
    decision: Decision
    reason: Short
    message: Text | None = None
    check: Short | None = None
    value: Derived | None = None
    limit: Derived | None = None
    allowed_qty: NotNegative | None = None
    opening_qty: NotNegative | None = None
    hold_price: Derived | None = None
    hold_unit: Derived | None = None
    reserved_notional: Derived | None = None
    replaced_filled: NotNegative | None = None
    valid_until: Moment | None = None
    trading_state: TradingState | None = None
    size_factor: NotNegative | None = None
    ref_price: Derived | None = None
    ref_price_source: Short | None = None
    equity_event: Annotated[str, Field(max_length=128)] | None = None
    limits_revision: Count | None = None
    content_hash: Short | None = None
    duplicate: Flag = False
    collar_price: Derived | None = None


class Leader(Event):
    """The take-over record of a stateful service."""

    instance: Token
    lease_revision: Count


class Halt(Open):
    """One halt in force. `latched`: it stays until somebody (or the configured day end) lifts it.

    `scope`: `account`, `bot:<id>` or `symbol:<name>`; only its openings are denied. `flatten`: what is open in the scope is
    closed too, and followed until it is flat.
    """

    halt_id: Token
    scope: Annotated[str, Field(max_length=128)] = "account"
    cause: Annotated[str, Field(max_length=128)]
    since: Moment
    latched: Flag = True
    by: Short = ""
    flatten: Flag | None = None


class RiskState(Event):
    """A fact when trading state, halts, day base or `manual_close_needed` change; its other numbers are a report."""

    trading_state: TradingState
    halts: list[Halt] = Field(default_factory=list)
    equity: Derived | None = None
    trusted: Flag | None = None
    daily_loss: Derived | None = None
    daily_loss_limit: Derived | None = None
    drawdown: Derived | None = None
    max_drawdown: Derived | None = None
    gross_exposure: Derived | None = None
    leverage: Derived | None = None
    manual_close_needed: Flag = False
    day: Short | None = None
    e0: Derived | None = None


class RiskLimits(Event):
    """The limits in force from here on. Revision 1 precedes the first decision; `clock` never changes."""

    revision: Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]
    digest: Short
    reason: Text | None = None
    by: Short | None = None
    clock: AccountClock
    day: dict[str, Any]
    equity_source: Token
    memory_s: Count
    symbols: dict[str, Any]
    limits: dict[str, Any]


class OperatorCommand(Event):
    """What a human asked. It changes no state; the fact with this event as its `cause` does."""

    command: Short
    reason: Text
    by: Short
    role: Short
    idempotency_key: Annotated[str, Field(max_length=128)] | None = None
    target: dict[str, Any] | None = None


class BotCommand(Event):
    """Something a bot shall do, once per `command_id`, not after `deadline`."""

    command_id: Token
    bot: Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9_-]{1,64})$")]
    command: Command
    params: dict[str, Any] = Field(default_factory=dict)
    deadline: Moment | None = None


class BotProcess(Event):
    """What became of a bot's process."""

    bot: Token
    state: ProcessState
    pid: Count | None = None
    exit_code: Annotated[int, Field(strict=True, ge=-(2**31), le=2**32)] | None = None
    last_lines: list[str] | None = None


class Anomaly(Event):
    """A measurement outside its bounds."""

    kind: Short
    value: Amount | None = None
    threshold: Amount | None = None
    evidence: Any = None


class BotStatus(Event):
    """A bot's liveness has changed. `latency_ms` may be negative: it is measured against the bot's clock."""

    bot: Token
    status: Liveness
    previous: Liveness | None = None
    evidence: Any = None
    latency_ms: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = None


class ModeChange(Event):
    """A bot's mode: wanted, in force, as the bot reports it."""

    bot: Token
    desired: Mode
    effective: Mode
    reported: Mode | None = None
    by: Short | None = None
    reason: Text | None = None


class SignalReview(Event):
    """A second opinion on a signal. `size_factor` lies in [0, 1]: it can only shrink."""

    signal_id: Token
    stance: Stance
    comment: Text | None = None
    confidence: Share | None = None
    effect: Effect = Effect.NONE
    size_factor: Factor | None = None
    applied: Flag | None = None
    holdout: Flag | None = None
    review_source: ReviewSource | None = None
    model: Annotated[str, Field(max_length=128)] | None = None
    latency_ms: Milliseconds | None = None
    cost_usd: NotNegative | None = None


class RiskReview(Event):
    """The moderator's advice on the account's risk."""

    action: RiskAdvice
    risk_multiplier: Factor | None = None
    reason: Text | None = None
    confidence: Share | None = None
    review_source: ReviewSource | None = None
    model: Annotated[str, Field(max_length=128)] | None = None


class PolicyAction(Event):
    """A constraint the policy puts in force, or a proposal it makes."""

    action_id: Token
    action: Action
    scope: Any = None
    params: dict[str, Any] = Field(default_factory=dict)
    direction: Direction
    valid_until: Moment | None = None
    decision_id: Short | None = None
    policy_revision: Count | None = None
    effective_state: dict[str, Any] | None = None
    determining_rules: list[str] | None = None
    proposal_id: Short | None = None


class Proposal(Event):
    """One state change of a proposal; the digest binds an approval to its exact content."""

    proposal_id: Token
    revision: Count
    kind: Short
    action: Any = None
    digest: Annotated[str, Field(max_length=128)]
    direction: Direction
    state: ProposalState
    reason: Text | None = None
    evidence: Any = None
    report_path: Annotated[str, Field(max_length=512)] | None = None
    requested_by: Short | None = None
    approve_by: Moment | None = None
    execute_by: Moment | None = None
    required: Any = None
    approvals: list[Any] | None = None
    outcome: Any = None


class MetaTask(Event):
    """A task for the meta-runner: envelope and open body until its own issue freezes it."""


class MetaReport(Event):
    """A finished task's report: envelope and open body until its own issue freezes it."""


class AuditCheckpoint(Event):
    """A signed point of the audit chain: envelope and open body until its own issue freezes it."""
