"""One account of this instance: its drive, its desk, its latches, and what operators do to it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal

from fleet_chassis.clock import Clock
from fleet_chassis.drive import CoreMaker, Drive
from fleet_chassis.home import FleetHome
from fleet_chassis.lease import Lease
from fleet_chassis.log import Log
from fleet_chassis.pipeline import Status
from fleet_chassis.snapshots import SnapshotStore
from fleet_contracts import Fact, Halt, Reason, derived_id
from fleet_contracts.money import plain
from risk_gateway.commands import Lift, NotClean, NotRecorded, Stop, Unknown
from risk_gateway.core.account import Account, NotReady
from risk_gateway.core.admission import Admission
from risk_gateway.core.checklist import Item, checklist
from risk_gateway.core.closing import close_facts
from risk_gateway.core.owed import HALTS_MAX
from risk_gateway.core.reconciling import reconcile_fact
from risk_gateway.core.rules import Setup, mark_age
from risk_gateway.core.scope import ACCOUNT, scope_of
from risk_gateway.core.state import SERVICE
from risk_gateway.desk import Desk
from risk_gateway.history import History
from risk_gateway.latches import LatchFiles
from risk_gateway.limits_desk import LimitsDesk
from risk_gateway.recent import Recent
from risk_gateway.recording import RECORD_TIMEOUT_S, Recording
from risk_gateway.watch import Inputs

LATCH_POLL_S = 0.5
_log = logging.getLogger(__name__)


class Shard:
    """One account. `core`, `desk`, `history` exist once `open()` has returned; halting works from the start."""

    core: Account
    desk: Desk
    history: History
    drive: Drive[Account]
    recording: Recording
    limits: LimitsDesk

    def __init__(self, account: str, setup: Setup, home: FleetHome, instance: str, clock: Clock) -> None:
        self.account, self.setup, self.instance = account, setup, instance
        self.latches = LatchFiles(home.latch / account)
        self._recent = Recent()
        self.is_open = False
        self._clock = clock
        self._store = SnapshotStore(home.snapshots / instance / account)
        self._early: dict[str, Halt] = self.latches.read()
        self._lifting: set[str] = set()
        self.raising = asyncio.Lock()
        """One command that raises risk at a time: each is judged against what the one before it has left."""
        self._listeners: list[Callable[[Status], None]] = []

    def on_status(self, listener: Callable[[Status], None]) -> None:
        """Hear when this instance begins or ends to lead the account."""
        self._listeners.append(listener)

    async def open(self, log: Log, lease: Lease, admission: Admission, inputs: Inputs) -> None:
        """Restore the state; `run()` follows."""
        self.drive = Drive(
            CoreMaker(lambda: Account(self.account, self.setup), lambda parts: Account.load(self.account, self.setup, parts)),
            log,
            lease,
            self._clock,
            service=SERVICE,
            account=self.account,
            instance=self.instance,
            store=self._store,
        )
        await self.drive.open([self._recent.see], self._on_status)
        self.core = self.drive.core
        self.recording = Recording(self.drive.pipeline)
        self._recent.begin(self.drive.pipeline.fold.seq + 1)
        self.history = History(self.account, log, self._recent, self.core.state.memory)
        core = self.core
        core.mark = lambda symbol: inputs.mark(self.account, symbol, mark_age(core.state.rules))
        core.beat_age_s, core.shut = inputs.beat_age_s, inputs.shut
        self.core.admit = lambda bot: admission.admit(bot, asyncio.get_running_loop().time())
        for halt in self._early.values():
            self.core.latch(halt)
        self.desk = Desk(
            self.core,
            self.drive.pipeline,
            log,
            self._clock,
            admission,
            leads=lambda: lease.held,
        )
        self.limits = LimitsDesk(self, inputs.shadow_file)
        self.is_open = True

    async def run(self) -> None:
        """Drive the account, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.drive.run())
            tasks.create_task(self._keep_latches())
            tasks.create_task(self._look_back())
            tasks.create_task(self.limits.run())

    @property
    def leads(self) -> bool:
        return self.is_open and self.drive.pipeline.status is Status.LEADING

    @property
    def follows(self) -> bool:
        """Another instance leads the account, as far as this one knows."""
        return self.drive.pipeline.status is Status.FOLLOWING and self.drive.pipeline.away is Reason.NO_LEADER

    @property
    def halts(self) -> list[Halt]:
        return self.core.halts if self.is_open else list(self._early.values())

    def now(self) -> datetime:
        """The account's time."""
        return self.core.now(self._clock()) if self.is_open else self._clock()

    async def halt(self, stop: Stop, cause: str, scope: str = ACCOUNT, *, flatten: bool = False) -> tuple[Halt, bool]:
        """Halt a scope: latch file, memory, then the record. Returns the halt and whether the log has it already.

        `flatten`: a kill, which also has the scope closed. While one of a scope is under way, another press is the same one.
        Raises OSError when the latch file cannot be written; the halt is then in force in this process all the same.
        """
        halt = self._joined(cause, scope, flatten) or Halt(
            halt_id=derived_id(self.account, SERVICE, stop.key, "HALT"),
            scope=scope,
            cause=cause,
            since=self.now(),
            latched=True,
            by=stop.by,
            flatten=True if flatten else None,
        )
        self._early[halt.halt_id] = halt
        if self.is_open:
            self.core.latch(halt)
        await asyncio.to_thread(self.latches.write, halt)
        if not self.leads:
            return halt, False
        command = self.command(
            "kill" if flatten else "halt", stop, {"halt_id": halt.halt_id, "scope": halt.scope, "cause": cause}
        )
        reason = await self.recording.record(command)
        if reason is None:
            for _ in ("the halt", "its commands")[: 1 + flatten]:
                self.drive.leadership.answer_owed()
                await self.drive.pipeline.settle(RECORD_TIMEOUT_S)
        return halt, halt.halt_id in self.core.state.halts

    def _joined(self, cause: str, scope: str, flatten: bool) -> Halt | None:
        """A kill of the same scope that is under way. And with very many halts in force, one more of the same kind is the
        oldest of them again: the log must hold them all.
        """
        same = [
            halt
            for halt in self.halts
            if (halt.cause, halt.scope, bool(halt.flatten)) == (cause, scope, flatten) and halt.halt_id not in self._lifting
        ]
        if flatten:
            under_way = [halt for halt in same if self._under_way(halt)]
            return under_way[0] if under_way else None
        return same[0] if same and len(self.halts) >= HALTS_MAX // 2 else None

    def _under_way(self, halt: Halt) -> bool:
        """It has neither missed its time nor reached its end."""
        kill = self.core.state.kills.get(halt.halt_id) if self.is_open else None
        return kill is None or not (kill.missed or kill.flat)

    async def resume(self, stop: Stop, lift: Lift) -> None:
        """Lift halts: the command is stored first, then the state without them. Raises `NotClean`, `NotRecorded`.

        A halt that comes meanwhile stays: the new state is made when no other is on its way.
        """
        async with self.raising:
            self._lifting = set(lift.halt_ids)
            try:
                self._refuse_unclean(lift)
                target = {"halt_ids": sorted(lift.halt_ids), "overrides": dict(lift.overrides)}
                command = self.command("resume", stop, target | {"rebase_drawdown": lift.rebase})
                await self.recording.must(command)
                await self._state_folded()
                fact = self.core.resume_fact(self._lifting, command.key, self.now(), rebase=lift.rebase)
                await self.recording.took_effect(fact)
                with contextlib.suppress(NotRecorded):
                    await self._state_folded()
                    self.drive.leadership.answer_owed()  # what is still passed halts again: whoever resumes should see it
                    await self._state_folded()
            finally:
                self._lifting = set()
        await self._drop_lifted()

    def _refuse_unclean(self, lift: Lift) -> None:
        unclean = [item for item in checklist(self.core, lift.halt_ids, self.now()) if not item.clean]
        if lift.rebase and not self.core.state.equity.usable():
            unclean.append(Item("REBASE", clean=False, detail="the drawdown can only count anew from a trusted equity"))
        unclean = [item for item in unclean if item.name not in lift.overrides or item.name == "REBASE"]
        if unclean:
            raise NotClean(unclean)

    async def close(self, stop: Stop, bot: str | None, symbol: str | None) -> list[str]:
        """Have positions closed, once, without a halt: the command ids. Raises `NotReady`; `NotRecorded` while no bot was told;
        `Unknown` when some were, and perhaps not all.
        """
        if self.core.state.rules is None:
            raise NotReady(self.account)
        command = self.command("close", stop, {"scope": scope_of(bot, symbol)})
        await self.recording.must(command)
        bots = [bot] if bot is not None else self.setup.bots or ("*",)
        facts = close_facts(self.core.state, self.account, bots, symbol, command.key, self.now(), stop.reason)
        for number, fact in enumerate(facts):
            if number == 0:
                await self.recording.took_effect(fact)
            elif await self.recording.record(fact) is not None:
                raise Unknown
        return [fact.key for fact in facts]

    async def reconcile(self, stop: Stop, symbol: str, qty: Decimal) -> Fact:
        """Take over a symbol's position as reported, `qty` as a person has seen it: the command is stored first, then the fact.

        Raises `NotReconcilable`, before anything is stored unless the report changes meanwhile; `NotRecorded`, `Unknown`.
        """
        async with self.raising:
            self._reconcile_fact(symbol, qty, stop.key)
            command = self.command("reconcile", stop, {"symbol": symbol, "reported_qty": plain(qty)})
            await self.recording.must(command)
            await self._state_folded()
            fact = self._reconcile_fact(symbol, qty, command.key)
            await self.recording.took_effect(fact)
            with contextlib.suppress(NotRecorded):
                await self._state_folded()
        return fact

    def _reconcile_fact(self, symbol: str, qty: Decimal, cause: str) -> Fact:
        return reconcile_fact(self.core.state, self.account, symbol, qty, cause, self.now())

    async def _state_folded(self) -> None:
        """Until no RISK_STATE is on its way. Raises `NotRecorded` when that takes too long."""
        await self.recording.folded(lambda: not self.core.state_on_its_way)

    def command(self, command: str, stop: Stop, target: dict[str, object]) -> Fact:
        return self.core.command(
            command, self.now(), by=stop.by, role=stop.role, reason=stop.reason, key=stop.key, target=target
        )

    def _on_status(self, status: Status) -> None:
        for listener in self._listeners:
            listener(status)

    async def _keep_latches(self) -> None:
        """Another instance, or a person, may write a latch file; one the log shows as lifted is deleted."""
        while True:
            files = await asyncio.to_thread(self.latches.read)
            for halt_id, halt in files.items():
                if halt_id not in self.core.latches and halt_id not in self.core.state.resumed:
                    _log.warning("latch file %s halts account %s", halt_id, self.account)
                    self.core.latch(halt)
            if self.drive.caught_up.is_set():
                await self._drop_lifted(files)
            await asyncio.sleep(LATCH_POLL_S)

    async def _drop_lifted(self, files: Iterable[str] = ()) -> None:
        """Of the latches and of these files, what the log shows as lifted."""
        for halt_id in [halt_id for halt_id in {*self.core.latches, *files} if halt_id in self.core.state.resumed]:
            try:
                await asyncio.to_thread(self.latches.delete, halt_id)
            except OSError as error:
                _log.error(
                    "the latch file of the lifted halt %s stays (%s); it is void here, delete it by hand", halt_id, error
                )
            self.core.unlatch(halt_id)
            self._early.pop(halt_id, None)

    async def _look_back(self) -> None:
        await self.drive.caught_up.wait()
        await self.history.fill()
