"""Reads a backup: unpacks it beside what is there, compares every file with the manifest, and only then puts it in place."""

import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from fleet_cli.backup_manifest import FOLDERS, LATCH, MANIFEST, REPLACING, WAITING, BadBackup, Manifest
from fleet_cli.backup_stream import CountedReader

_CHUNK_BYTES = 1024**2
_MANIFEST_BYTES_MAX = 256 * 1024**2


def is_empty(home: Path) -> bool:
    """There is no file that a restore would replace."""
    found = (path for name in FOLDERS for path in (home / name).rglob("*") if path.is_file())
    return all(WAITING in path.relative_to(home).parts for path in found)


def unpack(home: Path, source: CountedReader) -> Manifest:
    """Unpack beside what is there, and compare.

    Raises `BadBackup`, or OSError when the disk is full; `forget` removes what came.
    """
    came: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    for name in FOLDERS:
        (home / name / WAITING).mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as tar:  # type: ignore[call-overload]  # a stream is only read
            for member in tar:
                if manifest is not None:
                    raise BadBackup("there is something after its manifest: the backup is not one of ours")
                if member.name == MANIFEST:
                    manifest = Manifest.of(_whole(tar, member))
                else:
                    _unpack_one(home, tar, member, came)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise BadBackup(f"it is cut off, damaged, or no backup at all ({error})") from error
    if manifest is None:
        raise BadBackup("it has no manifest: the backup is cut off, or not one of ours")
    manifest.compare(came)
    return manifest


def _whole(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    if file is None or member.size > _MANIFEST_BYTES_MAX:
        raise BadBackup("its manifest is no file, or too large: the backup is not one of ours")
    return file.read()


def _unpack_one(home: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, came: dict[str, tuple[int, str]]) -> None:
    target = _waiting_place(home, member.name)
    if member.isdir():
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    file = tar.extractfile(member) if member.isreg() else None
    if file is None or member.name in came:
        raise BadBackup(f"{member.name} in it is no file, or is there twice: the backup is not one of ours")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    reader = CountedReader(file)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o777), "wb") as out:
        while chunk := reader.read(_CHUNK_BYTES):
            out.write(chunk)
    came[member.name] = (member.size, reader.digest)


def _waiting_place(home: Path, name: str) -> Path:
    """Where a member waits. Raises `BadBackup` for a name that leads anywhere else."""
    path = PurePosixPath(name.replace("\0", "/../"))
    for folder in map(PurePosixPath, FOLDERS):
        if folder in path.parents and ".." not in path.parts and WAITING not in path.parts:
            return home / folder / WAITING / path.relative_to(folder)
    raise BadBackup(f"{name} in it belongs into no home: the backup is not one of ours")


def put_in_place(home: Path, look: Callable[[], None]) -> None:
    """Replace what is there by what waits, on the disk when this returns. Raises OSError: repeat the restore then.

    `look` raises when the home does not stand still: before, nothing is replaced; after, the home stays unfinished.
    """
    look()
    replacing = home / REPLACING
    replacing.touch(mode=0o600)
    os.sync()  # once for all: an fsync for each of 100,000 files takes minutes
    for folder in (home / name for name in FOLDERS):
        if folder != home / LATCH:
            _clear(folder, but=(folder / WAITING, replacing))
        _move(folder / WAITING, folder)
    os.sync()
    look()
    replacing.unlink()
    os.sync()


def _clear(folder: Path, but: tuple[Path, ...]) -> None:
    for path in folder.iterdir():
        if path not in but:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _move(waiting: Path, folder: Path) -> None:
    """Move what waits into the folder; a folder that is there already (of latches) gets it beside what it has."""
    for path in waiting.iterdir():
        target = folder / path.name
        if target.is_dir():
            _move(path, target)
        else:
            path.rename(target)
    waiting.rmdir()


def forget(home: Path) -> None:
    """Remove what waits."""
    for name in FOLDERS:
        shutil.rmtree(home / name / WAITING, ignore_errors=True)
