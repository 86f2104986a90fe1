"""The latch files of the account: a halt's second way to the bot, without bus or gateway. Any file = halted."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from fleet_contracts import FLEET_ACCOUNT

_log = logging.getLogger(__name__)
_UNREADABLE = "unreadable"


class Latches:
    """`latch/<account>/*.json`, and the fleet's own. `folder` None: there are none on this machine."""

    def __init__(self, folder: Path | None, account: str, now: Callable[[], float]) -> None:
        self._folders = () if folder is None else (folder / account, folder / FLEET_ACCOUNT)
        self._now = now
        self._looked_at: float | None = None
        self.halts: frozenset[str] = frozenset()
        """The halt ids seen at the last look."""

    def look(self) -> bool:
        """Read the folders now; whether anything is latched. A folder that cannot be read counts as a halt."""
        found = frozenset(halt for folder in self._folders for halt in _halts(folder))
        if found != self.halts:
            _log.warning("latched halts: %s", ", ".join(sorted(found)) or "none")
        self.halts = found
        self._looked_at = self._now()
        return bool(found)

    def latched(self, age_s_max: float = 0.25) -> bool:
        """Whether anything is latched, by a look not older than `age_s_max`."""
        if self._looked_at is None or self._now() - self._looked_at > age_s_max:
            return self.look()
        return bool(self.halts)


def _halts(folder: Path) -> list[str]:
    try:
        return [name[:-5] for name in os.listdir(folder) if name.endswith(".json")]
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.error("%s cannot be read (%s): taken for a halt", folder, error)
        return [_UNREADABLE]
