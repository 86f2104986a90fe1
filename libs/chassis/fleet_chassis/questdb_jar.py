"""Gets the QuestDB server: one jar from Maven, by the PyPI package maven-artifact, believed only by its SHA-256."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

VERSION = "9.3.4"
COORDINATE = f"org.questdb:questdb:{VERSION}"
JAR_SHA256 = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"
JAR_BYTES = 29_831_811
DOWNLOAD_S_MAX = 600
ATTEMPTS = 2

Download = Callable[[Path], None]
"""Writes the jar to a path. Raises `NoQuestDb`."""


class NoQuestDb(RuntimeError):
    """There is no usable QuestDB here; the text is one line that says what to do."""


def jar_path(cache: Path) -> Path:
    """Where the jar is kept."""
    return cache / f"questdb-{VERSION}.jar"


def fetch_jar(cache: Path, download: Download | None = None, before: Callable[[bool], None] = lambda damaged: None) -> Path:
    """The verified jar in `cache`; fetched when it is not there, and fetched anew when it is damaged (`before` is told which).

    Raises `NoQuestDb` when it cannot be had. Two set-ups at once do not disturb each other.
    """
    jar = jar_path(cache)
    if _sound(jar):
        return jar
    before(jar.exists())
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            if _fetched(jar, download or _from_maven):
                return jar
    except OSError as error:
        raise NoQuestDb(f"cannot keep QuestDB in {cache}: {error.strerror or error}; make room or set FLEET_CACHE") from error
    raise NoQuestDb(
        f"QuestDB {VERSION} arrived damaged {ATTEMPTS} times (its SHA-256 is wrong); try again, or do not trust the network"
    )


def _fetched(jar: Path, download: Download) -> bool:
    """Download beside the jar, look, and only then give it its name."""
    arriving = jar.with_name(f".{jar.name}.{os.getpid()}")
    try:
        download(arriving)
        if not _sound(arriving):
            return False
        os.replace(arriving, jar)
        return True
    finally:
        arriving.unlink(missing_ok=True)


def _sound(jar: Path) -> bool:
    try:
        with jar.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == JAR_SHA256
    except OSError:
        return False


def _from_maven(target: Path) -> None:
    """In a process of its own: the package prints, and waits on a silent network for ever."""
    command = [sys.executable, "-m", "maven_artifact.main", COORDINATE, str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S_MAX, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoQuestDb(f"QuestDB {VERSION} did not arrive in {DOWNLOAD_S_MAX} s; check the network, then try again") from error
    if done.returncode == 0:
        return
    said = done.stdout + done.stderr
    if "No space left" in said or "Disk quota" in said:
        raise NoQuestDb(f"the disk is full; free {JAR_BYTES // 10**6} MB for QuestDB and try again")
    if "No module named" in said:
        raise NoQuestDb("the package maven-artifact is not installed; run `make setup`")
    raise NoQuestDb(f"cannot fetch QuestDB {VERSION}: the repository is not reached; check the network, then try again")
