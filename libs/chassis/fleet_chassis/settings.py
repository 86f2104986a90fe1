"""What the environment says to every part of a fleet: where its home and configuration are, which ports it uses.

A misspelt `FLEET_…` variable is an error, not a silent default (pydantic-settings alone would ignore it).
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fleet_chassis.home import FleetHome

_OFFSETS = {
    "gateway_port": (8080, 0),
    "nats_port": (4222, 1),
    "nats_monitor_port": (8222, 2),
    "questdb_http_port": (9000, 3),
    "questdb_pg_port": (8812, 4),
    "questdb_health_port": (9003, 5),
    "dashboard_port": (8088, 6),
    "grafana_port": (3000, 7),
}
"""field → (default port, offset from FLEET_PORT_BASE)."""


LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that nobody but this machine reaches."""
JOURNAL_BYTES_MAX = 10 * 1024**3
"""Full, the log takes nothing more, and nothing is allowed (DESIGN §2)."""


class UnknownSetting(ValueError):
    """An environment variable begins with FLEET_ and means nothing to this build."""


class FleetSettings(BaseSettings):
    """Read once at start; immutable. Ports are TCP ports on `host`."""

    model_config = SettingsConfigDict(env_prefix="FLEET_", frozen=True, extra="forbid")

    home: Path = Path(".fleet")
    config: Path = Path("deploy/config")
    host: str = "127.0.0.1"
    instance: str | None = Field(default=None, description="name of this process; default <service>-1")
    log_level: str = "INFO"
    nats_url: str | None = Field(default=None, description="default nats://<host>:<nats_port>")
    nats_sync: str = Field(default="always", description="sync_interval of the NATS store: `always`, or a duration")
    replicas: int = Field(default=1, description="copies of each stream: 1, or 3 in a cluster", ge=1, le=5)
    journal_bytes_max: int = Field(default=JOURNAL_BYTES_MAX, ge=2**20, description="room for the stream FLEET on disk")
    cache: Path = Field(default=Path(".cache"), description="where downloads are kept between set-ups")
    questdb_host: str | None = Field(default=None, description="where QuestDB listens; default <host>")
    questdb_commit: Literal["sync", "async", "nosync"] = Field(default="sync", description="sync survives a power cut")
    questdb_heap: str = Field(default="512m", pattern=r"^[1-9][0-9]{0,5}[mg]$", description="the JVM's -Xmx")
    free_bytes_min: int = Field(default=10**9, ge=0, description="ingest pauses when the database's disk has less left")
    bot_requests_per_s: float = Field(
        default=500, gt=0, description="orders a bot may ask about in the long run; twice at once"
    )
    http_port: int = Field(
        default=0, ge=0, le=65535, description="health and metrics of a service without a door; 0: a free port"
    )
    port_base: int | None = Field(default=None, ge=1024, le=65000)
    gateway_port: int = 0
    nats_port: int = 0
    nats_monitor_port: int = 0
    questdb_http_port: int = 0
    questdb_pg_port: int = 0
    questdb_health_port: int = 0
    dashboard_port: int = 0
    grafana_port: int = 0

    @model_validator(mode="before")
    @classmethod
    def _fill_ports(cls, given: dict[str, object]) -> dict[str, object]:
        base = given.get("port_base")
        if base is not None and not str(base).strip().isdigit():
            base = None  # the field says what is wrong with it
        for name, (default, offset) in _OFFSETS.items():
            if given.get(name) in (None, ""):
                given[name] = default if base in (None, "") else int(str(base)) + offset
        return given

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read FLEET_… variables; raises `UnknownSetting` for one that no part of the fleet knows."""
        known = {f"FLEET_{name.upper()}" for name in cls.model_fields}
        unknown = sorted(name for name in environment if name.startswith("FLEET_") and name not in known)
        if unknown:
            close = get_close_matches(unknown[0], sorted(known), 1)
            meant = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"
            raise UnknownSetting(f"unknown environment variable {unknown[0]}; {meant}")
        given = {name.removeprefix("FLEET_").lower(): value for name, value in environment.items() if name in known}
        return cls(**given)  # type: ignore[arg-type]  # texts, as the environment has them: pydantic reads them

    @property
    def fleet_home(self) -> FleetHome:
        return FleetHome(self.home.absolute())

    @property
    def questdb(self) -> str:
        """The base address of QuestDB's HTTP door (SQL and ILP)."""
        return f"http://{self.questdb_host or self.host}:{self.questdb_http_port}"

    @property
    def nats(self) -> str:
        """The address clients connect to."""
        return self.nats_url or f"nats://{self.host}:{self.nats_port}"
