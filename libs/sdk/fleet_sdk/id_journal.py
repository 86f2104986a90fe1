"""A small file that remembers a word about each of the newest ids, across restarts: `{"id":"…","is":"…"}` a line."""

import logging
import os
from pathlib import Path

from pydantic_core import from_json, to_json

_log = logging.getLogger(__name__)


class IdJournal:
    """Append-only, rewritten when it has grown to twice what it keeps. A torn or damaged line is skipped."""

    def __init__(self, path: Path, keep: int) -> None:
        self._path, self._keep = path, keep
        self.words: dict[str, str] = {}
        """id → its newest word, oldest id first."""
        self._lines = 0
        if path.exists():
            self._read(path.read_bytes())
        self._rewrite()
        self._file = path.open("ab", buffering=0)

    def write(self, identifier: str, word: str) -> None:
        """Remember. Raises OSError when it cannot be written."""
        if self.words.get(identifier) == word:
            return
        self._file.write(_line(identifier, word))
        self._remember(identifier, word)
        self._lines += 1
        if self._lines > 2 * self._keep:
            self._file.close()
            self._rewrite()
            self._file = self._path.open("ab", buffering=0)

    def forget(self, word: str) -> None:
        """Forget every id of which this is the newest word. Raises OSError when the file cannot be written anew."""
        if word in self.words.values():
            self.words = {identifier: known for identifier, known in self.words.items() if known != word}
            self._file.close()
            self._rewrite()
            self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _remember(self, identifier: str, word: str) -> None:
        self.words.pop(identifier, None)
        self.words[identifier] = word
        while len(self.words) > self._keep:
            del self.words[next(iter(self.words))]

    def _read(self, data: bytes) -> None:
        for line in data.split(b"\n"):
            if not line:
                continue
            try:
                fields = from_json(line)
                self._remember(str(fields["id"]), str(fields["is"]))
            except (ValueError, KeyError, TypeError):
                _log.warning("a damaged line of %s is skipped", self._path)

    def _rewrite(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(b"".join(_line(identifier, word) for identifier, word in self.words.items()))
        os.replace(temporary, self._path)
        self._lines = len(self.words)


def _line(identifier: str, word: str) -> bytes:
    return to_json({"id": identifier, "is": word}) + b"\n"
