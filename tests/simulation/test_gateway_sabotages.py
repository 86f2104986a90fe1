"""Each of these breaks the gateway once, on purpose. The histories must notice: a check that finds nothing proves nothing."""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal, localcontext

import pytest
from test_gateway_histories import play

from fleet_chassis.fold import LEADER_HEADER
from fleet_chassis.log import Fence, Outcome, Stored
from fleet_chassis.memory_log import MemoryLog
from fleet_chassis.pipeline import Pipeline
from fleet_contracts import BotCommand, Entry, Halt, OrderDecision, encode
from fleet_contracts.entry import Fact
from parts.faulty_log import FaultyLog
from parts.gateway_world import DECISIONS, SETUP, Instance, Sabotage, World
from parts.witness import Broken
from risk_gateway.core import account, evolve, judge
from risk_gateway.core.account import Account
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.overlay import Overlay
from risk_gateway.core.owed import state_fact
from risk_gateway.core.reservations import release
from risk_gateway.core.state import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HISTORIES_MAX = 400
Patch = pytest.MonkeyPatch


class StateNotFolded(Sabotage):
    """A restart begins at the end of the log."""

    def before_open(self, instance: Instance) -> None:
        async def nothing() -> tuple[Account, int, str]:
            return Account("main", SETUP), len(instance.world.server.messages), ""

        if instance.world.server.messages:
            instance.drive._restore = nothing  # type: ignore[method-assign]


class NarrowFence(Sabotage):
    """The fence covers the decisions only."""

    def after_open(self, instance: Instance) -> None:
        instance.drive.pipeline._log = _Narrow(instance.log, instance.world.server)  # type: ignore[assignment]


class _Narrow:
    """Fences decisions by the last decision, and nothing else."""

    def __init__(self, log: FaultyLog, server: MemoryLog) -> None:
        self._log, self._server, self._decided = log, server, 0
        self.last, self.get = log.last, log.get

    async def append(self, subject, body, *, fence, headers, timeout_s):  # type: ignore[no-untyped-def]
        decides = subject == DECISIONS
        fence = Fence(DECISIONS, self._decided) if decides else None
        outcome = await self._log.append(subject, body, fence=fence, headers=headers, timeout_s=timeout_s)
        if isinstance(outcome, Stored):
            self._decided = outcome.seq if decides else self._server._last_seq(DECISIONS)
        return outcome


class CoreSubscriber(Sabotage):
    """Bots read decisions as they are published, not as they are stored."""

    def listen(self, world: World, hear: Callable[[str, bytes], None]) -> None:
        world.server.on_publish.append(hear)


class HaltOutsideTheFence(Sabotage):
    """A halt is written to the account `fleet`, past the account's own fence."""

    def halt(self, instance: Instance, halt: Halt) -> None:
        world, core = instance.world, instance.core
        fact = state_fact(core.state, "fleet", core.now(world.loop.wall_clock()), [halt], halt.halt_id)
        headers = {LEADER_HEADER: instance.drive.pipeline.leader}
        world.server.store("fleet.fleet.risk_state.risk-gateway", encode(fact.event), headers=headers)


def reservation_forgotten(patch: Patch) -> Sabotage:
    for module in (account, evolve):
        patch.setattr(module, "hold", lambda state, order: None)
    return Sabotage()


def answer_taken_for_a_report(patch: Patch) -> Sabotage:
    """A bot that has answered a question about an order releases its hold, whatever it has reported."""

    def release_it(state: State, command: BotCommand, ack: object, bot: str) -> None:
        order = state.orders.pop((command.bot, str(command.params.get("order_id"))), None)
        if order is not None:
            release(state, order)

    patch.setattr(evolve, "fold_answer", release_it)
    return Sabotage()


def past_redecided(patch: Patch) -> Sabotage:
    """Folding an ALLOW asks today's limits whether it would be one."""
    fold = evolve._decision

    def redecide(state: State, event: OrderDecision, entry: Entry, overlay: Overlay) -> None:
        assert state.rules is not None
        limit = state.rules.risk.limits.max_notional_per_symbol
        if str(event.event_id) not in overlay and state.exposure.book(event.symbol).exposure > limit / 2:
            event = event.model_copy(update={"decision": "DENY"})
        fold(state, event, entry, overlay)

    patch.setattr(evolve, "_decision", redecide)
    return Sabotage()


def answer_before_the_append(patch: Patch) -> Sabotage:
    put = Pipeline.put

    def hasty(self: Pipeline, fact: Fact, waiter: object = None) -> object:
        reason = put(self, fact, waiter)  # type: ignore[arg-type]
        if reason is None and waiter is not None:
            waiter.stored(fact, 0, 0)  # type: ignore[attr-defined]
        return reason

    patch.setattr(Pipeline, "put", hasty)
    return Sabotage()


