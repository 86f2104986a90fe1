"""The small files that remember: a word about each id, and the boot it was written in."""

from pathlib import Path

import pytest

from fleet_sdk import boot
from fleet_sdk.boot import same_boot
from fleet_sdk.id_journal import IdJournal


def test_a_word_that_is_forgotten_stays_forgotten_after_a_restart(tmp_path: Path) -> None:
    journal = IdJournal(tmp_path / "ids", keep=10)
    journal.write("a", "ASKED")
    journal.write("b", "ASKED")
    journal.write("b", "ALLOWED")
    journal.forget("ASKED")
    journal.write("c", "ASKED")
    journal.close()
    again = IdJournal(tmp_path / "ids", keep=10)
    assert again.words == {"b": "ALLOWED", "c": "ASKED"}
    again.close()


def test_a_note_of_this_boot_is_known_again_and_one_of_another_boot_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, boot_id = tmp_path / "note", tmp_path / "boot_id"
    monkeypatch.setattr(boot, "_BOOT_ID", boot_id)
    boot_id.write_bytes(b"one\n")
    assert [same_boot(note), same_boot(note)] == [False, True]
    boot_id.write_bytes(b"two\n")
    assert [same_boot(note), same_boot(note)] == [False, True]


def test_where_boots_have_no_id_none_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_BOOT_ID", tmp_path / "nowhere")
    assert [same_boot(tmp_path / "note"), same_boot(tmp_path / "note")] == [False, False]
