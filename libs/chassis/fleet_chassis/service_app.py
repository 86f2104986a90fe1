"""The frame of every service: settings, logs, signals, a group of tasks. One task's crash ends the process.

Crash, don't limp: the process manager starts it again, and the fold is the repair.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any

import uvloop
from nats.aio.client import Client
from nats.errors import Error as NatsError

from fleet_chassis.clock import wall_clock
from fleet_chassis.config import ConfigError
from fleet_chassis.http_app import PortTaken
from fleet_chassis.json_logs import log_as_json
from fleet_chassis.settings import FleetSettings, UnknownSetting
from fleet_contracts import FLEET_ACCOUNT, Heartbeat, encode, event_subject

VERSION = "0.1.0"
HEARTBEAT_S = 1.0
EXIT_LOST = 70
_log = logging.getLogger(__name__)

Service = Callable[[FleetSettings], Awaitable[None]]


def run_service(name: str, service: Service) -> None:
    """Run a service until SIGTERM or SIGINT. Exit codes: 0 stopped, 1 crashed, 2 unusable configuration."""
    try:
        settings = FleetSettings.from_environment()
        log_as_json(name, settings.log_level)
        uvloop.run(_until_stopped(service(settings)))
    except (ConfigError, UnknownSetting, PortTaken) as error:
        sys.exit(_say(name, str(error)))
    except BaseExceptionGroup as group:
        known, rest = group.split((ConfigError, PortTaken))
        if known is not None and rest is None:
            sys.exit(_say(name, str(_leaf(known))))
        _log.critical("%s crashed", name, exc_info=group)
        sys.exit(1)


def _say(name: str, what: str) -> int:
    _log.critical("%s", what)
    sys.stderr.write(f"{name}: {what}\n")
    return 2


def _leaf(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _until_stopped(work: Awaitable[None]) -> None:
    """Run `work`; SIGTERM and SIGINT cancel it, and that is a clean end."""
    task = asyncio.ensure_future(work)
    stopping = False

    def stop() -> None:
        nonlocal stopping
        stopping = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise


def lost_connection() -> None:
    """NATS is closed for good: only a new process helps."""
    os._exit(EXIT_LOST)


async def beat(client: Client, service: str, instance: str) -> None:
    """Publish the service's HEARTBEAT every second, for ever; beats while NATS is away are not sent later."""
    started = time.monotonic()
    subject = event_subject(FLEET_ACCOUNT, "HEARTBEAT", service)
    loop = asyncio.get_running_loop()
    seq, due = 0, loop.time()
    while True:
        seq += 1
        due += HEARTBEAT_S
        lag_ms = max(0.0, (loop.time() - due + HEARTBEAT_S) * 1000)
        event = Heartbeat(
            event_type="HEARTBEAT",
            account=FLEET_ACCOUNT,
            source=service,
            ts=_now(),
            event_id=f"{instance}-{os.getpid()}-{seq}",
            instance=instance,
            uptime_s=round(time.monotonic() - started, 3),
            loop_lag_ms=round(lag_ms, 3),
            version=VERSION,
            pid=os.getpid(),
            seq=seq,
        )
        if client.is_connected:
            try:
                await client.publish(subject, encode(event))
            except NatsError as error:
                _log.info("a heartbeat was not sent (%s)", error)
        await asyncio.sleep(max(0.0, due - loop.time()))


def _now() -> datetime:
    return wall_clock()


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all of it until one ends or fails; then the rest is cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for one in work:
            tasks.create_task(one)
