"""Logs, ports, probes and status files of the process manager."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import FleetStatus, PartStatus, began, is_managed, read_status, write_status
from fleet_chassis.process_logs import bound_log, last_lines
from fleet_chassis.process_ports import free_base, holder, is_free
from fleet_chassis.process_probe import HttpProbe


@pytest.fixture
def home(tmp_path: Path) -> FleetHome:
    home = FleetHome(tmp_path / "home")
    home.make()
    return home


@pytest.fixture
def taken() -> socket.socket:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_the_status_file_is_read_as_it_was_written(home: FleetHome) -> None:
    part = PartStatus("nats", "ready", 12, "2026-01-05T10:00:00.000Z", 0, None, "", "nats://127.0.0.1:4222", False)
    status = FleetStatus("ready", 11, "2026-01-05T10:00:00.000Z", "2026-01-05T10:00:01.000Z", (part,))
    write_status(home, status)
    assert read_status(home) == status
    assert (home.run / "status.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", '{"state": "ready"}', "[]", '{"parts": [{"name": "x"}]}'])
def test_a_status_file_that_cannot_be_read_is_none(home: FleetHome, text: str) -> None:
    (home.run / "status.json").write_text(text)
    assert read_status(home) is None


def test_a_home_without_a_manager_is_not_managed(home: FleetHome) -> None:
    assert not is_managed(home)


def test_a_process_has_one_beginning_and_a_missing_one_has_none() -> None:
    assert began(os.getpid()) == began(os.getpid())
    assert began(os.getpid()) != began(1)
    assert began(2**22 + 1) is None


def test_a_log_past_its_bound_is_put_aside_and_old_ones_go(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    for generation in range(4):
        with log.open("a") as file:
            file.write(f"{generation}" * 100)
        assert bound_log(log, bytes_max=50)
        assert log.stat().st_size == 0
    assert (tmp_path / "nats.log.1").read_text() == "3" * 100
    assert (tmp_path / "nats.log.2").read_text() == "2" * 100
    assert not (tmp_path / "nats.log.3").exists()


def test_a_log_inside_its_bound_stays(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    log.write_text("short")
    assert not bound_log(log, bytes_max=50)
    assert not bound_log(tmp_path / "missing.log")


def test_the_last_lines_come_from_the_end_and_not_from_before_the_start(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    log.write_text("old\n" + "".join(f"line {number} {'x' * 1000}\n" for number in range(500)))
    assert [line.split()[1] for line in last_lines(log, 3)] == ["497", "498", "499"]
    assert len(last_lines(log, 10_000)) == 501
    assert last_lines(log, 10_000, since_byte=4)[0].startswith("line 0")
    assert last_lines(log, 0) == []
    assert last_lines(tmp_path / "missing.log", 3) == []


def test_a_taken_port_is_seen_with_the_process_that_holds_it(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    assert not is_free("127.0.0.1", port)
    found = holder(port)
    assert found is None or found.pid == os.getpid()


def test_a_free_base_has_room_for_all_ports(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    base = free_base("127.0.0.1", 3, first=port - 1, last=port + 300, step=1)
    assert base is not None
    assert not base <= port < base + 3


async def serve(answer: bytes) -> tuple[asyncio.Server, int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nfine", None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 503 No\r\nA: b\r\n\r\nfolding: 120 behind\nmore", "/readyz says 503: folding: 120 behind"),
        (b'HTTP/1.1 503 No\r\nA: b\r\n\r\n{"code": "NOT_READY", "detail": "no lease"}', "/readyz says 503: no lease"),
        (b"", "no answer on port"),
        (b"what?\r\n", "no answer on port"),
    ],
)
async def test_a_probe_says_what_is_missing(answer: bytes, missing: str | None, tmp_path: Path) -> None:
    server, port = await serve(answer)
    (tmp_path / "ingest.port").write_text(f"{port}\n")
    async with server:
        said = await HttpProbe("127.0.0.1", tmp_path / "ingest.port")()
    assert said == missing if missing is None else said is not None and said.startswith(missing)


async def test_a_probe_of_a_part_that_says_nothing_gives_up(taken: socket.socket, tmp_path: Path) -> None:
    port = taken.getsockname()[1]
    assert await HttpProbe("127.0.0.1", port, timeout_s=0.05)() == f"port {port} answers too slowly"
    assert await HttpProbe("127.0.0.1", tmp_path / "no.port")() == "has not written its port yet"