def repeat_after_a_halt(patch: Patch) -> Sabotage:
    patch.setattr(judge, "_why_not_again", lambda *_: None)
    return Sabotage()


def old_request_decided(patch: Patch) -> Sabotage:
    patch.setattr(judge, "CHECKS", tuple(check for check in judge.CHECKS if check.__name__ != "request_is_fresh"))
    return Sabotage()


def opening_recomputed(patch: Patch) -> Sabotage:
    count = evolve.hold

    def recompute(state: State, order: LiveOrder) -> None:
        order.opening = max(Decimal(0), order.qty - state.exposure.book(order.symbol).room_to_reduce(order.side))
        count(state, order)

    patch.setattr(evolve, "hold", recompute)
    return Sabotage()


def foreign_id_taken_for_success(patch: Patch) -> Sabotage:
    """Appends carry a Msg-Id, and `duplicate` is read as stored."""
    append = Pipeline._append

    async def trusting(self: Pipeline, first: Fact, body: bytes, fence: object, timeout_s: float) -> Outcome:
        log = self._log
        if first.event.event_type != "ORDER_DECISION":
            return await append(self, first, body, fence, timeout_s)  # type: ignore[arg-type]
        self._log = _WithId(log, f"risk-gateway:{first.key}")  # type: ignore[assignment]
        try:
            outcome = await append(self, first, body, fence, timeout_s)  # type: ignore[arg-type]
        finally:
            self._log = log
        return Stored(outcome.seq) if isinstance(outcome, Stored) else outcome

    patch.setattr(Pipeline, "_append", trusting)
    return Sabotage()


class _WithId:
    def __init__(self, log: object, msg_id: str) -> None:
        self._log, self._id = log, msg_id

    async def append(self, subject, body, *, fence, headers, timeout_s):  # type: ignore[no-untyped-def]
        headers = {**headers, "Nats-Msg-Id": self._id}
        return await self._log.append(subject, body, fence=fence, headers=headers, timeout_s=timeout_s)  # type: ignore[attr-defined]


def halt_outside_the_fence(patch: Patch) -> Sabotage:
    """The fold takes it; an append already decided does not feel it."""
    fold = evolve.fold_line

    def credulous(state: State, entry: Entry, overlay: Overlay, name: str) -> None:
        outside = entry.address.account == "fleet" and entry.address.source == "risk-gateway"
        fold(state, entry, overlay, "fleet" if outside else name)

    patch.setattr(account, "fold_line", credulous)
    return HaltOutsideTheFence()


def rounded_in_favour(patch: Patch) -> Sabotage:
    def down(*factors: Decimal) -> Decimal:
        product = Decimal(1)
        for factor in factors:
            product *= factor
        return product.quantize(Decimal("1e-12"), ROUND_DOWN)

    def inexact(*factors: Decimal) -> Decimal:
        with localcontext(prec=80, traps=[]):
            return down(*factors)

    patch.setattr(judge, "product_up", inexact)
    return Sabotage()


SABOTAGES: dict[str, tuple[Callable[[Patch], Sabotage], str]] = {
    "state not folded on start": (lambda _: StateNotFolded(), "7:"),
    "reservation forgotten": (reservation_forgotten, "1:"),
    "an answer taken for a report": (answer_taken_for_a_report, "1:"),
    "past re-decided": (past_redecided, "7:"),
    "answer before the append": (answer_before_the_append, "2:"),
    "fence on the decision subject only": (lambda _: NarrowFence(), "5:"),
    "repeat after a halt answered ALLOW": (repeat_after_a_halt, "4:"),
    "request older than its ttl decided": (old_request_decided, "a request older"),
    "evolve recomputing the opening part": (opening_recomputed, "7:"),
    "a decision read by a core subscriber": (lambda _: CoreSubscriber(), "2:"),
    "a foreign Msg-Id taken for success": (foreign_id_taken_for_success, "2:"),
    "a halt recorded outside the account's fence": (halt_outside_the_fence, "4:"),
    "a decision rounded in favour of the order": (rounded_in_favour, "1:"),
}
"""name → how it is done, and which invariant it must break."""


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotaged_gateway_breaks_an_invariant(name: str, monkeypatch: Patch) -> None:
    do, broken = SABOTAGES[name]
    sabotage = do(monkeypatch)
    for seed in range(HISTORIES_MAX):
        try:
            play(seed, sabotage)
        except Broken as error:
            if str(error).startswith(broken):
                return
        except Exception:  # noqa: BLE001 - a sabotaged process may also just crash
            continue
    pytest.fail(f"{HISTORIES_MAX} histories did not notice: {name}")
