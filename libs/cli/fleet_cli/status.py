"""`supervisor status`: every part with its pid, state, address and the age of its last heartbeat.

The process manager says what runs, the gateway whose heartbeats arrived, probes whether NATS and QuestDB answer. Each of
the three may be away: what the others know is shown all the same. In containers there is only the gateway.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import FleetStatus, is_managed, living_pid, read_status
from fleet_chassis.process_probe import Probe
from fleet_chassis.settings import FleetSettings
from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway
from fleet_cli.output import AS_TABLE, Column, Row, Show, age, say, show_rows
from fleet_cli.parts import nats_probe, questdb_probe
from fleet_cli.where import fleet_settings, how_to_start, is_elsewhere, port_told

GATEWAY_TIMEOUT_S = 2.0
LATE_S = 5.0
"""A heartbeat comes every second."""
_COLUMNS = (
    Column("part"),
    Column("state"),
    Column("pid", right=True),
    Column("address"),
    Column("since", lambda row: age(row["since_s"]), right=True),
    Column("heartbeat", lambda row: _alive(row), right=True),
    Column("restarts", right=True),
    Column("detail"),
)
_COLUMNS_ELSEWHERE = tuple(column for column in _COLUMNS if column.name in ("part", "state", "heartbeat"))


def status(*, show: Show = AS_TABLE) -> int:
    """Every part of the fleet. Exit code 0 when all are well, 3 when not, or when the fleet is not running."""
    settings = fleet_settings()
    home = settings.fleet_home
    managed = is_managed(home)
    if not managed and is_elsewhere():
        return _status_elsewhere(show)
    known = read_status(home) if managed else None
    view, trouble = _ask_gateway() if managed else ({}, None)
    answers = asyncio.run(_probe_all({"nats": nats_probe(settings), "questdb": questdb_probe(settings)})) if managed else {}
    rows = part_rows(known, heartbeats(view), answers, datetime.now(UTC)) if known else _remains(home)
    rows = [{**row, "address": row.get("address") or _address(settings, str(row["part"]))} for row in rows]
    state = known.state if known else ("starting" if managed else "stopped")
    document = {
        "home": str(home.root),
        "state": state,
        "manager_pid": known.manager_pid if known else None,
        "gateway": view or None,
        "parts": rows,
    }
    show_rows(show, rows, _COLUMNS, document)
    if show.format == "table":
        _say_summary(settings, state, view, trouble)
    return Exit.OK if state == "ready" and not trouble else Exit.UNHEALTHY


def _status_elsewhere(show: Show) -> int:
    """What the gateway says of a fleet whose parts are containers, or another machine's: nothing here manages them."""
    view, trouble = _ask_gateway()
    services, bots = ([one for one in view.get(kind) or () if isinstance(one, dict)] for kind in ("services", "bots"))
    seen = [(_part_of(one), one.get("heartbeat_age_s")) for one in services]
    seen += [(str(one.get("name")), one.get("heartbeat_age_s")) for one in bots]
    rows = [{"part": part, "state": _seen(age_s), "heartbeat_age_s": age_s} for part, age_s in seen]
    state = "ready" if services and all(row["state"] == "ready" for row in rows[: len(services)]) else "unready"
    show_rows(show, rows, _COLUMNS_ELSEWHERE, {"state": state, "gateway": view or None, "parts": rows})
    if show.format == "table":
        say(f"fleet {state}, as its gateway sees it" if view else f"the gateway does not answer: {trouble}")
        _say_accounts(view)
    return Exit.OK if state == "ready" else Exit.UNHEALTHY


def _seen(age_s: float | None) -> str:
    return "ready" if age_s is not None and age_s <= LATE_S else "away"


def part_rows(
    known: FleetStatus, beats: Mapping[str, float | None], answers: Mapping[str, tuple[float, str | None]], now: datetime
) -> Sequence[Row]:
    """One row a part; `beats` are ages of heartbeats, `answers` (seconds, what is missing) of probes."""
    rows = []
    for part in known.parts:
        row: dict[str, Any] = {"part": part.name, **asdict(part)}
        del row["name"]
        row["since_s"] = (now - datetime.fromisoformat(part.since)).total_seconds()
        row["heartbeat_age_s"] = beats.get(f"{part.name}-1", beats.get(part.name))
        answer_s, missing = answers.get(part.name, (None, None))
        row["probe_ms"] = round(answer_s * 1000, 1) if answer_s is not None and missing is None else None
        row["detail"] = part.detail or missing or ""
        rows.append(row)
    return rows


