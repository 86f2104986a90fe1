"""What a bot tells the SDK once, at start."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Self

from fleet_contracts import FLEET_ACCOUNT, RESERVED_SOURCES, Mode
from fleet_contracts.envelope import TOKEN
from fleet_sdk.core.local import FailPolicy

_PORT = 4222
_PORT_OFFSET = 1
"""NATS in a range that begins at FLEET_PORT_BASE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    """Immutable. Units are in the names; the first six have no default because nobody else can know them.

    `nkey_seed`: the file with this bot's NATS seed (None only for a server without users). `latch_dir`: the fleet's
    `latch/` folder, None when the bot runs on another machine. `virtual_time`: gives the `ts` of everything the bot says;
    the account must have `clock: event`, and the bot then calls `step()` itself. `deadline_ms` bounds one `evaluate`.
    """

    bot: str
    account: str
    mode: Mode
    nats_url: str
    nkey_seed: Path | None
    spool_dir: Path
    latch_dir: Path | None = None
    deadline_ms: int = 250
    fail_policy: FailPolicy = FailPolicy.BY_MODE
    reduce_only_when_away: bool = False
    heartbeat_s: float = 1.0
    state_s: float = 1.0
    virtual_time: Callable[[], datetime] | None = None
    review_deadline_ms: int = 1_500
    review_floor: Decimal = Decimal("0.25")
    connect_wait_s: float = 2.0
    """How long entering the bot waits for the bus. After that it starts all the same, and spools."""
    spool_bytes_max: int = 64 * 1024 * 1024
    """Bound of the spool on disk (and, for what waits, in memory)."""
    fsync_s: float = 0.5
    """A power failure may take what was spooled in this time; a killed process takes nothing."""
    instance: str | None = None
    profile: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        for name in ("bot", "account"):
            if not TOKEN.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)!r} is not a token of A-Z a-z 0-9 _ - (1 to 64 characters)")
        if self.bot in RESERVED_SOURCES or self.account == FLEET_ACCOUNT:
            raise ValueError(f"{self.bot!r} on account {self.account!r}: one of these names is the fleet's own")
        if not isinstance(self.mode, Mode):
            object.__setattr__(self, "mode", Mode(self.mode))
        if not 1 <= self.deadline_ms <= 60_000:
            raise ValueError(f"deadline_ms: {self.deadline_ms} is not in 1 … 60000")
        if min(self.heartbeat_s, self.state_s, self.fsync_s) <= 0 or not 0 <= self.review_floor <= 1:
            raise ValueError("heartbeat_s, state_s and fsync_s are positive, review_floor lies in [0, 1]")

    @property
    def stepped(self) -> bool:
        """The bot lives in virtual time: everything is awaited, nothing happens between its steps."""
        return self.virtual_time is not None

    @property
    def deadline_s(self) -> float:
        return self.deadline_ms / 1000

    @classmethod
    def from_home(
        cls,
        bot: str,
        account: str,
        home: Path | None = None,
        *,
        mode: Mode = Mode.DEMO,
        environment: Mapping[str, str] = os.environ,
        **more: object,
    ) -> Self:
        """Settings of a bot on the fleet's own machine. `home` is FLEET_HOME, by default `.fleet`.

        The seed is `secrets/nats/<bot>.nk`; the address FLEET_NATS_URL, or FLEET_HOST and, whichever is there first,
        FLEET_NATS_PORT, `run/nats.port`, FLEET_PORT_BASE, 4222. `more` are further fields of `BotSettings`.
        """
        root = home if home is not None else Path(environment.get("FLEET_HOME") or ".fleet")
        fields: dict[str, object] = {
            "bot": bot,
            "account": account,
            "mode": mode,
            "nats_url": environment.get("FLEET_NATS_URL") or _nats_url(root, environment),
            "nkey_seed": root / "secrets" / "nats" / f"{bot}.nk",
            "spool_dir": root / "spool",
            "latch_dir": root / "latch",
            **more,
        }
        return cls(**fields)  # type: ignore[arg-type]


def _nats_url(root: Path, environment: Mapping[str, str]) -> str:
    host = environment.get("FLEET_HOST") or "127.0.0.1"
    port = environment.get("FLEET_NATS_PORT")
    port_file = root / "run" / "nats.port"
    if not port and port_file.exists():
        port = port_file.read_text().strip()
    if not port:
        base = environment.get("FLEET_PORT_BASE")
        port = str(int(base) + _PORT_OFFSET) if base else str(_PORT)
    return f"nats://{host}:{port}"
