"""The latch files of the account: a halt's second way to the bot, without bus or gateway. Any file halts its scope.

A file that cannot be read, or names no scope, halts the account.
"""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from fleet_contracts import FLEET_ACCOUNT
from fleet_sdk.core.scope import ACCOUNT, reaches

_log = logging.getLogger(__name__)
_UNREADABLE = "unreadable"


class Latches:
    """`latch/<account>/*.json`, and the fleet's own. `folder` None: there are none on this machine."""

    def __init__(self, folder: Path | None, account: str, bot: str, now: Callable[[], float]) -> None:
        self._folders = () if folder is None else (folder / account, folder / FLEET_ACCOUNT)
        self._bot, self._now = bot, now
        self._looked_at: float | None = None
        self.halts: dict[Path, str] = {}
        """The latch files seen at the last look, with the scope of each."""

    def look(self) -> bool:
        """Read the folders now; whether the bot is latched. A folder that cannot be read counts as a halt."""
        found = {path: self.halts.get(path) or _scope(path) for folder in self._folders for path in _files(folder)}
        if found.keys() != self.halts.keys():
            named = (f"{path.stem} ({scope})" for path, scope in sorted(found.items()))
            _log.warning("latched halts: %s", ", ".join(named) or "none")
        self.halts = found
        self._looked_at = self._now()
        return self.reach()

    def reach(self, symbol: str | None = None) -> bool:
        """Whether a file of the last look stops this bot; with a symbol, its orders in it."""
        return any(reaches(scope, self._bot, symbol) for scope in self.halts.values())

    def latched(self, symbol: str | None = None, age_s_max: float = 0.25) -> bool:
        """The same, by a look not older than `age_s_max`."""
        if self._looked_at is None or self._now() - self._looked_at > age_s_max:
            self.look()
        return self.reach(symbol)


def _files(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if name.endswith(".json")]
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.error("%s cannot be read (%s): taken for a halt", folder, error)
        return [folder / _UNREADABLE]


def _scope(path: Path) -> str:
    try:
        found = json.loads(path.read_bytes())
        return str(found.get("scope") or ACCOUNT) if isinstance(found, dict) else ACCOUNT
    except (OSError, ValueError, RecursionError):
        return ACCOUNT
