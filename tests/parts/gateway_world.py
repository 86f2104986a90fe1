"""A small world for the gateway: two instances over one log, a bad network, bots, an operator. One seed, one history.

The real core, pipeline, leadership, drive and desk run in virtual time; only the log and the lease store are in memory.
`Witness` (witness.py) checks the invariants as the history goes.

One file, though long: the world, its instances and its troubles know each other's insides.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from fleet_chassis.drive import CoreMaker, Drive
from fleet_chassis.lease import LeaseTable, MemoryLease
from fleet_chassis.log import NO_HEADERS, Fence, Message, Outcome, Stored
from fleet_chassis.memory_log import MemoryLog
from fleet_chassis.pipeline import Status
from fleet_chassis.pipeline_limits import PipelineLimits
from fleet_chassis.snapshots import Snapshot
from fleet_contracts import BotCommand, Halt, OrderDecision, OrderRequest, derived_id, encode, parse
from fleet_contracts.risk_config import KillTimes
from parts.faulty_log import Faults, FaultyLog
from parts.trading import bot_event, done, equity, fill, order, setup
from parts.virtual_time import VirtualLoop
from parts.witness import Witness
from risk_gateway.core.account import Account
from risk_gateway.core.admission import Admission, Rate
from risk_gateway.desk import Desk

PRICE = "40000.123456789012"
LIMITS = {
    "max_order_notional": 6000,
    "max_notional_per_symbol": 10000,
    "max_gross_exposure": 15000,
    "max_open_orders": 8,
    "max_drawdown": {"soft_pct": 50, "hard_pct": 60},
    "position_drift_qty": 0,
    "order_rate": {"count": 12, "per_s": 1},
    "repeated_order": {"count": 4, "per_s": 20},
}
SETUP = replace(
    setup(**LIMITS),
    risk=setup(**LIMITS).risk.model_copy(
        update={"decision_valid_s": 4, "hold_grace_s": 1, "kill": KillTimes(ack_within_s=1, flat_within_s=3)}
    ),
    bots=("qe1", "qe2"),
)
"""Holds of which nothing is heard soon read UNKNOWN, and are asked about; a kill soon misses its time."""
DECISIONS = "fleet.main.order_decision.risk-gateway"


class Server(MemoryLog):
    """The log's server. Core subscribers see every publish before it is stored, and those that are refused too."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop.wall_clock)
        self.on_publish: list[Callable[[str, bytes], None]] = []
        self.on_stored: list[Callable[[Message], None]] = []

    def store(self, subject, body, *, fence: Fence | None = None, headers=NO_HEADERS) -> Outcome:  # type: ignore[no-untyped-def]
        self.announce(subject, body)
        outcome = super().store(subject, body, fence=fence, headers=headers)
        if isinstance(outcome, Stored) and not outcome.duplicate:
            for listener in self.on_stored:
                listener(self.messages[outcome.seq - 1])
        return outcome

    def announce(self, subject: str, body: bytes) -> None:
        for listener in self.on_publish:
            listener(subject, body)


