"""Writes a backup: one gzipped tar of a home that stands still, in one pass, so that it may go into a pipe."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from fleet_cli.backup_manifest import DERIVED, FOLDERS, MANIFEST, WAITING, BadBackup, Manifest
from fleet_cli.backup_stream import CountedReader, Told

COMPRESSION = 1
"""The quickest: database files are mostly room for rows to come."""


def survey(home: Path) -> list[Path]:
    """Every folder and file to keep, each folder before what is in it. Raises `BadBackup` for what is neither."""
    found = [path for name in FOLDERS if (home / name).is_dir() for path in _below(home, home / name)]
    for path in found:
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise BadBackup(f"{path} is neither a file nor a folder; move it away, then try again")
    return found


def _below(home: Path, folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name == WAITING or path == home / DERIVED:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(home, path)


def write_archive(
    home: Path, paths: list[Path], out: IO[bytes], made_at: str, version: str, told: Told, look: Callable[[], None]
) -> Manifest:
    """Write these paths and their manifest. Raises OSError: the disk is full, or a file changed while it was read.

    `look` raises when the home did not stand still; what went into a pipe until then has no manifest, and no restore takes it.
    """
    files: dict[str, tuple[int, str]] = {}
    with (
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=COMPRESSION) as packed,
        # QuestDB links files; dereferenced, each link is a whole file (else the second one is saved empty)
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, dereference=True) as tar,
    ):
        for path in paths:
            member = _anonymous(tar.gettarinfo(path, path.relative_to(home).as_posix()))
            if member.isdir():
                tar.addfile(member)
                continue
            with path.open("rb") as file:
                reader = CountedReader(file, told)
                tar.addfile(member, reader)
            files[member.name] = (member.size, reader.digest)
        look()
        manifest = Manifest(made_at, version, files)
        text = manifest.text().encode()
        last = tarfile.TarInfo(MANIFEST)
        last.size, last.mode = len(text), 0o600
        tar.addfile(last, io.BytesIO(text))
    return manifest


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whoever restores it owns it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
