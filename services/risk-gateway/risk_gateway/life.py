"""Services and bots with the age of their newest heartbeat, for the status page."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet_contracts.envelope import format_ts
from risk_gateway.watch import Beat, Beats


def services_view(beats: Beats, now: datetime) -> list[dict[str, Any]]:
    """Every instance of a service that has been heard of since this process started."""
    return [_row(name, beat, now) for (name, _), beat in sorted(beats.services.items(), key=lambda item: item[0])]


def bots_view(beats: Beats, bots: Mapping[str, str], now: datetime) -> list[dict[str, Any]]:
    """Every configured bot (id → configured mode), heard of or not."""
    return [_row(name, beats.newest.get(name), now) | {"desired_mode": mode} for name, mode in sorted(bots.items())]


def _row(name: str, beat: Beat | None, now: datetime) -> dict[str, Any]:
    if beat is None:
        return {"name": name, "heartbeat_at": None, "heartbeat_age_s": None}
    event = beat.event
    return {
        "name": name,
        "instance": event.instance,
        "heartbeat_at": format_ts(beat.at),
        "heartbeat_age_s": round(max(0.0, (now - beat.at).total_seconds()), 3),
        "version": event.version,
        "mode": event.mode,
        "pid": event.pid,
    }