class Disk:
    """What survives a crash: the newest snapshot, and the latch files."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def save(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def load(self) -> Snapshot | None:
        return self.snapshot


class Lease(MemoryLease):
    """A lease whose holder can be killed: it then releases nothing."""

    killed = False

    async def release(self) -> None:
        if not self.killed:
            await super().release()


class Instance:
    """One gateway process. `kill()` is SIGKILL: it says goodbye to nobody."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.disk = Disk()
        self.alive = False

    async def start(self) -> None:
        world = self.world
        self.log = FaultyLog(world.server, world.rng, world.faults)
        self.lease = Lease(world.leases, "risk-gateway.main", self.name)
        self.drive = Drive(
            CoreMaker(lambda: Account("main", SETUP), lambda parts: Account.load("main", SETUP, parts)),
            self.log,
            self.lease,
            world.loop.wall_clock,
            service="risk-gateway",
            account="main",
            instance=self.name,
            store=self.disk,  # type: ignore[arg-type]
            limits=PipelineLimits(queue_facts_max=64),
        )
        world.sabotage.before_open(self)
        await self.drive.open(on_change=self._on_change)
        world.sabotage.after_open(self)
        self.core = self.drive.core
        self._read_latches()
        self.desk = Desk(
            self.core,
            self.drive.pipeline,
            self.log,
            world.loop.wall_clock,
            Admission(Rate(1000, 1000)),
            leads=lambda: self.lease.held,
        )
        self.alive = True
        self.task = asyncio.create_task(self.drive.run())

    async def kill(self) -> None:
        self.alive = False
        self.log.cut()
        self.lease.killed = True
        self.drive._store = None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def leads(self) -> bool:
        return self.alive and self.drive.pipeline.status is Status.LEADING

    def ask(self, request: OrderRequest, bot: str, hear: Callable[[bytes], None], deadline_s: float = 0.5) -> None:
        """Ask at the synchronous door; a killed instance answers nobody."""
        self.desk.ask(
            request, bot=bot, door="http", deadline_s=deadline_s, reply=lambda body: hear(body) if self.alive else None
        )

    def halt(self, halt: Halt) -> None:
        """Latch file and memory; the record follows by itself."""
        self.world.latch_files[halt.halt_id] = halt
        self.core.latch(halt)
        self.world.witness.latched(self.name, halt.halt_id)

    def _on_change(self, status: Status) -> None:
        if status is Status.TAKING_OVER:
            self._read_latches()

    def _read_latches(self) -> None:
        for halt_id, halt in list(self.world.latch_files.items()):
            if halt_id in self.drive.core.state.resumed:
                del self.world.latch_files[halt_id]
            else:
                self.drive.core.latch(halt)


class Sabotage:
    """Does nothing; the sabotages override what they need."""

    def before_open(self, instance: Instance) -> None: ...

    def after_open(self, instance: Instance) -> None: ...

    def halt(self, instance: Instance, halt: Halt) -> None:
        instance.halt(halt)

    def listen(self, world: "World", hear: Callable[[str, bytes], None]) -> None:
        """Bots read the event door's answers from the stored copy."""
        world.server.on_stored.append(lambda message: hear(message.subject, message.body))


@dataclass
class BotOrder:
    request: OrderRequest
    bot: str
    asked: int = 0
    allowed: bool = False
    left: Decimal = Decimal(0)
    closed: bool = False
    given_up: bool = False
    """Told to the fleet as never sent: no ALLOW that comes later is used."""
    older: "BotOrder | None" = None
    fills: list[tuple[str, bytes]] = field(default_factory=list)


