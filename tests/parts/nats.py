"""Real NATS servers for tests: one, or a cluster of three, on free ports in a folder of their own."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from fleet_chassis.fleet_init import ProvisionError, provision
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import LogUnavailable
from fleet_chassis.nats_client import Client
from fleet_chassis.nats_config import ADMIN, OPERATOR, Cluster, ServerSettings, Users, server_config
from fleet_chassis.nats_connection import connected
from fleet_chassis.nats_server import nats_command
from fleet_chassis.nkeys_store import make_seed, public_key

SERVICES = ("risk-gateway", "ingest")
BOTS = {"qe1": ["main"], "qe2": ["main"]}
FLEET_BYTES_MAX = 100 * 1024**2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NatsServer:
    """One server process, which can be killed, frozen and started again on its data."""

    def __init__(self, folder: Path, settings: ServerSettings, users: Users) -> None:
        self.settings = settings
        self.url = f"nats://127.0.0.1:{settings.port}"
        self._config = folder / f"{settings.name}.conf"
        self._config.write_text(server_config(settings, users))
        self._output = folder / f"{settings.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(nats_command(self._config), stdout=output, stderr=output)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP, and wait until it has stopped."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


class Nats:
    """One or more servers of one store of keys."""

    def __init__(self, folder: Path, size: int = 1, *, sync: str = "10s") -> None:
        self.seeds = folder / "seeds"
        self.seeds.mkdir(parents=True)
        names = (ADMIN, OPERATOR, *SERVICES, *BOTS)
        for name in names:
            make_seed(self.seed(name))
        users = Users(SERVICES, BOTS, {name: public_key(self.seed(name)) for name in names})
        routes = [f"127.0.0.1:{free_port()}" for _ in range(size)]
        self.servers = []
        for number, route in enumerate(routes, 1):
            cluster = Cluster("test", int(route.rpartition(":")[2]), routes) if size > 1 else None
            store = folder / f"n{number}"
            settings = ServerSettings(f"n{number}", "127.0.0.1", free_port(), free_port(), store, sync, cluster=cluster)
            self.servers.append(NatsServer(folder, settings, users))
        self.replicas = size

    @property
    def url(self) -> str:
        return ",".join(server.url for server in self.servers)

    @property
    def server(self) -> NatsServer:
        return self.servers[0]

    def seed(self, user: str) -> Path:
        return self.seeds / f"{user}.nk"

    @asynccontextmanager
    async def connect(
        self, user: str, server: NatsServer | None = None, *, on_lost: Callable[[], None] | None = None
    ) -> AsyncIterator[Client]:
        """As `user`, to any server or to that one."""
        url = self.url if server is None else server.url
        async with connected(url, user, self.seed(user), on_lost=on_lost) as client:
            yield client

    async def provision(self, fleet_bytes_max: int = FLEET_BYTES_MAX) -> None:
        """What fleet-init does; a fresh cluster needs some seconds to elect."""
        async with asyncio.timeout(60), self.connect(ADMIN) as client:
            while True:
                try:
                    await provision(client, replicas=self.replicas, fleet_bytes_max=fleet_bytes_max)
                    return
                except (LogUnavailable, ProvisionError) as error:
                    if self.replicas == 1 and isinstance(error, ProvisionError):
                        raise
                    await asyncio.sleep(0.3)

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


@asynccontextmanager
async def running(folder: Path, size: int = 1, *, sync: str = "10s", fleet_bytes_max: int | None = None) -> AsyncIterator[Nats]:
    """Servers that are up and provisioned; killed at the end."""
    nats = Nats(folder, size, sync=sync)
    try:
        for server in nats.servers:
            server.start()
        if fleet_bytes_max is None:
            await nats.provision()
        else:
            await nats.provision(fleet_bytes_max)
        yield nats
    finally:
        nats.stop()


@contextmanager
def started(folder: Path, size: int = 1) -> Iterator[Nats]:
    """`running` for fixtures that outlive an event loop."""
    nats = Nats(folder, size)
    try:
        for server in nats.servers:
            server.start()
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, nats.provision()).result()
        yield nats
    finally:
        nats.stop()


@asynccontextmanager
async def logs(nats: Nats, user: str, streams: Sequence[str] = ("FLEET",)) -> AsyncIterator[list[JetStreamLog]]:
    """Opened logs of some streams as one user."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(nats.connect(user))
        opened = []
        for stream in streams:
            log = JetStreamLog(client, stream)
            await log.open()
            opened.append(log)
        yield opened
