"""What a person has to hear of, as ANOMALY facts: each once. What was told is folded, so a restart does not repeat it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fleet_contracts import Anomaly, Fact, derived_id, encode
from fleet_contracts.envelope import format_ts
from fleet_contracts.money import WHOLE, ZERO, plain, tidy
from risk_gateway.core.asking import ASKED_MAX
from risk_gateway.core.coverage import HUNDRED
from risk_gateway.core.drift import drifts
from risk_gateway.core.state import SERVICE, State

DRIFT, COVERAGE, UNANSWERED = "POSITION_DRIFT", "COVERAGE", "ORDER_UNANSWERED"
COVERAGE_EVERY = timedelta(seconds=60)
"""More ungated fills are told of at most so often."""
_TOO_LARGE = Decimal(10) ** WHOLE


def due_alarms(state: State, account: str, now: datetime) -> list[Fact]:
    """Drifts that block entries, fills nobody had allowed, orders that stay unanswered, as far as they are not told yet."""
    return [*_drifts(state, account, now), *_coverage(state, account, now), *_unanswered(state, account, now)]


def fold_alarm(state: State, event: Anomaly) -> None:
    """An alarm of the gateway's own is told."""
    about = event.evidence
    if not isinstance(about, Mapping):
        return
    match event.kind:
        case "POSITION_DRIFT":
            watched = state.watched.get(about["symbol"])
            if watched is not None and watched.stands_since is not None:
                watched.told = format_ts(watched.stands_since) == about["since"]
        case "COVERAGE":
            if about["day"] == state.coverage.day:
                state.coverage.told, state.coverage.told_at = about["ungated_fills"], event.ts
        case "ORDER_UNANSWERED":
            key = (about["bot"], about["order_id"])
            if key in state.inquiries:
                state.inquiries[key] = replace(state.inquiries[key], told=True)


def _drifts(state: State, account: str, now: datetime) -> Iterator[Fact]:
    limits = state.rules.risk.limits if state.rules is not None else None
    for symbol, drift in drifts(state).items():
        if state.watched[symbol].told:
            continue
        since = format_ts(drift.since)
        about = {"symbol": symbol, "by_fills": plain(tidy(drift.qty)), "reported": plain(tidy(drift.reported)), "since": since}
        bound = limits.position_drift_qty if limits is not None else None
        yield _alarm(account, now, DRIFT, f"{symbol}/{since}", drift.reported - drift.qty, bound, about)


def _coverage(state: State, account: str, now: datetime) -> Iterator[Fact]:
    known = state.coverage
    if known.ungated > known.told and (known.told_at is None or now >= known.told_at + COVERAGE_EVERY):
        about = {"day": known.day, "gated_fills": known.gated, "ungated_fills": known.ungated}
        yield _alarm(account, now, COVERAGE, f"{known.day}/{known.ungated}", known.pct, HUNDRED, about)


def _unanswered(state: State, account: str, now: datetime) -> Iterator[Fact]:
    for (bot, order_id), asked in state.inquiries.items():
        if asked.times < ASKED_MAX or asked.told:
            continue
        since = format_ts(asked.since)
        about = {"bot": bot, "order_id": order_id, "asked_since": since, "bot_said": asked.answer or None}
        times = Decimal(asked.times)
        yield _alarm(account, now, UNANSWERED, f"{bot}/{order_id}/{since}", times, Decimal(ASKED_MAX), about)


def _alarm(
    account: str, now: datetime, kind: str, mark: str, value: Decimal, threshold: Decimal | None, about: dict[str, Any]
) -> Fact:
    event_id = derived_id(account, SERVICE, mark, "ANOMALY", kind)
    event = Anomaly(
        event_type="ANOMALY",
        account=account,
        source=SERVICE,
        ts=now,
        event_id=event_id,
        kind=kind,
        value=tidy(value) if abs(value) < _TOO_LARGE else None,
        threshold=threshold if threshold is not None else ZERO,
        evidence=about,
    )
    return Fact(event, encode(event), event_id)
