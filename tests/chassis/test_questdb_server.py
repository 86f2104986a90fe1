"""How QuestDB is called: everything on loopback, passwords by file, no auto-create, and proof of every setting."""

from pathlib import Path

import pytest

from fleet_chassis.questdb_server import QuestDbServer, make_passwords, read_password


@pytest.fixture
def server(tmp_path: Path) -> QuestDbServer:
    return QuestDbServer("127.0.0.1", 9000, 8812, 9003, tmp_path / "data", tmp_path / "passwords", tmp_path / "logs", "300m")


def as_taken(server: QuestDbServer) -> dict[str, tuple[str, str]]:
    """What a server that took everything would report."""
    taken = {}
    for variable, value in server.environment().items():
        name = variable.removeprefix("QDB_").lower().replace("_", ".")
        if not name.startswith("log."):
            taken[name] = (value, "env")
    for name in ("http.password", "pg.password", "pg.readonly.password"):
        taken[name] = ("****", "file")
    return taken


def refused(server: QuestDbServer, taken: dict[str, tuple[str, str]]) -> list[str]:
    return server.refused([(name, value, source) for name, (value, source) in taken.items()])


def test_a_server_that_took_every_setting_is_not_objected_to(server: QuestDbServer) -> None:
    assert refused(server, as_taken(server)) == []


def test_a_size_may_be_reported_in_bytes(server: QuestDbServer) -> None:
    assert refused(server, as_taken(server) | {"cairo.writer.data.append.page.size": ("1048576", "env")}) == []


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("cairo.commit.mode", ("nosync", "env")),
        ("cairo.commit.mode", ("sync", "default")),
        ("http.bind.to", ("0.0.0.0:9000", "default")),
        ("line.auto.create.new.tables", ("true", "default")),
        ("http.password", ("", "default")),
    ],
)
def test_a_setting_the_server_ignored_is_named(server: QuestDbServer, name: str, reported: tuple[str, str]) -> None:
    assert [wrong.partition(":")[0] for wrong in refused(server, as_taken(server) | {name: reported})] == [name]


def test_no_password_stands_in_the_environment_or_the_command(server: QuestDbServer, tmp_path: Path) -> None:
    make_passwords(server.passwords)
    shown = " ".join([*server.environment().values(), *server.command(tmp_path / "questdb.jar")])
    for user in ("admin", "reader", "journal"):
        assert read_password(server.passwords, user) not in shown


def test_everything_listens_on_the_host_it_was_given(server: QuestDbServer) -> None:
    bound = [value for name, value in server.environment().items() if name.endswith("BIND_TO")]
    assert sorted(bound) == ["127.0.0.1:8812", "127.0.0.1:9000", "127.0.0.1:9003"]


def test_the_heap_is_what_was_asked_for(server: QuestDbServer, tmp_path: Path) -> None:
    assert "-Xmx300m" in server.command(tmp_path / "questdb.jar")


def test_passwords_are_made_once_for_the_owner_only(tmp_path: Path) -> None:
    make_passwords(tmp_path / "passwords")
    first = read_password(tmp_path / "passwords", "admin")
    make_passwords(tmp_path / "passwords")
    assert read_password(tmp_path / "passwords", "admin") == first
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "passwords").iterdir()} == {0o600}
