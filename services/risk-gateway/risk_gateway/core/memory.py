"""Which orders were decided: 24 hours of ids in compact, immutable segments (DESIGN §5, snapshots).

A remembered id is (id hash, content hash, sequence, line); the decision itself is fetched from the stream. The memory is
written like a log: when an order's hold ends its id is written anew, and a segment whose newest entry is too old is
forgotten whole; ids of live orders in it are written anew first.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

SEGMENT_SIZE = 8_192
_COLUMNS = ("ids", "contents", "seqs", "lines")


def id_hash(*parts: str) -> int:
    """64 bits of (bot, order_id), or of any other tuple of names."""
    return int.from_bytes(hashlib.blake2b("\x00".join(parts).encode(), digest_size=8).digest())


@dataclass(slots=True)
class Memo:
    """Where a decision stands in the log, and 64 bits of the content it judged."""

    content: int
    seq: int
    line: int


@dataclass(slots=True)
class Segment:
    """Up to 8,192 entries as columns; `newest` is the fold time of the last one (unix seconds)."""

    ids: array[int] = field(default_factory=lambda: array("Q"))
    contents: array[int] = field(default_factory=lambda: array("Q"))
    seqs: array[int] = field(default_factory=lambda: array("Q"))
    lines: array[int] = field(default_factory=lambda: array("Q"))
    newest: float = 0.0

    def to_bytes(self) -> bytes:
        """The columns one after another, little-endian words of 8 bytes."""
        return b"".join(getattr(self, name).tobytes() for name in _COLUMNS)

    @classmethod
    def from_bytes(cls, content: bytes, newest: float) -> Segment:
        """Raises ValueError when the length does not fit."""
        if len(content) % (8 * len(_COLUMNS)):
            raise ValueError(f"a segment of {len(content)} bytes")
        size = len(content) // len(_COLUMNS)
        columns = []
        for number in range(len(_COLUMNS)):
            column = array("Q")
            column.frombytes(content[number * size : (number + 1) * size])
            columns.append(column)
        ids, contents, seqs, lines = columns
        return cls(ids, contents, seqs, lines, newest)


class Memory:
    """The remembered ids of one account."""

    def __init__(self) -> None:
        self.segments: dict[int, Segment] = {0: Segment()}
        self._index: dict[int, int] = {}
        self._head = 0

    def __len__(self) -> int:
        return len(self._index)

    def find(self, key: int) -> Memo | None:
        """What is remembered of an id."""
        slot = self._index.get(key)
        if slot is None:
            return None
        segment, at = self.segments[slot // SEGMENT_SIZE], slot % SEGMENT_SIZE
        return Memo(segment.contents[at], segment.seqs[at], segment.lines[at])

    def remember(self, key: int, memo: Memo, at: float) -> None:
        """Write an id, or write it anew with a later time."""
        head = self.segments[self._head]
        if len(head.ids) == SEGMENT_SIZE:
            self._head += 1
            head = self.segments[self._head] = Segment()
        self._index[key] = self._head * SEGMENT_SIZE + len(head.ids)
        head.ids.append(key)
        head.contents.append(memo.content)
        head.seqs.append(memo.seq)
        head.lines.append(memo.line)
        head.newest = max(head.newest, at)

    def touch(self, key: int, at: float) -> None:
        """The id's hold has ended: its time counts from now."""
        memo = self.find(key)
        if memo is not None:
            self.remember(key, memo, at)

    def forget(self, before: float, at: float, live: Callable[[], Collection[int]]) -> None:
        """Drop full segments with nothing newer than `before`; ids of `live` orders in them move on to the head."""
        while len(self.segments) > 1:
            number, oldest = next(iter(self.segments.items()))
            if oldest.newest >= before:
                return
            alive = live()
            for offset, key in enumerate(oldest.ids):
                if self._index.get(key) == number * SEGMENT_SIZE + offset:
                    memo = Memo(oldest.contents[offset], oldest.seqs[offset], oldest.lines[offset])
                    del self._index[key]
                    if key in alive:
                        self.remember(key, memo, at)
            del self.segments[number]

    def newest_seqs(self, count: int) -> list[int]:
        """Sequences of the messages that hold the newest decisions: enough for `count` of them, oldest first."""
        seqs: list[int] = []
        for segment in reversed(self.segments.values()):
            seqs += segment.seqs
            if len(seqs) >= 2 * count:
                break
        return sorted(seqs)[-count:]

    @property
    def head(self) -> int:
        """The number of the segment that is still written."""
        return self._head

    @classmethod
    def restore(cls, segments: dict[int, Segment]) -> Memory:
        """A memory out of its segments, oldest first."""
        memory = cls()
        memory.segments = segments or {0: Segment()}
        for number, segment in memory.segments.items():
            for offset, key in enumerate(segment.ids):
                memory._index[key] = number * SEGMENT_SIZE + offset
        memory._head = max(memory.segments)
        return memory


GENERATION_S = 10_800.0
"""Fill ids are forgotten in generations of three hours."""


class FillMemory:
    """Which fills were posted: 64-bit hashes in generations, so that a late repeat of a closed order's fill posts nothing."""

    def __init__(self, generations: dict[int, set[int]] | None = None) -> None:
        self.generations: dict[int, set[int]] = generations or {}

    def __contains__(self, key: int) -> bool:
        for generation in self.generations.values():  # noqa: SIM110 - a generator costs more than the look-up
            if key in generation:
                return True
        return False

    def add(self, key: int, at: float) -> None:
        """Remember a fill as of fold time `at` (unix seconds)."""
        self.generations.setdefault(int(at // GENERATION_S), set()).add(key)

    def forget(self, before: float) -> None:
        """Drop the generations that ended before a fold time."""
        for number in [number for number in self.generations if (number + 1) * GENERATION_S < before]:
            del self.generations[number]