def heartbeats(view: Mapping[str, Any]) -> dict[str, float | None]:
    """Service, its instance, or bot → age of its last heartbeat in seconds, as the gateway's status says."""
    items = [item for item in (*(view.get("services") or ()), *(view.get("bots") or ())) if isinstance(item, dict)]
    return {
        str(item[field]): item.get("heartbeat_age_s") for item in items for field in ("name", "instance") if item.get(field)
    }


def _alive(row: Row) -> str:
    if row.get("heartbeat_age_s") is not None:
        return age(row["heartbeat_age_s"])
    return f"answers in {row['probe_ms']:.0f} ms" if row.get("probe_ms") is not None else ""


def _address(settings: FleetSettings, part: str) -> str | None:
    """Where a part on a free port listens, as it says itself."""
    port = port_told(settings.fleet_home, part)
    return f"http://{settings.host}:{port}" if port else None


def _ask_gateway() -> tuple[Mapping[str, Any], str | None]:
    try:
        with Gateway("viewer", timeout_s=GATEWAY_TIMEOUT_S) as gateway:
            return gateway.get("/status"), None
    except CliError as error:
        return {}, str(error)


async def _probe_all(probes: Mapping[str, Probe]) -> dict[str, tuple[float, str | None]]:
    async def timed(probe: Probe) -> tuple[float, str | None]:
        begun = time.monotonic()
        missing = await probe()
        return time.monotonic() - begun, missing

    return dict(zip(probes, await asyncio.gather(*map(timed, probes.values())), strict=True))


def _remains(home: FleetHome) -> Sequence[Row]:
    """What pid files say when no manager lives: normally nothing."""
    rows = []
    for path in sorted(home.run.glob("*.pid")) if home.run.is_dir() else ():
        pid = living_pid(home, path.stem)
        if pid is not None:
            rows.append(
                {"part": path.stem, "state": "left over", "pid": pid, "since_s": None, "detail": "supervisor down ends it"}
            )
    return rows


def _say_accounts(view: Mapping[str, Any]) -> None:
    for account in _accounts(view):
        more = f"{_halts(account)}{_leader(account)}{_coverage(account)}"
        say(f"account {account.get('account')}: {account.get('trading_state')}{more}")


def _part_of(service: Mapping[str, Any]) -> str:
    """The first instance of a service goes by the service's name, as its part does."""
    name, instance = str(service.get("name")), str(service.get("instance") or "")
    return instance if instance.startswith(f"{name}-") and instance != f"{name}-1" else name


def _say_summary(settings: FleetSettings, state: str, view: Mapping[str, Any], trouble: str | None) -> None:
    if state == "stopped":
        say(f"the fleet in {settings.fleet_home.root} is not running; {how_to_start()}")
        return
    say(f"fleet {state}, home {settings.fleet_home.root}")
    _say_accounts(view)
    if trouble:
        say(f"heartbeats are not known: {trouble}")


def _accounts(view: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [account for account in view.get("accounts") or () if isinstance(account, dict)]


def _leader(account: Mapping[str, Any]) -> str:
    """`, led by risk-gateway-2`."""
    instance = str(account.get("leader") or "").rpartition(".")[0]
    return f", led by {instance}" if instance else ""


def _halts(account: Mapping[str, Any]) -> str:
    halts = [halt for halt in account.get("halts") or () if isinstance(halt, dict)]
    causes = ", ".join(" ".join(filter(None, (_scoped(halt), halt.get("stage")))) for halt in halts)
    by_hand = "; a position has to be CLOSED BY HAND, see `supervisor halts`" if account.get("manual_close_needed") else ""
    return (f" ({causes})" if causes else "") + by_hand


def _scoped(halt: Mapping[str, Any]) -> str:
    scope = halt.get("scope", "account")
    return str(halt.get("cause")) + ("" if scope == "account" else f" of {scope}")


def _coverage(account: Mapping[str, Any]) -> str:
    """Of the day's fills, those of orders the gateway had allowed; empty before the first."""
    known = account.get("coverage")
    if not isinstance(known, dict) or not known.get("observed_fills"):
        return ""
    told = f", coverage {known.get('pct')} % of {known.get('observed_fills')} fills on {known.get('day')}"
    return told if not known.get("ungated_fills") else f"{told}: {known.get('ungated_fills')} UNGATED"
