"""The decision core in process: one decision against `json.loads` of its order, and how it grows."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fleet_contracts import Mark, Provenance, event_subject, parse, parse_order
from fleet_contracts.entry import Entry, Fact
from fleet_contracts.subjects import split_subject
from parts.trading import equity, setup
from risk_gateway.core.account import Account, Asked, NewDecision
from risk_gateway.decision_line import write
from risk_gateway.quick_order import quick_order

NOW = datetime.now(UTC)
VAST = 10**14
ORDER = (
    b'{"event_type":"ORDER_REQUEST","schema_version":1,"account":"main","source":"qe1","ts":"2026-01-05T10:00:00.123456Z",'
    b'"order_id":"qe1-%06d","strategy":"scalp","symbol":"%s","side":"BUY","order_type":"LIMIT","qty":"0.010","price":"43000.5",'
    b'"reduce_only":false,"time_in_force":"GTC","leverage":"3","reference_price":"43001"}'
)
BATCH = 300


EVERY_LIMIT: dict[str, Any] = {
    "order_rate": {"count": 10_000, "per_s": 60},
    "repeated_order": {"count": 10_000, "per_s": 60},
    "price_collar_pct": 100,
    "stale_price_s": 15,
    "stale_heartbeat_s": 10,
    "untrusted_equity_s": 900,
    "warn_pct": 60,
}
"""What may be off, switched on, and wide enough to deny nothing."""
MARK = Mark(event_type="MARK", symbol="BTC-PERP", bid=Decimal(43000), ask=Decimal(43001))


def led_account(symbols: int = 1, **more: Any) -> Account:
    """An account with vast limits, a base of the day, and this many symbols on its list."""
    vast: dict[str, Any] = {
        "max_open_orders": 10**9,
        "max_order_notional": VAST,
        "max_notional_per_symbol": VAST,
        "max_gross_exposure": VAST,
        "max_leverage": 10**9,
        "stale_equity_s": 86_400,
    }
    made = setup(**vast, **more)
    account = Account("main", made)
    account.beat_age_s = lambda _: 0.1
    seq = 0

    def fold(subject: str, body: bytes, leader: str | None = None) -> None:
        nonlocal seq
        seq += 1
        for line in parse(subject, body, Provenance("FLEET", seq, NOW)).lines:
            account.evolve(Entry(split_subject(subject), line.event, line.raw, seq, line.index, NOW, leader))

    def settle() -> None:
        for _ in range(10):
            for fact in account.owed(NOW):
                fold(event_subject("main", fact.event.event_type, "risk-gateway"), fact.line, "bench.1")

    settle()
    fold(*equity("10000"))
    settle()
    rules = account.state.rules
    assert rules is not None
    listed = {f"S{number}-PERP": made.risk.symbols["BTC-PERP"] for number in range(symbols - 2)}
    risk = made.risk.model_copy(update={"symbols": {**made.risk.symbols, **listed}})
    account.state.rules = replace(rules, risk=risk)  # more than fit into one RISK_LIMITS event
    return account


def asked(number: int, symbol: str = "BTC-PERP") -> Asked:
    order = parse_order(ORDER % (number, symbol.encode()), account="main", bot="qe1")
    return Asked(order, "qe1", "http", NOW, mark=MARK)


def opened(orders: int, symbols: int, **limits: Any) -> Account:
    """An account with this many open orders, spread over its symbols."""
    account = led_account(symbols, **limits)
    names = list(account.state.rules.risk.symbols)  # type: ignore[union-attr]
    for number in range(orders):
        judged = account.judge(asked(10**6 + number, names[number % len(names)]))
        assert isinstance(judged, NewDecision)
        account.hold(judged.fact)
        line = judged.fact.line
        subject = event_subject("main", "ORDER_DECISION", "risk-gateway")
        account.evolve(Entry(split_subject(subject), judged.fact, line, number + 10, 0, NOW, "bench.1"))
        account.drop(judged.fact)
    return account


def deciding(account: Account) -> Callable[[], None]:
    """Decide a batch of new orders, hold each, release it; nothing is written."""
    batch = [asked(number) for number in range(BATCH)]

    def run() -> None:
        for one in batch:
            judged = account.judge(one)
            fact = Fact(None, b"", one.order.order_id, event_type="ORDER_DECISION", told=judged)
            account.hold(fact)
            account.drop(fact)

    return run


def writing(account: Account) -> Callable[[], None]:
    """The whole way of an order through the gateway in process: read, decide, write, hold, release."""

    def run() -> None:
        for body in _BODIES:
            order = quick_order(body, "main", "qe1")
            assert order is not None
            fact = write(account.judge(Asked(order, "qe1", "http", NOW)))  # type: ignore[arg-type]
            account.hold(fact)
            account.drop(fact)

    return run


def loading() -> None:
    """`json.loads` of the same orders."""
    for body in _BODIES:
        json.loads(body)


_BODIES = [ORDER % (number, b"BTC-PERP") for number in range(BATCH)]


def timed(cases: Mapping[str, Callable[[], None]], rounds: int = 12) -> dict[str, float]:
    """µs of thread CPU per call: batches in turn, another case first each round, medians."""
    names = list(cases)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.thread_time_ns()
            cases[name]()
            found[name].append((time.thread_time_ns() - begun) / BATCH / 1000)
    return {name: median(values) for name, values in found.items()}


def measure() -> dict[str, float]:
    """Ratios of the core."""
    cases = {
        "loads": loading,
        "one": deciding(opened(1, 20)),
        "every": deciding(opened(1, 20, **EVERY_LIMIT)),
        "many": deciding(opened(1000, 20)),
        "wide": deciding(opened(1000, 1000)),
        "whole": writing(opened(1, 20)),
    }
    times = timed(cases)
    return {
        "core ÷ json.loads": times["one"] / times["loads"],
        "core, every limit on ÷ the required ones": times["every"] / times["one"],
        "core, order read and decision written ÷ json.loads": times["whole"] / times["loads"],
        "core, 1,000 open orders ÷ 1": times["many"] / times["one"],
        "core, 1,000 symbols ÷ 20": times["wide"] / times["many"],
    }


if __name__ == "__main__":
    for label, ratio in measure().items():
        print(f"{label:40} {ratio:6.2f}")
