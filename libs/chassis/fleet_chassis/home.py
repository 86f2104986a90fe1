"""FLEET_HOME: the one folder a fleet keeps its files in (WIRE, Files). Mode 0700."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FleetHome:
    """Names every path under FLEET_HOME; creates nothing but what `make()` is asked for."""

    root: Path

    def make(self) -> None:
        """Create the home and its folders, readable by the owner only."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (
            self.tokens,
            self.nats_seeds,
            self.questdb_passwords,
            self.run,
            self.logs,
            self.data / "nats",
            self.data / "questdb",
            self.latch,
            self.spool,
            self.snapshots,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def tokens(self) -> Path:
        return self.root / "secrets" / "tokens"

    @property
    def nats_seeds(self) -> Path:
        return self.root / "secrets" / "nats"

    @property
    def questdb_passwords(self) -> Path:
        return self.root / "secrets" / "questdb"

    @property
    def grafana_passwords(self) -> Path:
        return self.root / "secrets" / "grafana"

    def part_secrets(self, part: str) -> Path:
        """In containers: the copies that the part's container sees, and nothing else."""
        return self.root / "secrets" / "parts" / part

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def latch(self) -> Path:
        return self.root / "latch"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    def token(self, name: str) -> Path:
        return self.tokens / f"{name}.token"

    def nats_seed(self, user: str) -> Path:
        return self.nats_seeds / f"{user}.nk"

    def questdb_password(self, user: str) -> Path:
        return self.questdb_passwords / f"{user}.password"

    def pid_file(self, part: str) -> Path:
        return self.run / f"{part}.pid"

    def port_file(self, part: str) -> Path:
        return self.run / f"{part}.port"

    def log_file(self, part: str) -> Path:
        return self.logs / f"{part}.log"
