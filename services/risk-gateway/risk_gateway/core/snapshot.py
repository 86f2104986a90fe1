"""The folded state as canonical bytes, and back. The same state always gives the same bytes (invariant 7)."""

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from fleet_contracts import (
    BotCommand,
    Halt,
    OrderRequest,
    RiskLimits,
    Side,
    TradingState,
    content_hash,
    encode,
)
from fleet_contracts.encode import encode_part
from fleet_contracts.money import plain
from risk_gateway.core.coverage import Coverage
from risk_gateway.core.equity import DayBase, EquityState
from risk_gateway.core.exposure import SymbolBook
from risk_gateway.core.kill_rows import dump_kill, load_kill
from risk_gateway.core.memory import FillMemory, Memory, Segment
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.reservations import count
from risk_gateway.core.rules import rules_of
from risk_gateway.core.state import Inquiry, OpenCommand, Placed, Question, Raising, State, Watched
from risk_gateway.core.throttling import dump_throttles, load_throttles

VERSION = 7
_PLAIN_FIELDS = (
    "leader",
    "manual_close_needed",
    "tripped",
    "breaches",
    "gated_fills",
    "ungated_fills",
    "unplaced_fills",
    "overfills",
    "decided",
)


@dataclass(frozen=True, slots=True)
class Dump:
    """A head, and segments that never change: full segments of ids, finished generations of fills."""

    head: bytes
    segments: Mapping[str, bytes]


class Parts(Protocol):
    """What `load` reads."""

    @property
    def head(self) -> bytes: ...

    @property
    def segments(self) -> Mapping[str, bytes]: ...


def dump(state: State) -> Dump:
    """Canonical bytes of the fold; the overlay is not part of it."""
    memory, fills = state.memory, state.fills
    open_generation = max(fills.generations, default=0)
    segments = {f"ids-{number}": segment.to_bytes() for number, segment in memory.segments.items() if number != memory.head} | {
        f"fills-{number}": _packed(keys) for number, keys in fills.generations.items() if number != open_generation
    }
    head = {
        "version": VERSION,
        "time": _moment(state.time),
        "virtual": _moment(state.virtual),
        "limits": _event(state.limits),
        "trading_state": state.trading_state,
        "books": {symbol: _book(book) for symbol, book in sorted(state.exposure.books.items())},
        "orders": [_order(order) for order in state.orders.values()],
        "equity": _equity(state.equity),
        "halts": [json.loads(encode_part(halt)) for halt in state.halts.values()],
        "resumed": list(state.resumed),
        "kills": {halt_id: dump_kill(kill) for halt_id, kill in state.kills.items()},
        "kill_order": list(state.kills),
        "shares": sorted([*key, plain(share)] for key, share in state.shares.items()),
        "questions": [[key[0], _event(question.request), _moment(question.at)] for key, question in state.questions.items()],
        "commands": [[_event(known.command), sorted(known.finished)] for known in state.commands.values()],
        "closed": [[*key, order.symbol, order.side, plain(order.filled), order.gated] for key, order in state.closed.items()],
        "inquiries": [
            [*key, known.times, _moment(known.since), _moment(known.until), known.answer, known.told]
            for key, known in state.inquiries.items()
        ],
        "doubts": {cause: since.isoformat() for cause, since in state.doubts.items()},
        "throttles": dump_throttles(state.throttles),
        "watched": {symbol: _row(watched) for symbol, watched in sorted(state.watched.items())},
        "coverage": _row(state.coverage),
        "raising": [[known.event_id, known.command, known.leader] for known in state.raising.values()],
        "ids": [[number, segment.newest] for number, segment in memory.segments.items()],
        "ids_head": memory.segments[memory.head].to_bytes().hex(),
        "fills": sorted(fills.generations),
        "fills_head": _packed(fills.generations.get(open_generation, set())).hex(),
        **{name: getattr(state, name) for name in _PLAIN_FIELDS},
    }
    return Dump(json.dumps(head, sort_keys=True, separators=(",", ":")).encode(), segments)


def load(parts: Parts) -> State:
    """The state a dump was made of. Raises ValueError for one this build cannot read."""
    try:
        head = json.loads(parts.head)
        if head["version"] != VERSION:
            raise ValueError(f"snapshot version {head['version']}")
        return _load(head, parts.segments)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a snapshot of this build: {error!r}") from error


