"""Where a run's candles come from: a file or the price process, from where the last run stopped, moved by the scenario."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from quantumedge_sim.candles import Candle, read_candles
from quantumedge_sim.instrument import Instrument
from quantumedge_sim.options import Options
from quantumedge_sim.prices import PriceProcess
from quantumedge_sim.scenarios import moved


class Market:
    """The candles of one run. Raises `CandlesError` when the file cannot be used or is too short."""

    def __init__(self, options: Options, instrument: Instrument, warm_up: int, before: Mapping[str, Any] | None) -> None:
        self._warm_up, self._options, self._instrument = warm_up, options, instrument
        self._process: PriceProcess | None = None
        self._file: list[Candle] = []
        self._number = 0
        if options.candles is not None:
            self._file = read_candles(options.candles, instrument)
            self._number = self._begin(before)
        else:
            self._process = self._go_on(before)

    @property
    def first(self) -> Candle:
        """The first candle there is."""
        return self._file[self._number] if self._file else PriceProcess(self._options.seed, self._instrument).take()

    @property
    def count(self) -> int | None:
        """How many candles will be traded, the warm-up not counted; None: it does not end by itself."""
        limit = self._options.limit
        if self._process is not None:
            return limit
        there = max(0, len(self._file) - self._number - self._warm_up)
        return there if limit is None else min(limit, there)

    def __iter__(self) -> Iterator[Candle]:
        scenario = self._options.scenario
        moves = scenario.moves if scenario is not None else ()
        count = self.count
        source = self._counted()
        limited = source if count is None else islice(source, count + self._warm_up)
        return moved(limited, moves, self._instrument, self._warm_up) if moves else limited

    def dump(self) -> dict[str, Any]:
        """Where the next run goes on, as plain JSON values."""
        if self._process is not None:
            return {"seed": self._options.seed, "process": self._process.dump()}
        return {"file": str(self._options.candles), "number": self._number}

    def _counted(self) -> Iterator[Candle]:
        if self._process is not None:
            yield from self._process
        for candle in islice(self._file, self._number, None):
            self._number += 1
            yield candle

    def _begin(self, before: Mapping[str, Any] | None) -> int:
        """Go on in the same file, unless too little of it is left."""
        if before is None or before.get("file") != str(self._options.candles):
            return 0
        number = int(before["number"])
        return number if len(self._file) - number > 2 * self._warm_up else 0

    def _go_on(self, before: Mapping[str, Any] | None) -> PriceProcess:
        seed = self._options.seed
        if before is None or before.get("seed") != seed:
            return PriceProcess(seed, self._instrument)
        return PriceProcess.load(seed, self._instrument, before["process"])
