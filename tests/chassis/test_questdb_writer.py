"""The writer and the answers of a server: which make a row bad, and which mean that nothing may be acknowledged."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleet_chassis import questdb_writer
from fleet_chassis.questdb_writer import DiskFull, Outage, QuestDbWriter, ReadyRows, RowFault, SchemaBehind
from parts.fake_questdb import FakeQuestDb, fake_questdb, refusal
from parts.nats import free_port

CAST = "error in line {}: table: t, column: l; cast error from protocol type: STRING to column type: LONG"
NO_TABLE = "error in line 1: table: t; table does not exist, creating new tables is disabled"
NO_COLUMN = "error in line 1: table: t, column: c does not exist, creating new columns is disabled"


@dataclass
class Row:
    table: str = "t"
    columns: dict[str, Any] = field(default_factory=lambda: {"id": "x"})
    at_us: int = 1_700_000_000_000_000


@pytest.fixture
def server() -> Iterator[FakeQuestDb]:
    with fake_questdb() as fake:
        yield fake


@pytest.fixture
def writer(server: FakeQuestDb) -> Iterator[QuestDbWriter]:
    made = QuestDbWriter("127.0.0.1", server.port, "journal", "pass;word")
    yield made
    made.close()


def rows(count: int) -> list[Row]:
    return [Row(columns={"id": f"i{number}"}) for number in range(count)]


def test_rows_of_one_write_are_one_request(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    assert writer.write(rows(100)) == []
    assert server.writes == [100]


def test_one_connection_serves_many_writes(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    for _ in range(3):
        writer.write(rows(2))
    assert (server.connections, server.writes) == (1, [2, 2, 2])


def test_nothing_to_write_asks_nobody(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    assert writer.write([]) == []
    assert server.connections == 0


@pytest.mark.parametrize("proper", [False, True])
def test_a_bad_row_comes_back_and_its_neighbours_are_sent_again(
    server: FakeQuestDb, writer: QuestDbWriter, proper: bool
) -> None:
    server.answers = [refusal("invalid", CAST.format(3), 3, proper=proper)]
    assert writer.write(rows(5)) == [RowFault(2, CAST.partition(": ")[2])]
    assert server.writes == [5, 4]


def test_several_bad_rows_are_picked_out_one_by_one(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    server.answers = [refusal("invalid", CAST.format(line), line) for line in (1, 1, 3)]
    assert [fault.index for fault in writer.write(rows(6))] == [0, 1, 4]
    assert server.writes == [6, 5, 4, 3]


def test_a_row_the_client_refuses_counts_for_no_line(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    mixed = rows(4)
    mixed[1].columns["l"] = 2**70
    server.answers = [refusal("invalid", CAST.format(2), 2)]
    assert [fault.index for fault in writer.write(mixed)] == [1, 2]


def test_only_bad_rows_send_nothing_more(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    server.answers = [refusal("invalid", CAST.format(1), 1)]
    assert [fault.index for fault in writer.write(rows(1))] == [0]
    assert server.writes == [1]


def test_after_a_bad_row_the_connection_is_a_new_one(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    server.answers = [refusal("invalid", CAST.format(1), 1)]
    writer.write(rows(2))
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("invalid", NO_TABLE, 1), SchemaBehind),
        (refusal("invalid", NO_COLUMN, 1), SchemaBehind),
        (refusal("invalid", "cannot insert in non-WAL table", 1), SchemaBehind),
        (refusal("invalid", CAST.format(9), 9), SchemaBehind),
        (refusal("invalid", CAST.format(1)), SchemaBehind),
        (refusal("internal error", "could not write, errno: 28 [No space left on device]", 1), DiskFull),
        (refusal("internal error", "errno: 28 [No space left on device]", 1, proper=True), DiskFull),
        (refusal("internal error", CAST.format(1), 1), Outage),
        (refusal("internal error", CAST.format(1), 1, proper=True), Outage),
        (refusal("not accepting writes", "read-only"), Outage),
        (refusal("request too large", "transaction is too large"), Outage),
        ((500, b""), Outage),
        ((401, b"Unauthorized"), Outage),
    ],
)
def test_every_other_answer_blames_no_row(
    server: FakeQuestDb, writer: QuestDbWriter, answer: tuple[int, bytes], kind: type[Outage]
) -> None:
    server.answers = [answer]
    with pytest.raises(Outage) as failure:
        writer.write(rows(2))
    assert type(failure.value) is kind
    assert "\n" not in str(failure.value)


def test_after_an_outage_all_rows_are_written_again(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    server.answers = [refusal("internal error", "out of luck")]
    with pytest.raises(Outage):
        writer.write(rows(7))
    assert writer.write(rows(7)) == []
    assert server.writes == [7, 7]


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(Outage):
        QuestDbWriter("127.0.0.1", free_port(), "journal", "x").write(rows(1))


def test_a_server_that_is_silent_is_an_outage_in_time(
    server: FakeQuestDb, writer: QuestDbWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questdb_writer, "REQUEST_S", 0.3)
    impatient = QuestDbWriter("127.0.0.1", server.port, "journal", "x")
    server.gate.clear()
    started = time.monotonic()
    with pytest.raises(Outage):
        impatient.write(rows(1))
    assert time.monotonic() - started < 5


def test_a_large_write_is_cut_into_bounded_requests(
    server: FakeQuestDb, writer: QuestDbWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questdb_writer, "ROWS_MAX", 40)
    monkeypatch.setattr(questdb_writer, "BYTES_MAX", 2_000)
    assert writer.write([Row(columns={"id": "x" * 100}) for _ in range(100)]) == []
    assert sum(server.writes) == 100
    assert max(server.writes) <= 40
    assert len(server.writes) > 3


def test_a_value_of_an_unknown_type_is_a_programmers_error(writer: QuestDbWriter) -> None:
    with pytest.raises(TypeError):
        writer.write([Row(columns={"id": {"a": 1}})])


def ready(made: list[Row]) -> ReadyRows:
    rows = ReadyRows(lambda: made)
    for row in made:
        rows.add(row)
    return rows


def test_ready_rows_are_one_request_and_are_not_made_again(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    rows_ready = ready(rows(100))
    rows_ready._again = lambda: pytest.fail("made again")
    assert writer.write(rows_ready) == []
    assert (server.writes, server.connections) == ([100], 1)


def test_no_ready_rows_ask_nobody(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    assert writer.write(ready([])) == []
    assert server.connections == 0


def test_of_ready_rows_the_bad_ones_come_back_and_the_others_are_sent(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    server.answers = [refusal("invalid", CAST.format(3), 3), refusal("invalid", CAST.format(3), 3)]
    assert [fault.index for fault in writer.write(ready(rows(5)))] == [2]
    assert server.writes == [5, 5, 4]


def test_a_ready_row_the_client_refuses_comes_back_and_the_others_are_sent(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    mixed = rows(4)
    mixed[1].columns["l"] = 2**70
    assert [fault.index for fault in writer.write(ready(mixed))] == [1]
    assert server.writes == [3]


def test_an_outage_leaves_ready_rows_to_be_made_anew(server: FakeQuestDb, writer: QuestDbWriter) -> None:
    server.answers = [refusal("internal error", "out of luck")]
    with pytest.raises(Outage):
        writer.write(ready(rows(7)))
    assert writer.write(ready(rows(7))) == []
    assert (server.writes, server.connections) == ([7, 7], 2)


def test_ready_rows_are_full_at_the_bounds_of_a_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questdb_writer, "ROWS_MAX", 3)
    assert [ready(rows(count)).full for count in (0, 2, 3)] == [False, False, True]
    monkeypatch.setattr(questdb_writer, "BYTES_MAX", 10)
    assert ready(rows(1)).full


def test_a_ready_row_with_a_value_of_an_unknown_type_is_a_programmers_error() -> None:
    with pytest.raises(TypeError):
        ready([Row(columns={"id": {"a": 1}})])