def _load(head: dict[str, Any], segments: Mapping[str, bytes]) -> State:
    state = State(
        time=_when(head["time"]),
        virtual=_when(head["virtual"]),
        trading_state=TradingState(head["trading_state"]),
        equity=_equity_of(head["equity"]),
        resumed=dict.fromkeys(head["resumed"]),
        kills={halt_id: load_kill(head["kills"][halt_id]) for halt_id in head["kill_order"]},
        shares={(bot, symbol): Decimal(share) for bot, symbol, share in head["shares"]},
        **{name: head[name] for name in _PLAIN_FIELDS},
    )
    if head["limits"] is not None:
        state.limits = RiskLimits.model_validate(head["limits"])
        state.rules = rules_of(state.limits)
    for symbol, (contract, position, price) in head["books"].items():
        state.exposure.books[symbol] = SymbolBook(
            contract=Decimal(contract), position=Decimal(position), price=None if price is None else Decimal(price)
        )
        state.exposure.revalue(symbol)
    _load_orders(state, head["orders"])
    state.halts = {halt["halt_id"]: Halt.model_validate(halt) for halt in head["halts"]}
    for bot, request, at in head["questions"]:
        question = OrderRequest.model_validate(request)
        state.questions[bot, question.order_id, content_hash(question)] = Question(question, _moment_of(at))
    for command, finished in head["commands"]:
        known = BotCommand.model_validate(command)
        state.commands[known.command_id] = OpenCommand(known, set(finished))
    state.closed = {(row[0], row[1]): Placed(row[2], Side(row[3]), Decimal(row[4]), row[5]) for row in head["closed"]}
    state.inquiries = {
        (bot, order_id): Inquiry(times, _moment_of(since), _moment_of(until), *said)
        for bot, order_id, times, since, until, *said in head["inquiries"]
    }
    state.watched = {symbol: _watched_of(row) for symbol, row in head["watched"].items()}
    state.coverage = Coverage(**(head["coverage"] | {"told_at": _when(head["coverage"]["told_at"])}))
    state.raising = {row[0]: Raising(*row) for row in head["raising"]}
    state.doubts = {cause: _moment_of(since) for cause, since in head["doubts"].items()}
    state.throttles = load_throttles(head["throttles"])
    state.memory = _memory_of(head, segments)
    state.fills = _fills_of(head, segments)
    return state


def _memory_of(head: dict[str, Any], segments: Mapping[str, bytes]) -> Memory:
    last = head["ids"][-1][0]
    return Memory.restore(
        {
            number: Segment.from_bytes(bytes.fromhex(head["ids_head"]) if number == last else segments[f"ids-{number}"], newest)
            for number, newest in head["ids"]
        }
    )


def _fills_of(head: dict[str, Any], segments: Mapping[str, bytes]) -> FillMemory:
    last = head["fills"][-1] if head["fills"] else None
    return FillMemory(
        {
            number: _unpacked(bytes.fromhex(head["fills_head"]) if number == last else segments[f"fills-{number}"])
            for number in head["fills"]
        }
    )


def _packed(keys: set[int]) -> bytes:
    return array("Q", sorted(keys)).tobytes()


def _unpacked(content: bytes) -> set[int]:
    keys = array("Q")
    keys.frombytes(content)
    return set(keys)


def _book(book: SymbolBook) -> list[str | None]:
    return [plain(book.contract), plain(book.position), None if book.price is None else plain(book.price)]


def _order(order: LiveOrder) -> dict[str, Any]:
    row = {item.name: _plain(getattr(order, item.name)) for item in fields(order) if item.name not in _DERIVED}
    return row | {"after": order.older.order_id if order.older is not None else None}


_DERIVED = frozenset({"counted", "untouched", "older", "newer"})
_AMOUNTS = frozenset({"qty", "leaves", "opening", "unit", "price", "filled", "inherited"})
_TIMES = frozenset({"since", "valid_until"})


def _load_orders(state: State, rows: list[dict[str, Any]]) -> None:
    """Every live order, linked to the one it counts together with, and counted."""
    after = {}
    for row in rows:
        named = row.pop("after")
        order = _order_of(row)
        state.orders[order.bot, order.order_id] = order
        count(state, order, 1)
        if named is not None:
            after[order.bot, order.order_id] = (order.bot, named)
    for key, older in after.items():
        state.orders[key].older, state.orders[older].newer = state.orders[older], state.orders[key]
    for order in state.orders.values():
        state.exposure.recount(order)


def _order_of(row: dict[str, Any]) -> LiveOrder:
    for name in _AMOUNTS:
        row[name] = None if row[name] is None else Decimal(row[name])
    for name in _TIMES:
        row[name] = _moment_of(row[name])
    return LiveOrder(**(row | {"side": Side(row["side"])}))


def _row(values: Watched | Coverage) -> dict[str, Any]:
    return {item.name: _plain(getattr(values, item.name)) for item in fields(values)}


def _watched_of(row: dict[str, Any]) -> Watched:
    for name in ("reported", "price"):
        row[name] = None if row[name] is None else Decimal(row[name])
    for name in ("observed_at", "moved_at", "differs_since", "stands_since"):
        row[name] = _when(row[name])
    return Watched(**row)


def _equity(equity: EquityState) -> dict[str, Any]:
    row = {item.name: _plain(getattr(equity, item.name)) for item in fields(equity)}
    for name in ("base", "next_base"):
        base: DayBase | None = getattr(equity, name)
        row[name] = (
            None
            if base is None
            else [
                base.day,
                plain(base.amount),
                plain(base.deposits),
                base.event,
                _plain(base.balance),
            ]
        )
    return row


def _equity_of(row: dict[str, Any]) -> EquityState:
    for name in ("equity", "balance", "deposits", "trusted_equity", "trusted_balance", "trusted_deposits", "high"):
        row[name] = None if row[name] is None else Decimal(row[name])
    row["observed_at"] = _when(row["observed_at"])
    for name in ("base", "next_base"):
        if row[name] is not None:
            day, amount, deposits, event, balance = row[name]
            kept = None if balance is None else Decimal(balance)
            row[name] = DayBase(day, Decimal(amount), Decimal(deposits), event, kept)
    return EquityState(**row)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return _moment(value) if isinstance(value, datetime) else value


def _event(event: RiskLimits | OrderRequest | BotCommand | None) -> Any:
    return None if event is None else json.loads(encode(event))


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
