"""For bots that used to write trades, signals and equity to a database: the same three calls, dicts in, to the fleet."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from fleet_contracts import Event


class DualWrite(StrEnum):
    """Where rows go: the bus (and so QuestDB), a JSONL file, or both."""

    BOTH = "both"
    BUS = "bus"
    JSONL = "jsonl"


class Recorder(Protocol):
    """A `Bot` or a `SyncBot`."""

    def record(self, event_type: str, fields: Mapping[str, Any]) -> str: ...

    def event_line(self, event_type: str, fields: Mapping[str, Any]) -> tuple[Event, bytes]: ...


class TsdbWriter:
    """Rows as dicts with the columns of the tables `trades`, `signals`, `equity`; unknown columns are kept.

    `ts` (aware datetime or RFC 3339) and `event_id` are filled in; both ways carry the same line. Files are
    `<folder>/<table>-<day>.jsonl`, a new one each UTC day.
    """

    def __init__(self, bot: Recorder, dual_write: DualWrite | str = DualWrite.BUS, folder: Path | None = None) -> None:
        self._bot, self._where, self._folder = bot, DualWrite(dual_write), folder
        if self._where is not DualWrite.BUS:
            if folder is None:
                raise ValueError(f"dual_write {self._where} needs a folder for its files")
            folder.mkdir(parents=True, exist_ok=True)

    def log_trade(self, row: Mapping[str, Any]) -> str:
        """A closed round trip: `symbol side price qty pnl order_id position_id …`. Returns its event_id."""
        return self._log("TRADE", "trades", row)

    def log_signal(self, row: Mapping[str, Any]) -> str:
        """A signal: `symbol decision model_conf stance …`; `signal_id` is made up when absent."""
        return self._log("SIGNAL_CONTEXT", "signals", row)

    def log_equity(self, row: Mapping[str, Any]) -> str:
        """The account: `equity realized_pnl unrealized_pnl drawdown regime …`."""
        return self._log("EQUITY", "equity", row)

    def _log(self, event_type: str, table: str, row: Mapping[str, Any]) -> str:
        event, line = self._bot.event_line(event_type, row)
        assert event.event_id is not None
        if self._where is not DualWrite.JSONL:
            self._bot.record(event_type, {**event.__dict__, **(event.model_extra or {})})
        if self._where is not DualWrite.BUS:
            self._append(table, line)
        return event.event_id

    def _append(self, table: str, line: bytes) -> None:
        assert self._folder is not None
        path = self._folder / f"{table}-{datetime.now(UTC):%Y-%m-%d}.jsonl"
        with path.open("ab") as file:
            file.write(line + b"\n")
