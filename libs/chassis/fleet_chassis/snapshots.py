"""Snapshots: a cache of folded state on the local disk. A lost or damaged one costs a longer fold, never a wrong state.

A snapshot is one `<seq>.head` file and the segment files it names. Segments never change, so each is written once. All
writes go to a temporary name, are fsynced and renamed; sha256 sums stand in the head; the last two heads are kept.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet_chassis.core_api import Parts, SnapshotParts

HEADS_KEPT = 2
FORMAT = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State after folding the message `seq`, whose sha256 is `anchor` (empty: the log was empty)."""

    seq: int
    anchor: str
    parts: SnapshotParts


class SnapshotStore:
    """Snapshots of one (instance, service, account) in one folder. Calls block on the disk: run them in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, snapshot: Snapshot) -> None:
        """Write what is new of it, then prune. Raises OSError (disk full): the old snapshots stay usable."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sums = {name: _sum(content) for name, content in snapshot.parts.segments.items()}
        for name, content in snapshot.parts.segments.items():
            path = self._segment(name, sums[name])
            if not path.exists():
                _write(path, content)
        about = {
            "format": FORMAT,
            "seq": snapshot.seq,
            "anchor": snapshot.anchor,
            "sha256": _sum(snapshot.parts.head),
            "segments": sums,
        }
        _write(self._head(snapshot.seq), json.dumps(about).encode() + b"\n" + snapshot.parts.head)
        self._prune()

    def load(self) -> Snapshot | None:
        """The newest usable snapshot; a damaged one is passed over with a warning."""
        for path in reversed(self._heads()):
            try:
                return self._read(path)
            except (OSError, ValueError, KeyError) as error:
                _log.warning("snapshot %s is not usable (%s); folding from further back", path.name, error)
        return None

    def forget(self) -> None:
        """Remove all of them (they belong to another log)."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Snapshot:
        first, _, head = path.read_bytes().partition(b"\n")
        about = json.loads(first)
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}")
        if _sum(head) != about["sha256"]:
            raise ValueError("its sha256 does not match")
        segments = {name: self._read_segment(name, digest) for name, digest in about["segments"].items()}
        return Snapshot(about["seq"], about["anchor"], Parts(head, segments))

    def _read_segment(self, name: str, digest: str) -> bytes:
        content = self._segment(name, digest).read_bytes()
        if _sum(content) != digest:
            raise ValueError(f"the sha256 of segment {name} does not match")
        return content

    def _prune(self) -> None:
        heads = self._heads()
        for old in heads[:-HEADS_KEPT]:
            old.unlink(missing_ok=True)
        named: set[str] = set()
        for head in heads[-HEADS_KEPT:]:
            named |= _segment_files(head)
        for path in self._folder.glob("*.segment"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _heads(self) -> list[Path]:
        return sorted(self._folder.glob("*.head"))

    def _head(self, seq: int) -> Path:
        return self._folder / f"{seq:020d}.head"

    def _segment(self, name: str, digest: str) -> Path:
        return self._folder / _segment_file(name, digest)


def _segment_file(name: str, digest: str) -> str:
    return f"{name}-{digest[:16]}.segment"


def _segment_files(head: Path) -> set[str]:
    try:
        with head.open("rb") as file:
            segments: Mapping[str, str] = json.loads(file.readline())["segments"]
    except (OSError, ValueError, KeyError):
        return set()
    return {_segment_file(name, digest) for name, digest in segments.items()}


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
