"""What a backup or a restore must not lose while somebody interrupts it: files that are links, halts, the moment itself."""

import fcntl
import io
import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet_chassis.home import FleetHome
from fleet_chassis.settings import FleetSettings
from fleet_cli import app
from fleet_cli.backup_manifest import BadBackup, Manifest, is_unfinished
from fleet_cli.container import hand_out
from fleet_cli.exits import CliError, Exit
from parts.stopped_fleet import CONFIG, CONTENT, contents, saved, stopped_fleet, use

SYNC = os.sync


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetHome:
    return stopped_fleet(tmp_path, monkeypatch)


def halts(home: FleetHome) -> set[str]:
    return {path.stem for path in home.latch.glob("main/*.json")}


def somebody_listens(monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A port on another host than loopback, which answers as soon as it is told to listen."""
    nats = socket.socket()
    nats.bind(("0.0.0.0", 0))
    monkeypatch.setenv("FLEET_NATS_URL", f"nats://{socket.gethostname()}:{nats.getsockname()[1]}")
    return nats


def on_sync(monkeypatch: pytest.MonkeyPatch, count: int, act: Callable[[], Any]) -> None:
    """Do this when the disk is told to be written for the `count`th time."""
    calls = iter(range(1, 10))
    monkeypatch.setattr("os.sync", lambda: act() if next(calls) == count else SYNC())


def test_two_links_to_one_file_come_back_as_two_whole_files(
    home: FleetHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (home.data / "questdb" / "db" / "trades" / name for name in ("symbol.k", "symbol.k.1"))
    first.write_bytes(b"the names of all symbols")
    os.link(first, second)
    file = saved()
    use(other := FleetHome(tmp_path / "other"), monkeypatch)
    assert app.run(["restore", str(file)]) == 0
    assert contents(other)["data/questdb/db/trades/symbol.k.1"] == b"the names of all symbols"
    assert contents(other)["data/questdb/db/trades/symbol.k"] == b"the names of all symbols"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_restore_that_dies_leaves_a_home_that_is_refused_or_halted(
    count: int, home: FleetHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved()
    use(other := FleetHome(tmp_path / "other"), monkeypatch)

    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        on_sync(dying, count, killed)
        assert app.run(["restore", str(file)]) == Exit.INTERRUPTED
    assert is_unfinished(other.root) or halts(other) > {"h-1"}


def test_a_halt_that_cannot_be_written_replaces_nothing(home: FleetHome, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved()
    before = contents(home)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("fleet_cli.backup.write_latch", full)
        assert app.run(["restore", str(file), "--replace"]) == 1
    assert contents(home) == before


def test_a_halt_in_force_outlives_the_restore_of_an_older_backup(home: FleetHome) -> None:
    file = saved()
    (home.latch / "main" / "killed-since.json").write_text('{"scope": "bot:qe1", "flatten": true}')
    assert app.run(["restore", str(file), "--replace"]) == 0
    assert halts(home) > {"h-1", "killed-since"}
    assert (home.latch / "main" / "killed-since.json").read_text() == '{"scope": "bot:qe1", "flatten": true}'


def test_containers_that_are_started_while_it_unpacks_are_not_replaced_under(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved()
    before = contents(home)
    with somebody_listens(monkeypatch) as nats, monkeypatch.context() as racing:
        racing.setattr("fleet_cli.backup.write_latch", lambda *_, **__: nats.listen())
        assert app.run(["restore", str(file), "--replace"]) == 6
    assert contents(home) == before
    assert not is_unfinished(home.root)


def test_containers_that_are_started_while_it_replaces_leave_a_home_that_is_refused(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved()
    with somebody_listens(monkeypatch) as nats, monkeypatch.context() as racing:
        on_sync(racing, 2, nats.listen)
        assert app.run(["restore", str(file), "--replace"]) == 6
    capsys.readouterr()
    assert app.run(["up"]) == 9
    assert "repeat it" in capsys.readouterr().err


def test_a_backup_in_a_pipe_that_counts_for_nothing_cannot_be_restored(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with somebody_listens(monkeypatch) as nats, monkeypatch.context() as racing:
        racing.setattr("fleet_cli.backup_write.tarfile.TarFile.gettarinfo", listening(nats))
        assert app.run(["backup", "-"]) == 6
    Path("piped").write_bytes(capfdbinary.readouterr().out)
    assert app.run(["restore", "piped", "--replace"]) == 9


def listening(nats: socket.socket) -> Callable[..., Any]:
    real = tarfile.TarFile.gettarinfo

    def get(tar: tarfile.TarFile, *words: Any) -> tarfile.TarInfo:
        nats.listen()
        return real(tar, *words)

    return get


def test_prepare_waits_for_a_backup_in_another_container_and_a_backup_for_another(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fleet_cli.standing_still._TRIES", 2)
    descriptor = os.open(home.root / "secrets", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(CliError, match="being saved or restored"):
            hand_out(FleetSettings(home=home.root, config=CONFIG))
        assert app.run(["backup", "b.tar.gz"]) == 6
    finally:
        os.close(descriptor)
    assert "being saved or restored" in capsys.readouterr().err
    saved()


def test_what_an_interrupted_restore_has_left_beside_an_empty_home_is_no_fleet(
    home: FleetHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved()
    use(other := FleetHome(tmp_path / "other"), monkeypatch)
    (other.data / "nats" / ".restoring").mkdir(parents=True)
    (other.data / "nats" / ".restoring" / "half").write_bytes(b"half")
    assert app.run(["restore", str(file)]) == 0
    assert CONTENT.items() <= contents(other).items()


@pytest.mark.parametrize("size", ["1e999", "[" * 100_000])
def test_a_manifest_of_nonsense_is_a_damaged_backup(size: str) -> None:
    text = '{"format": 1, "made_at": "", "version": "", "files": {"latch/x": [' + size + ', "0"]}}'
    with pytest.raises(BadBackup, match="cannot be read"):
        Manifest.of(text.encode())


def test_a_name_that_no_disk_takes_is_refused_in_one_line(home: FleetHome) -> None:
    with tarfile.open("odd.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("x")
        member.pax_headers = {"path": "data/nats/a\0b"}
        tar.addfile(member)
    assert app.run(["restore", "odd.tar.gz", "--replace"]) == 9
    assert CONTENT.items() <= contents(home).items()


def test_a_folder_on_the_way_that_is_a_file_is_refused_in_one_line(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open("odd.tar.gz", "w:gz") as tar:
        for name in ("data/nats/a", "data/nats/a/b"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    assert app.run(["restore", "odd.tar.gz", "--replace"]) == 1
    assert "cannot restore" in capsys.readouterr().err
    assert CONTENT.items() <= contents(home).items()
