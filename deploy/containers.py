"""Prints what the running containers of the fleet are: image, size, user, capabilities as the kernel has them, limits, ports.

`make docker-report`; COMPOSE_PROJECT_NAME, or -p, names another project than the usual one.
"""

import json
import re
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

COMMAND_S = 60
COLUMNS = ("service", "image", "size", "user", "capabilities", "root", "memory", "pids", "published ports")


def docker(*words: str) -> str:
    """What a command says on stdout. Raises RuntimeError with its last line when it fails."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=COMMAND_S)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["docker failed"])[-1])
    return done.stdout


def row(container: dict[str, Any]) -> list[str]:
    """One container as the table shows it."""
    host, image = container["HostConfig"], container["Config"]["Image"]
    size = json.loads(docker("image", "inspect", image))[0]["Size"]
    status = dict(re.findall(r"^(\w+):\s+(\S+)", docker("exec", container["Id"], "cat", "/proc/1/status"), re.MULTILINE))
    bindings = (container["NetworkSettings"]["Ports"] or {}).values()
    ports = sorted({f"{one['HostIp']}:{one['HostPort']}" for of_one in bindings for one in of_one or ()})
    return [
        container["Config"]["Labels"]["com.docker.compose.service"],
        image,
        f"{size / 1e6:.0f} MB",
        status["Uid"],
        "none" if not int(status["CapEff"], 16) | int(status["CapBnd"], 16) else status["CapEff"],
        "read-only" if host["ReadonlyRootfs"] else "writable",
        f"{host['Memory'] / 2**20:.0f} MiB",
        str(host["PidsLimit"]),
        " ".join(ports) or "-",
    ]


def main() -> int:
    """The table on stdout; 1 and one line on stderr when there is nothing to show."""
    try:
        ids = docker("compose", *sys.argv[1:], "ps", "-q").split()
        if not ids:
            raise RuntimeError("no container of the fleet runs; start it with `docker compose up -d`")
        rows = sorted(row(container) for container in json.loads(docker("inspect", *ids)))
    except (RuntimeError, FileNotFoundError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"containers: {error}\n")
        return 1
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for cells in rows:
        table.add_row(*cells)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
