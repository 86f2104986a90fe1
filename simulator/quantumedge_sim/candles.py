"""Minute candles from a file: CSV or gzipped CSV, `timestamp,open,high,low,close,volume`, times in UTC.

The whole file is read and checked before anything trades, so a bad line is an error at the start, with its number.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO

from quantumedge_sim.instrument import Instrument

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
ROWS_MAX = 5_000_000
_GZIP = b"\x1f\x8b"


class CandlesError(ValueError):
    """The file cannot be read, or a line of it is no candle; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One minute of trading. Prices on the instrument's tick; `volume` in the quote currency."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def read_candles(path: Path, instrument: Instrument, limit: int | None = None) -> list[Candle]:
    """The candles of a file, at most the first `limit`, prices rounded to the tick. Raises `CandlesError`."""
    try:
        with _opened(path) as text:
            candles = _rows(path, text, instrument, min(limit or ROWS_MAX, ROWS_MAX))
    except (OSError, EOFError, zlib.error) as error:
        raise CandlesError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except UnicodeDecodeError as error:
        raise CandlesError(f"{path}: not UTF-8 text") from error
    if not candles:
        raise CandlesError(f"{path}: holds no candles")
    return candles


def _opened(path: Path) -> TextIO:
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _rows(path: Path, text: Iterable[str], instrument: Instrument, limit: int) -> list[Candle]:
    rows = csv.reader(text)
    header = next(rows, None)
    if header is None or tuple(name.strip().lower() for name in header) != COLUMNS:
        raise CandlesError(f"{path} line 1: the header must be {','.join(COLUMNS)}")
    candles: list[Candle] = []
    try:
        for fields in rows:
            if len(candles) == limit:
                break
            if fields:
                candles.append(_candle(fields, instrument, candles[-1] if candles else None))
    except (ValueError, csv.Error) as error:
        raise CandlesError(f"{path} line {rows.line_num}: {error}") from error
    return candles


def _candle(fields: list[str], instrument: Instrument, before: Candle | None) -> Candle:
    """One line. Raises ValueError with what is wrong."""
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} columns where {len(COLUMNS)} are expected")
    at = _moment(fields[0])
    if before is not None and at <= before.at:
        raise ValueError(f"{fields[0]} is not later than the line before")
    numbers = [_number(name, text) for name, text in zip(COLUMNS[1:], fields[1:], strict=True)]
    opened, high, low, close = (instrument.nearest(price) for price in numbers[:4])
    if low <= 0:
        raise ValueError(f"the low {fields[3]} is not a price on the tick of {instrument.tick}")
    if high < max(opened, close) or low > min(opened, close):
        raise ValueError("open and close do not lie between low and high")
    return Candle(at, opened, high, low, close, numbers[4])


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no timestamp like 2022-01-01 00:00:00") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _number(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation as error:
        raise ValueError(f"{name} {text!r} is no number") from error
    if not number.is_finite() or number < 0 or number.adjusted() > 14:
        raise ValueError(f"{name} {text!r} is out of range")
    return number
