"""A backup is whole or refused; a restore replaces nothing before all was compared; both want a fleet that stands still."""

import io
import socket
import tarfile
from pathlib import Path

import pytest

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import manager_lock
from fleet_chassis.settings import FleetSettings
from fleet_cli import app
from fleet_cli.backup_manifest import WAITING
from fleet_cli.backup_write import survey
from fleet_cli.container import hand_out, main
from parts.stopped_fleet import CONFIG, CONTENT, contents, saved, stopped_fleet, use


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetHome:
    return stopped_fleet(tmp_path, monkeypatch)


def test_what_was_saved_comes_back_byte_for_byte_and_halted(
    home: FleetHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved()
    assert file.stat().st_mode & 0o777 == 0o600
    other = FleetHome(tmp_path / "other")
    use(other, monkeypatch)
    assert app.run(["restore", str(file)]) == 0
    there = contents(other)
    halts = [name for name in there if name.startswith("latch/main/") and name not in CONTENT]
    assert len(halts) == 1
    assert {name: content for name, content in there.items() if name not in halts} == CONTENT
    assert (other.root / "data/questdb/db/empty").is_dir()
    assert other.token("qe1").stat().st_mode & 0o777 == 0o600
    assert not list(other.root.rglob(WAITING))
    said = capsys.readouterr().err
    assert "guard it" in said
    assert "main: halted" in said


def test_a_backup_goes_through_a_pipe(
    home: FleetHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert app.run(["backup", "-"]) == 0
    Path("piped").write_bytes(capfdbinary.readouterr().out)
    use(FleetHome(tmp_path / "other"), monkeypatch)
    with Path("piped").open("rb") as piped:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(piped))
        assert app.run(["restore", "-"]) == 0
    assert CONTENT.items() <= contents(FleetHome(tmp_path / "other")).items()


def test_a_home_with_a_fleet_is_replaced_only_when_told_to(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved()
    (home.data / "nats" / "later").write_text("what came after the backup")
    before = contents(home)
    assert app.run(["restore", str(file)]) == 6
    assert "--replace" in capsys.readouterr().err
    assert contents(home) == before
    assert app.run(["restore", str(file), "--replace"]) == 0
    assert "data/nats/later" not in contents(home)


@pytest.mark.parametrize("at", [0.001, 0.5, 0.98])
def test_a_damaged_backup_is_refused_and_what_is_there_stays(
    at: float, home: FleetHome, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved()
    raw = bytearray(file.read_bytes())
    raw[int(len(raw) * at)] ^= 0x55
    file.write_bytes(raw)
    before = contents(home)
    assert app.run(["restore", str(file), "--replace"]) == 9
    assert contents(home) == before
    assert not list(home.root.rglob(WAITING))
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


@pytest.mark.parametrize("left", [0.0, 0.3, 0.9, 0.999])
def test_a_backup_that_is_cut_off_is_refused(left: float, home: FleetHome) -> None:
    file = saved()
    raw = file.read_bytes()
    file.write_bytes(raw[: int(len(raw) * left)])
    before = contents(home)
    assert app.run(["restore", str(file), "--replace"]) == 9
    assert contents(home) == before


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "data/nats/../../../../outside", "deploy/config/risk.yaml", "secrets", "data/other/x"],
)
def test_a_backup_that_wants_to_write_elsewhere_is_refused(name: str, home: FleetHome, tmp_path: Path) -> None:
    with tarfile.open("foreign.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    assert app.run(["restore", "foreign.tar.gz", "--replace"]) == 9
    assert not (tmp_path / "outside").exists()
    assert CONTENT.items() <= contents(home).items()


def test_a_link_in_a_backup_is_refused(home: FleetHome) -> None:
    with tarfile.open("links.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("data/nats/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(member)
    assert app.run(["restore", "links.tar.gz", "--replace"]) == 9


def test_while_the_fleet_runs_there_is_neither(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved()
    with manager_lock(home):
        assert app.run(["backup"]) == 6
        assert app.run(["restore", str(file), "--replace"]) == 6
    assert capsys.readouterr().err.count("stop it first") == 2
    assert not list(Path().glob("fleet-*"))


def test_while_the_containers_run_there_is_neither(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as nats:
        monkeypatch.setenv("FLEET_NATS_URL", f"nats://{socket.gethostname()}:{nats.getsockname()[1]}")
        assert app.run(["backup"]) == 6
    assert "nats still runs" in capsys.readouterr().err
    assert app.run(["backup"]) == 0


def test_an_empty_home_has_nothing_to_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    use(FleetHome(tmp_path / "none"), monkeypatch)
    assert app.run(["backup"]) == 5
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_overwritten(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.tar.gz").write_text("an older backup")
    assert app.run(["backup", "b.tar.gz"]) == 6
    assert Path("b.tar.gz").read_text() == "an older backup"
    assert "choose another name" in capsys.readouterr().err


def test_a_backup_that_fails_leaves_no_half_of_it(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    (home.spool / "link").symlink_to("/etc")
    assert app.run(["backup", "b.tar.gz"]) == 9
    assert "neither a file nor a folder" in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_a_missing_file_is_one_line(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["restore", "nothing.tar.gz", "--replace"]) == 1
    assert "No such file" in capsys.readouterr().err
    assert CONTENT.items() <= contents(home).items()


def test_containers_that_are_started_meanwhile_spoil_the_backup(home: FleetHome, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nats:
        nats.bind(("0.0.0.0", 0))
        monkeypatch.setenv("FLEET_NATS_URL", f"nats://{socket.gethostname()}:{nats.getsockname()[1]}")
        monkeypatch.setattr("fleet_cli.backup.survey", lambda root: (nats.listen(), survey(root))[1])
        assert app.run(["backup", "b.tar.gz"]) == 6
    assert not list(Path().iterdir())


def test_a_restore_that_was_interrupted_is_told_and_can_be_repeated(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved()
    real = Path.rename

    def full(path: Path, target: Path) -> Path:
        if path.name == "nats" or "jetstream" in path.name:
            raise OSError(28, "No space left on device")
        return real(path, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", full)
        assert app.run(["restore", str(file), "--replace"]) == 1
    capsys.readouterr()
    for words in (["up"], ["backup"]):
        assert app.run(words) == 9
        assert "was interrupted" in capsys.readouterr().err
    with pytest.raises(ValueError, match="was interrupted"):
        hand_out(FleetSettings(home=home.root, config=CONFIG))
    assert app.run(["restore", str(file), "--replace"]) == 0
    assert CONTENT.items() <= contents(home).items()


def test_in_a_container_a_file_is_told_to_go_through_the_pipe(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPERVISOR_CONTAINERS", "1")
    assert app.run(["restore", "mine.tar.gz", "--replace"]) == 1
    assert "use `backup - > FILE`, `restore - < FILE`" in capsys.readouterr().err


def test_what_prepare_cannot_read_is_named_by_its_variable(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEET_JOURNAL_BYTES_MAX", "lots")
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr().err
    assert told.startswith("fleet-prepare: a FLEET_… variable has no valid value: FLEET_JOURNAL_BYTES_MAX: ")
    assert told.count("\n") == 1
