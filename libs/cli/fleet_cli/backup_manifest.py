"""What a backup holds, and the list in it by which a restore knows that it is whole."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

LATCH = "latch"
"""A restore replaces every folder but this one: a halt in force now stays in force, whatever is restored."""
FOLDERS = ("secrets", LATCH, "snapshots", "spool", "data/nats", "data/questdb", "data/venue")
"""What a home must not lose; `run` and `logs` are left out. In containers each may be a volume of its own."""
DERIVED = "secrets/parts"
"""Left out too: the copies of secrets that containers see are made anew."""
MANIFEST = "manifest.json"
FORMAT = 1
WAITING = ".restoring"
"""In each folder: where a restore unpacks, so that nothing is replaced before everything was compared."""

REPLACING = "secrets/.replacing"
"""There while a restore replaces one by the other: a home where it stands is neither."""
UNFINISHED = "a restore into this home was interrupted, and it is half of each; repeat it: supervisor restore FILE --replace"


class BadBackup(ValueError):
    """The backup is damaged, incomplete, or not one of ours; the text is one line."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files`: path in the home → (bytes, sha256 in hex). `made_at`: RFC 3339. `version`: the build that made it."""

    made_at: str
    version: str
    files: dict[str, tuple[int, str]]

    @property
    def size_bytes(self) -> int:
        """Of all files, as they lie in the home."""
        return sum(size for size, _ in self.files.values())

    def text(self) -> str:
        """As it is stored, last in the backup."""
        about = {"format": FORMAT, "made_at": self.made_at, "version": self.version, "files": self.files}
        return json.dumps(about, indent=0, sort_keys=True) + "\n"

    @classmethod
    def of(cls, text: bytes) -> Self:
        """Read it. Raises `BadBackup`."""
        try:
            about: dict[str, Any] = json.loads(text)
            form = about["format"]
            files = {str(path): (int(size), str(digest)) for path, (size, digest) in about["files"].items()}
            manifest = cls(str(about["made_at"]), str(about["version"]), files)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise BadBackup("its manifest cannot be read: the backup is damaged") from error
        if form != FORMAT:
            raise BadBackup(f"the backup has format {form}, this build knows {FORMAT}: use the build that made it")
        return manifest

    def compare(self, came: dict[str, tuple[int, str]]) -> None:
        """Raise `BadBackup` unless these are the files that were saved."""
        for name, saved in self.files.items():
            if name not in came:
                raise BadBackup(f"{name} is missing: the backup is damaged")
            if came[name] != saved:
                raise BadBackup(f"{name} is not what was saved (its SHA-256 differs): the backup is damaged")
        more = sorted(came.keys() - self.files.keys())
        if more:
            raise BadBackup(f"{more[0]} is not in its manifest: the backup is not one of ours")


def is_unfinished(home: Path) -> bool:
    """A restore was interrupted while it replaced."""
    return (home / REPLACING).exists()
