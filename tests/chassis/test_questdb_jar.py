"""The jar: believed only by its SHA-256, kept whole or not at all; what goes wrong is one line that says what to do."""

import hashlib
from pathlib import Path

import pytest

from fleet_chassis import questdb_jar
from fleet_chassis.questdb_jar import NoQuestDb, fetch_jar, jar_path

GOOD = b"a jar"


@pytest.fixture(autouse=True)
def _small_jar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questdb_jar, "JAR_SHA256", hashlib.sha256(GOOD).hexdigest())


class Registry:
    """Gives what it has, one answer a request."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)

    def __call__(self, target: Path) -> None:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        target.write_bytes(answer)


def test_the_jar_is_fetched_once(tmp_path: Path) -> None:
    registry = Registry(GOOD)
    for _ in range(2):
        assert fetch_jar(tmp_path / "cache", registry).read_bytes() == GOOD
    assert registry.answers == []


def test_a_damaged_jar_is_fetched_anew(tmp_path: Path) -> None:
    jar_path(tmp_path).write_bytes(GOOD[:-1])
    assert fetch_jar(tmp_path, Registry(GOOD)).read_bytes() == GOOD


def test_a_jar_that_arrives_damaged_is_asked_for_again(tmp_path: Path) -> None:
    assert fetch_jar(tmp_path, Registry(b"cut", GOOD)).read_bytes() == GOOD


def test_a_jar_that_keeps_arriving_damaged_is_never_used(tmp_path: Path) -> None:
    with pytest.raises(NoQuestDb, match="damaged"):
        fetch_jar(tmp_path, Registry(b"cut", b"cut"))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(NoQuestDb, match="network"):
        fetch_jar(tmp_path, Registry(NoQuestDb("check the network")))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoQuestDb, match="make room") as failure:
        fetch_jar(tmp_path, Registry(OSError(28, "No space left on device")))
    assert "\n" not in str(failure.value)


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoQuestDb, match="FLEET_CACHE"):
        fetch_jar(tmp_path / "file" / "cache", Registry(GOOD))
