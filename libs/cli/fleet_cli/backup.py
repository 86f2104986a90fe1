"""`supervisor backup` and `supervisor restore`: everything a fleet must not lose in one file, and back.

Both want a fleet that stands still: log, database, latches and the bot's own books then belong to one moment
(docs/decisions/0021). They serve a machine and containers alike; a backup of the one restores in the other.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

from cyclopts import Parameter

from fleet_chassis.clock import wall_clock
from fleet_chassis.config import ConfigError, load_config
from fleet_chassis.process_files import rfc3339
from fleet_chassis.service_app import VERSION
from fleet_chassis.settings import FleetSettings
from fleet_cli.backup_manifest import LATCH, UNFINISHED, WAITING, BadBackup, Manifest, is_unfinished
from fleet_cli.backup_read import forget, is_empty, put_in_place, unpack
from fleet_cli.backup_stream import CountedReader
from fleet_cli.backup_write import survey, write_archive
from fleet_cli.exits import CliError, Exit
from fleet_cli.latch import sync_folder, write_latch
from fleet_cli.output import say
from fleet_cli.progress import progress
from fleet_cli.standing_still import standing_still
from fleet_cli.where import fleet_settings, in_containers

PIPE = Path("-")
_MEGABYTE = 10**6


def backup(
    file: Annotated[
        Path | None,
        Parameter(allow_leading_hyphen=True, help="where to; - is standard output [default: fleet-<time>.tar.gz here]"),
    ] = None,
    /,
) -> None:
    """Save a stopped fleet: log, database, secrets, latches, snapshots, the bot's books. The file holds secrets: guard it."""
    settings, now = fleet_settings(), wall_clock()
    home = settings.fleet_home
    target = file or Path(f"fleet-{now:%Y%m%dT%H%M%SZ}.tar.gz")
    if is_empty(home.root):
        raise CliError(f"there is nothing to save in {home.root}", Exit.NOT_FOUND)
    with _explained(f"cannot save {home.root} in {_name(target)}"), _written(target) as out, standing_still(settings) as look:
        if is_unfinished(home.root):
            raise CliError(UNFINISHED, Exit.INTEGRITY)
        paths = survey(home.root)
        size = sum(path.stat().st_size for path in paths if path.is_file())
        with progress("saving", size) as told:
            manifest = write_archive(home.root, paths, out, rfc3339(now), VERSION, told, look)
    say(f"saved {_sum(manifest)} of {home.root} in {_name(target)}; it holds every secret of the fleet: guard it")


def restore(
    file: Annotated[
        Path, Parameter(allow_leading_hyphen=True, help="what `supervisor backup` has written; - is standard input")
    ],
    /,
    *,
    replace: Annotated[bool, Parameter(negative="", help="in place of the fleet that is there, which is lost")] = False,
) -> None:
    """Bring back a saved fleet. Every file is checked first; afterwards each account is halted until somebody resumes it."""
    settings = fleet_settings()
    home = settings.fleet_home
    accounts = _accounts(settings)
    with _explained(f"cannot restore {_name(file)} in {home.root}"):
        home.make()
        with standing_still(settings) as look:
            if not is_empty(home.root) and not replace:
                raise CliError(f"there is a fleet in {home.root}; with --replace the backup takes its place", Exit.CONFLICT)
            manifest = _bring_back(home.root, file, accounts, look)
    say(f"restored {_sum(manifest)} in {home.root}, as they were at {manifest.made_at}")
    say(
        f"{', '.join(accounts)}: halted. What a venue has done since then is not in this log: start the fleet, compare its "
        "positions with the venue's, then `supervisor resume`"
    )


def _bring_back(root: Path, file: Path, accounts: list[str], look: Callable[[], None]) -> Manifest:
    forget(root)
    try:
        with _source(file) as (source, size), progress("checking", size) as told:
            manifest = unpack(root, CountedReader(source, told))
        for account in accounts:  # with the rest or not at all: there is no moment at which the restored fleet is not halted
            write_latch(account, under=root / LATCH / WAITING)
        put_in_place(root, look)
    finally:
        forget(root)
    return manifest


def _accounts(settings: FleetSettings) -> list[str]:
    try:
        return list(load_config(settings.config).supervisor.accounts)
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """What a disk or a file refuses, in one line."""
    try:
        yield
    except BadBackup as error:
        raise CliError(f"{what}: {error}", Exit.INTEGRITY) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        refused = f"{error.strerror} ({error.filename})" if error.filename else str(error)
        outside = "; a container does not see your files: use `backup - > FILE`, `restore - < FILE`" if in_containers() else ""
        raise CliError(f"{what}: {'the disk is full; free some and try again' if full else f'{refused}{outside}'}") from error


@contextmanager
def _written(target: Path) -> Iterator[IO[bytes]]:
    """A file that is there whole or not at all, or the pipe."""
    if target == PIPE:
        if sys.stdout.isatty():
            raise CliError("a backup is no text for a terminal; add `> FILE`, or name one", Exit.USAGE)
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if target.exists():
        raise CliError(f"{target} is there already; choose another name, or remove it", Exit.CONFLICT)
    partial = target.with_name(f"{target.name}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.rename(target)
        sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _source(file: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """What to read, and how many bytes it has when that is known."""
    if file == PIPE:
        yield sys.stdin.buffer, None
        return
    with file.open("rb") as source:
        yield source, file.stat().st_size


def _name(file: Path) -> str:
    return "the pipe" if file == PIPE else str(file)


def _sum(manifest: Manifest) -> str:
    return f"{len(manifest.files)} files, {manifest.size_bytes / _MEGABYTE:.1f} MB,"
