"""A stopped fleet that has data, for tests of backups; the present folder is an empty one."""

import os
from pathlib import Path

import pytest

from fleet_chassis.home import FleetHome
from fleet_cli import app
from fleet_cli.backup_manifest import FOLDERS

CONFIG = Path(__file__).parents[2] / "deploy" / "config"
CONTENT = {
    "secrets/tokens/qe1.token": b"sup_qe1_secret\n",
    "data/nats/jetstream/FLEET/1.blk": os.urandom(3_000_000),
    "data/questdb/db/trades/2026/price.d": bytes(200_000),
    "data/venue/qe1-main.json": b"{}",
    "snapshots/risk-gateway-1/1.head": b"seq 1",
    "latch/main/h-1.json": b"{}",
}


def stopped_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetHome:
    """Make it under `tmp_path`, and mean it by every command that follows."""
    place = FleetHome(tmp_path / "home")
    place.make()
    for name, content in CONTENT.items():
        path = place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    (place.root / "data/questdb/db/empty").mkdir()
    (place.part_secrets("qe1")).mkdir(parents=True)
    (place.part_secrets("qe1") / "copy").write_text("made anew")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("SUPERVISOR_URL", raising=False)
    monkeypatch.setenv("FLEET_CONFIG", str(CONFIG))
    use(place, monkeypatch)
    return place


def use(home: FleetHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_HOME", str(home.root))


def contents(home: FleetHome) -> dict[str, bytes]:
    found = (path for name in FOLDERS for path in (home.root / name).rglob("*") if path.is_file())
    return {str(path.relative_to(home.root)): path.read_bytes() for path in found}


def saved() -> Path:
    """Its backup, in the present folder."""
    assert app.run(["backup", "b.tar.gz"]) == 0
    return Path("b.tar.gz")
