"""The spool: whatever is promised is there after any crash, in order, with the same bytes."""

import os
import resource
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet_sdk.core.spool_lines import Record, mark_line, read_segment, record_line
from fleet_sdk.errors import SpoolError, SpoolFull, SpoolInUse
from fleet_sdk.file_lock import FileLock
from fleet_sdk.id_journal import IdJournal
from fleet_sdk.spool import Spool

SUBJECT = "fleet.main.trade.qe1"
LIMIT = 16 * 1024


def body_of(number: int, size: int) -> bytes:
    return b'{"n":%d,"text":"%s"}' % (number, 'é,\\"event\\":'.encode() * size)


def abandon(spool: Spool) -> None:
    """What SIGKILL leaves: an open file, nothing tidied."""
    if spool._fd is not None:
        os.close(spool._fd)
        spool._fd = None


class SpoolMachine(RuleBasedStateMachine):
    """Append, ack, tidy, kill (with a torn tail) and reopen in any order, beside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = Spool(self.folder, LIMIT)
        self.promised: list[Record] = []
        self.acked = 0
        self.number = 0

    @rule(size=st.integers(0, 60), reserved=st.booleans())
    def append(self, size: int, reserved: bool) -> None:
        self.number += 1
        try:
            record = self.spool.append(SUBJECT, f"qe1-{self.number}", body_of(self.number, size), reserved=reserved)
        except SpoolFull:
            return
        self.promised.append(record)

    @precondition(lambda self: self.acked < len(self.promised))
    @rule(share=st.floats(0, 1))
    def ack(self, share: float) -> None:
        self.acked += max(1, int(share * (len(self.promised) - self.acked)))
        self.spool.acked(self.promised[self.acked - 1].n)

    @rule()
    def tidy(self) -> None:
        self.spool.tidy()

    @rule(torn=st.integers(0, 80))
    def kill_and_reopen(self, torn: int) -> None:
        abandon(self.spool)
        segments = sorted(self.folder.glob("*.jsonl"))
        if segments and torn:
            line = record_line(Record(self.spool._n + 1, SUBJECT, "torn", body_of(0, 5)))
            with segments[-1].open("ab") as file:
                file.write(line[:torn])
        self._reopen()

    @rule()
    def close_and_reopen(self) -> None:
        self.spool.close()
        if self.acked == len(self.promised):
            assert not list(self.folder.glob("*.jsonl"))
        self._reopen()

    def _reopen(self) -> None:
        self.spool = Spool(self.folder, LIMIT)
        recovered = self.spool.recovered
        acked_at_most = len(self.promised) - len(recovered)
        assert 0 <= acked_at_most <= self.acked, "an event that was not acked is gone"
        assert [(r.event_id, r.body, r.subject) for r in recovered] == [
            (r.event_id, r.body, r.subject) for r in self.promised[acked_at_most:]
        ]
        self.promised = list(recovered)
        self.acked = 0

    @invariant()
    def it_is_bounded(self) -> None:
        assert sum(path.stat().st_size for path in self.folder.glob("*.jsonl")) <= LIMIT + 200

    def teardown(self) -> None:
        abandon(self.spool)
        shutil.rmtree(self.folder)


SpoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSpool = SpoolMachine.TestCase


def test_a_segment_is_read_back_as_it_was_written() -> None:
    records = [Record(n, SUBJECT, f"qe1-{n}", body_of(n, n)) for n in range(1, 4)]
    segment = read_segment(b"".join(map(record_line, records)) + mark_line(2))
    assert (segment.records, segment.acked, segment.damaged, segment.torn) == (records, 2, [], False)


@pytest.mark.parametrize(
    "damage", [b"", b"\x00\x00", b"{}", b'{"acked":"x"}', b'{"acked":{}}', b"null", b"[]", b'{"n":1,"event":{}}']
)
def test_a_damaged_line_is_set_aside_and_its_neighbours_are_not(damage: bytes) -> None:
    good = record_line(Record(1, SUBJECT, "a", b"{}")), record_line(Record(2, SUBJECT, "b", b"{}"))
    segment = read_segment(good[0] + damage + b"\n" + good[1])
    assert [record.n for record in segment.records] == [1, 2]
    assert segment.damaged == [damage]


def test_a_changed_byte_is_noticed() -> None:
    line = record_line(Record(1, SUBJECT, "a", b'{"pnl":"100"}')).replace(b"100", b"900")
    assert read_segment(line).damaged


def test_damaged_lines_are_kept_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "00000001.jsonl").write_bytes(b"not ours\n" + record_line(Record(1, SUBJECT, "a", b"{}")))
    spool = Spool(tmp_path, LIMIT)
    assert [record.event_id for record in spool.recovered] == ["a"]
    assert (tmp_path / "00000001.damaged").read_bytes() == b"not ours\n"
    spool.close()


def test_a_full_spool_refuses_the_new_event_and_keeps_the_old_ones(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    kept = 0
    with suppress(SpoolFull):
        while kept < 1000:
            spool.append(SUBJECT, f"e-{kept}", body_of(kept, 10))
            kept += 1
    with pytest.raises(SpoolFull, match="is the bus away"):
        spool.append(SUBJECT, "one more", body_of(kept, 10))
    spool.append(SUBJECT, "reserved", b"{}", reserved=True)
    abandon(spool)
    again = Spool(tmp_path, LIMIT)
    assert [record.event_id for record in again.recovered] == [*(f"e-{n}" for n in range(kept)), "reserved"]
    again.close()


def test_a_disk_that_takes_half_a_line_takes_no_event_and_the_next_one_is_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1024 * 1024)
    spool.append(SUBJECT, "before", body_of(1, 10))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        with pytest.raises(SpoolError):
            spool.append(SUBJECT, "lost", body_of(2, 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    spool.append(SUBJECT, "after", body_of(3, 10))
    abandon(spool)
    again = Spool(tmp_path, LIMIT)
    assert [record.event_id for record in again.recovered] == ["before", "after"]
    again.close()


def test_a_spool_has_one_owner_and_is_free_when_it_ends(tmp_path: Path) -> None:
    first = FileLock(tmp_path / "lock")
    with pytest.raises(SpoolInUse):
        FileLock(tmp_path / "lock", wait_s=0.1)
    first.release()
    FileLock(tmp_path / "lock", wait_s=0.1).release()


def test_an_id_journal_remembers_the_newest_ids_across_restarts_and_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "orders.ids"
    journal = IdJournal(path, keep=10)
    for number in range(100):
        journal.write(f"o-{number}", "ALLOWED")
    journal.write("o-95", "GIVEN_UP")
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"id":"torn","i')
    again = IdJournal(path, keep=10)
    again.close()
    assert list(again.words) == ["o-90", "o-91", "o-92", "o-93", "o-94", "o-96", "o-97", "o-98", "o-99", "o-95"]
    assert again.words["o-95"] == "GIVEN_UP"
    assert len(path.read_bytes().splitlines()) <= 20
