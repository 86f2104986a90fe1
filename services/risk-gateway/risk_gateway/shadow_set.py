"""The candidate limits of risk.shadow.yaml (R10), judged after the answers of the live ones have left. Nothing depends on it.

The file is looked at every two seconds: it may come, change and go while the gateway runs, and every change counts anew.
"""

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet_chassis.config import ConfigError, load_risk
from fleet_chassis.fold import Fold
from fleet_contracts import Entry, Fact, Reason
from fleet_contracts.envelope import format_ts
from fleet_contracts.money import plain
from risk_gateway.core.account import Account
from risk_gateway.core.decision import NewDecision, Refusal
from risk_gateway.core.rules import Setup
from risk_gateway.core.shadow import Example, Shadow

FILE = "risk.shadow.yaml"
LOOK_S = 2.0
PAUSE_S = 0.02
"""Between two slices of work, so that orders come first."""
SLICE = 50
WAITING_MAX = 10_000
"""Decisions that wait to be judged once more; more are skipped, and counted."""
_log = logging.getLogger(__name__)


class ShadowSet:
    """One account's candidate, if there is one. `run()` looks for it and judges."""

    def __init__(self, path: Path, core: Account, fold: Fold, setup: Setup) -> None:
        self._path, self._core, self._fold, self._setup = path, core, fold, setup
        self._shadow: Shadow | None = None
        self._stamp: tuple[int, int] | None = None
        self._since: datetime | None = None
        self._error: str | None = None
        self._skipped = 0
        self._waiting: deque[NewDecision] = deque()

    async def run(self) -> None:
        """For ever."""
        clock, looked = asyncio.get_running_loop().time, float("-inf")
        while True:
            if clock() - looked >= LOOK_S:
                await self._look()
                looked = clock()
            for _ in range(min(SLICE, len(self._waiting))):
                self._judge(self._waiting.popleft())
            await asyncio.sleep(PAUSE_S if self._waiting else LOOK_S / 10)

    def report(self) -> dict[str, Any]:
        """What the candidate would have answered otherwise, since it was put there or this process began to lead."""
        if self._shadow is None:
            return {"account": self._core.account, "active": False, "file": self._path.name, "error": self._error}
        tally = self._shadow.tally
        return {
            "account": self._core.account,
            "active": True,
            "file": self._path.name,
            "error": None,
            "digest": self._shadow.rules.digest,
            "risk": self._shadow.rules.risk.model_dump(mode="json", exclude_none=True),
            "since": format_ts(self._since) if self._since else None,
            "judged": tally.judged,
            "waiting": len(self._waiting),
            "skipped": self._skipped,
            "would_deny": _counted(tally.would_deny),
            "would_allow": _counted(tally.would_allow),
            "examples": [_shown(example) for example in (*tally.denied, *tally.allowed)],
        }

    def _judge(self, case: NewDecision) -> None:
        if self._shadow is not None:
            self._shadow.see(case)

    def _see(self, entry: Entry) -> None:
        """A listener of the fold, while there is a candidate. Only what this instance has judged itself is known whole."""
        told = entry.what.told if isinstance(entry.what, Fact) else None
        if not isinstance(told, NewDecision):
            return
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(told)
        else:
            self._skipped += 1

    async def _look(self) -> None:
        stamp = await asyncio.to_thread(_stamp_of, self._path)
        if stamp == self._stamp:
            return
        self._stamp, self._error = stamp, None
        found = None if stamp is None else await asyncio.to_thread(self._load)
        self._begin(found)

    def _load(self) -> Shadow | None:
        """The candidate of the file; None with `_error` when it cannot be used, or is not about this account."""
        try:
            risk = load_risk(self._path).accounts.get(self._core.account)
        except ConfigError as error:
            self._error = str(error)
            _log.warning("no shadow limits: %s", error)
            return None
        return None if risk is None else Shadow(Setup(risk, self._setup.clock, self._setup.equity_source))

    def _begin(self, found: Shadow | None) -> None:
        if self._shadow is None and found is not None:
            self._fold.listeners.append(self._see)
        elif self._shadow is not None and found is None:
            self._fold.listeners.remove(self._see)
        self._shadow, self._core.shadowed = found, found is not None
        self._since, self._skipped = datetime.now(UTC), 0
        self._waiting.clear()


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size


def _counted(reasons: dict[Reason, int]) -> dict[str, Any]:
    return {"orders": sum(reasons.values()), "reasons": {str(reason): count for reason, count in sorted(reasons.items())}}


def _shown(example: Example) -> dict[str, Any]:
    case, order = example.case, example.case.order
    return {
        "ts": format_ts(case.asked.now),
        "bot": case.asked.bot,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "qty": plain(order.qty),
        "price": None if case.price is None else plain(case.price),
        "strategy": order.strategy,
        "live": _answer(example.live),
        "shadow": _answer(example.shadow),
    }


def _answer(refusal: Refusal | None) -> dict[str, Any]:
    if refusal is None:
        return {"decision": "ALLOW", "reason": Reason.OK, "message": None}
    return {"decision": "DENY", "reason": refusal.reason, "message": refusal.message}