class World:
    """Everything of one history."""

    def __init__(self, loop: VirtualLoop, seed: int, sabotage: Sabotage) -> None:
        self.loop, self.sabotage = loop, sabotage
        self.rng = random.Random(seed)
        rough = self.rng.random()
        self.faults = Faults(
            lost_request=0.02 * rough, lost_ack=0.04 * rough, late=0.04 * rough, refused=0.03 * rough, delay_s_max=0.03
        )
        self.server = Server(loop)
        self.leases = LeaseTable()
        self.latch_files: dict[str, Halt] = {}
        self.witness = Witness(self.server, SETUP)
        self.server.on_stored.append(self.witness.stored)
        self.instances = [Instance(self, "gw-1"), Instance(self, "gw-2")]
        self.orders: list[BotOrder] = []
        self.venue = Decimal(0)
        """The position at the venue: of every fill, also of those that are told later."""
        sabotage.listen(self, self._hear_event_door)
        self.server.on_stored.append(self._hear_command)

    async def play(self) -> None:
        """About twenty seconds of trading and trouble, then calm, then the final checks."""
        for instance in self.instances:
            await instance.start()
        await asyncio.sleep(1)
        self._equity()
        await asyncio.sleep(0.5)
        for _ in range(70):
            await self._something()
            self.witness.check()
            await asyncio.sleep(self.rng.uniform(0, 0.4))
        await self._calm()

    async def _something(self) -> None:
        actions: list[tuple[int, Callable[[], Awaitable[None] | None]]] = [
            (30, self._new_order),
            (6, self._burst),
            (8, self._ask_again),
            (5, self._event_order),
            (22, self._report),
            (8, self._equity),
            (3, self._halt),
            (3, self._resume),
            (3, self._crash),
            (2, self._partition),
            (2, self._two_leaders),
            (3, self._snapshot),
        ]
        weights = [weight for weight, _ in actions]
        result = self.rng.choices([action for _, action in actions], weights)[0]()
        if result is not None:
            await result

    def _pick(self) -> Instance | None:
        alive = [instance for instance in self.instances if instance.alive]
        leaders = [instance for instance in alive if instance.leads]
        if leaders and self.rng.random() < 0.9:
            return self.rng.choice(leaders)
        return self.rng.choice(alive) if alive else None

    def _make(self, **more: object) -> BotOrder:
        bot = self.rng.choice(["qe1", "qe2"])
        number = len(self.orders)
        made = BotOrder(
            order(
                f"o{number}",
                side=self.rng.choice(["BUY", "SELL"]),
                qty=self.rng.choice(["0.1", "0.05", "0.0333333333", "0.12"]),
                price=PRICE,
                source=bot,
                reduce_only=self.rng.random() < 0.15,
                strategy=f"s{self.rng.randrange(12)}",
                **more,
            ),
            bot,
        )
        self.orders.append(made)
        return made

    def _new_order(self) -> None:
        open_orders = [known for known in self.orders if known.allowed and not known.closed]
        if open_orders and self.rng.random() < 0.1:
            older = self.rng.choice(open_orders)
            made = self._make(replaces=older.request.order_id)
            made.bot, made.older = older.bot, older
            made.request = made.request.model_copy(update={"source": older.bot, "side": older.request.side})
        else:
            made = self._make()
        self._send(made)

    def _burst(self) -> None:
        for _ in range(self.rng.randint(2, 8)):
            self._new_order()

    def _ask_again(self) -> None:
        if self.orders:
            known = self.rng.choice(self.orders[-12:])
            if self.rng.random() < 0.2:
                other = known.request.model_copy(update={"qty": known.request.qty * 2})
                self._send(BotOrder(other, known.bot))
            else:
                self._send(known)

    def _send(self, known: BotOrder) -> None:
        instance = self._pick()
        if instance is not None:
            known.asked += 1
            instance.ask(known.request, known.bot, lambda body: self._hear(known, body, instance.name))

    def _hear(self, known: BotOrder, body: bytes, instance: str) -> None:
        decision = OrderDecision.model_validate_json(body)
        self.witness.answered(instance, decision)
        if decision.decision == "ALLOW" and known in self.orders and not known.allowed and not known.given_up:
            known.allowed, known.left = True, known.request.qty
            if known.older is not None:
                self._replace(known.older, known)

    def _replace(self, older: BotOrder, newer: BotOrder) -> None:
        """A modify is one order at the venue: whichever of the two has filled, the other never will."""
        if older.fills or older.closed:
            newer.closed = True
            self._tell(done(newer.request.order_id, "REJECTED", bot=newer.bot, filled_qty=Decimal(0)))
        else:
            older.closed = True
            self.loop.call_later(0.4, self._tell, done(older.request.order_id, bot=older.bot, filled_qty=Decimal(0)))

    def _event_order(self) -> None:
        made = self._make()
        if self.rng.random() < 0.3:
            event_id = derived_id("main", made.bot, made.request.order_id, "ORDER_DECISION")
            self.server.store(
                *bot_event("TRADE", symbol="X", side="BUY", price=1, qty=1, pnl=0),
                headers={"Nats-Msg-Id": f"risk-gateway:{event_id}"},
            )
        send = lambda: self.server.store(f"fleet.main.order_request.{made.bot}", encode(made.request))  # noqa: E731
        if self.rng.random() < 0.3:
            old = self.loop.wall_clock()
            made.request = made.request.model_copy(update={"ts": old})
            self.loop.call_later(self.rng.uniform(0, 4), send)
        else:
            send()

    def _hear_event_door(self, subject: str, body: bytes) -> None:
        if subject != DECISIONS:
            return
        for line in parse(subject, body).lines:
            decision = line.event
            assert isinstance(decision, OrderDecision)
            if decision.door == "event" and decision.decision == "ALLOW":
                self.loop.call_soon(self._act_on_event, decision)

    def _act_on_event(self, decision: OrderDecision) -> None:
        self.witness.acted(decision)
        for known in self.orders:
            if (
                known.request.order_id == decision.order_id
                and known.bot == decision.bot
                and not (known.allowed or known.given_up)
            ):
                known.allowed, known.left = True, known.request.qty

    def _hear_command(self, message: Message) -> None:
        """A bot is asked what became of an order; now and then it does not hear, or only says that it does not know."""
        if message.subject != "fleet.main.bot_command.risk-gateway":
            return
        for line in parse(message.subject, message.body).lines:
            command = line.event
            assert isinstance(command, BotCommand)
            if command.command == "REPORT_ORDER" and self.rng.random() < 0.8:
                self.loop.call_later(self.rng.uniform(0, 0.5), self._account_for, command)
            elif command.command != "REPORT_ORDER" and self.rng.random() < 0.8:
                answer = self.rng.choice(["ACCEPTED", "DONE", "DONE", "FAILED"])
                self.loop.call_later(self.rng.uniform(0, 2), self._ack, command, answer)

    def _account_for(self, command: BotCommand) -> None:
        """The bot's own records: at the venue, filled in part or whole, cancelled, or never sent."""
        known = next(
            (one for one in self.orders if (one.bot, one.request.order_id) == (command.bot, command.params["order_id"])), None
        )
        if known is None or self.rng.random() < 0.1:
            self._ack(command, "FAILED")
            return
        if not known.allowed:
            known.given_up = True
            self._tell(done(known.request.order_id, "REJECTED", bot=known.bot, filled_qty=Decimal(0), detail="NEVER_SENT"))
        elif known.closed:
            filled = known.request.qty - known.left
            for told in known.fills:
                self._tell(told)
            self._tell(done(known.request.order_id, bot=known.bot, filled_qty=filled))
        else:
            self._tell(bot_event("ORDER_EVENT", order_id=known.request.order_id, status="WORKING", bot=known.bot))
        self._ack(command, "DONE")

    def _ack(self, command: BotCommand, state: str) -> None:
        self._tell(bot_event("BOT_ACK", command_id=command.command_id, state=state, bot=command.bot))

    def _report(self) -> None:
        """A fill (perhaps twice, perhaps late), a cancel, a rejection."""
        candidates = [known for known in self.orders if known.allowed and not known.closed]
        if not candidates:
            return
        known = self.rng.choice(candidates)
        order_id, what = known.request.order_id, self.rng.random()
        if what < 0.7:
            part = known.left if self.rng.random() < 0.5 else (known.left / 2).quantize(Decimal("1e-10"))
            known.left -= part
            self.venue += part if known.request.side == "BUY" else -part
            known.closed = known.left == 0
            status = "FILLED" if known.closed else "PARTIALLY_FILLED"
            told = fill(
                order_id,
                f"f{len(known.fills)}",
                str(part),
                PRICE,
                status,
                bot=known.bot,
                filled_qty=known.request.qty - known.left,
            )
            known.fills.append(told)
            for _ in range(1 + (self.rng.random() < 0.2)):
                self.loop.call_later(self.rng.uniform(0, 0.3), self._tell, told)
        else:
            known.closed = True
            self.loop.call_later(0.4, self._tell, done(order_id, bot=known.bot, filled_qty=known.request.qty - known.left))

    def _tell(self, told: tuple[str, bytes]) -> None:
        self.server.store(*told)

    def _equity(self) -> None:
        amount = "9400" if self.rng.random() < 0.04 else "10000"
        held = [{"symbol": "BTC-PERP", "qty": self.venue, "mark_price": Decimal(PRICE)}]
        self.server.store(*equity(amount, self.loop.wall_clock(), positions=held))

    async def _halt(self) -> None:
        instance = self._pick()
        if instance is not None and not instance.core.halts:
            halt = Halt(
                halt_id=f"h{len(self.server.messages)}", cause="KILL_SWITCH", since=self.loop.wall_clock(), by="operator"
            )
            if self.rng.random() < 0.5:
                halt = halt.model_copy(update={"flatten": True})
            self._burst()
            await asyncio.sleep(self.rng.choice([0, 0.05, 0.5]))
            if instance.alive:
                self.sabotage.halt(instance, halt)
                await asyncio.sleep(self.rng.choice([0, 0.2]))
                for known in self.orders[-8:]:
                    if instance.alive:
                        instance.ask(known.request, known.bot, partial(self._hear, known, instance=instance.name))

    def _resume(self) -> None:
        instance = self._pick()
        if instance is None or not instance.leads or not instance.core.state.halts or instance.core.state_on_its_way:
            return
        core = instance.core
        now = core.now(self.loop.wall_clock())
        asked = core.command(
            "resume", now, by="op", role="operator", reason="test", key=f"k{len(self.server.messages)}", target={}
        )
        if instance.drive.pipeline.put(asked) is None:
            ids = {halt.halt_id for halt in core.halts}
            instance.drive.pipeline.put(core.resume_fact(ids, asked.key, now))

    async def _crash(self) -> None:
        alive = [instance for instance in self.instances if instance.alive]
        if alive:
            victim = self.rng.choice(alive)
            await victim.kill()
            self.loop.call_later(self.rng.uniform(0.1, 4), lambda: asyncio.ensure_future(self._restart(victim)))

    async def _restart(self, victim: Instance) -> None:
        if not victim.alive:
            await victim.start()

    def _partition(self) -> None:
        instance = self._pick()
        if instance is not None:
            instance.log.cut()
            self.loop.call_later(self.rng.uniform(0.2, 5), instance.log.mend)

    def _two_leaders(self) -> None:
        """The lease store forgets: both may believe they lead."""
        self.leases.rows.clear()

    def _snapshot(self) -> None:
        for instance in self.instances:
            if instance.alive:
                fold = instance.drive.pipeline.fold
                instance.disk.save(Snapshot(fold.seq, fold.anchor, instance.core.dump()))

    async def _calm(self) -> None:
        """No more trouble: everybody is up, everything settles, and the service still works."""
        self.faults = Faults()
        await asyncio.sleep(6)
        for instance in self.instances:
            instance.log.mend()
            instance.log._faults = Faults()
            if not instance.alive:
                await instance.start()
        await asyncio.sleep(12)
        self._equity()
        await asyncio.sleep(1)
        heard: list[OrderDecision] = []
        for _ in range(3):  # a bot asks again after a no-decision: one may be due from a leader that was deposed unawares
            for instance in self.instances:
                instance.ask(
                    order("last", reduce_only=True),
                    "qe1",
                    lambda body: heard.append(OrderDecision.model_validate_json(body)),
                    5,
                )
            await asyncio.sleep(2)
        for instance in self.instances:
            if instance.task.done():
                instance.task.result()
        self.witness.final(self.instances)
        self.witness.check()
        assert any(answer.event_id is not None for answer in heard), "the service does not answer any more"
        for instance in self.instances:
            instance.task.cancel()
            await asyncio.gather(instance.task, return_exceptions=True)
