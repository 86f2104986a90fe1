"""TCP ports before a fleet starts: is one free, who has it, where is room for a whole fleet."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port."""

    pid: int
    command: str


def is_free(host: str, port: int) -> bool:
    """True when somebody could listen on it now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> Holder | None:
    """The process listening on the port, when this user may see it (Linux); None when unknown."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*/fd") if inodes else ():
        with suppress(OSError):
            if any(link.readlink().name in inodes for link in folder.iterdir()):
                command = (folder.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                return Holder(int(folder.parent.name), command.strip())
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def free_base(host: str, count: int, first: int = 20000, last: int = 60000, step: int = 100) -> int | None:
    """A port number with `count` free ports from it on; None when there is none."""
    for base in range(first, last, step):
        if all(is_free(host, base + offset) for offset in range(count)):
            return base
    return None
