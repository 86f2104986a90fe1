"""The simulated venue: prices, fills and the account are those of a plausible venue, and the same for the same seed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import OrderStatus, OrderType, Side
from quantumedge_sim.candles import Candle, CandlesError, read_candles
from quantumedge_sim.exchange import Exchange
from quantumedge_sim.instrument import BTC_PERP
from quantumedge_sim.prices import MINUTE, PriceProcess
from quantumedge_sim.venue_order import VenueOrder

AT = datetime(2022, 1, 1, tzinfo=UTC)
HEADER = "timestamp,open,high,low,close,volume\n"


def candle(number: int, low: str, high: str, close: str | None = None, volume: str = "900000") -> Candle:
    middle = (Decimal(low) + Decimal(high)) / 2
    opened = BTC_PERP.nearest(middle)
    return Candle(AT + number * MINUTE, opened, Decimal(high), Decimal(low), Decimal(close or opened), Decimal(volume))


def order(
    order_id: str = "o1", side: Side = Side.BUY, qty: str = "0.010", price: str | None = "40000", **more: object
) -> VenueOrder:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    fields = {"order_type": kind, "price": None if price is None else Decimal(price)} | more
    return VenueOrder(order_id, "BTC-PERP", side, qty=Decimal(qty), **fields)  # type: ignore[arg-type]


@pytest.fixture
def venue() -> Exchange:
    venue = Exchange(BTC_PERP, 7, Decimal(10_000), lambda: AT)
    venue.on_candle(candle(0, "39990", "40010"))
    return venue


def statuses(venue: Exchange) -> list[OrderStatus]:
    return [report.status for report in venue.unsent]


class TestPrices:
    def test_the_same_seed_is_the_same_history_and_another_is_another(self) -> None:
        histories = [list(islice(PriceProcess(seed, BTC_PERP), 500)) for seed in (7, 7, 8)]
        assert histories[0] == histories[1]
        assert histories[0] != histories[2]

    def test_a_process_goes_on_where_it_was_saved(self) -> None:
        one, other = PriceProcess(7, BTC_PERP), PriceProcess(7, BTC_PERP)
        whole = [one.take() for _ in range(100)]
        first = [other.take() for _ in range(40)]
        saved = json.loads(json.dumps(other.dump()))
        rest = PriceProcess.load(7, BTC_PERP, saved)
        assert first + [rest.take() for _ in range(60)] == whole

    def test_all_regimes_come_and_every_candle_is_one(self) -> None:
        process = PriceProcess(3, BTC_PERP)
        regimes = set()
        for found in islice(process, 5_000):
            regimes.add(process.state.regime)
            assert 0 < found.low <= min(found.open, found.close) <= max(found.open, found.close) <= found.high
            assert not found.close % BTC_PERP.tick
        assert len(regimes) == 4


class TestFills:
    def test_an_order_meets_no_price_older_than_itself(self, venue: Exchange) -> None:
        venue.submit(order(price=None))
        assert statuses(venue) == [OrderStatus.WORKING]
        venue.on_candle(candle(1, "40090", "40110"))
        fill = venue.unsent[1]
        assert fill.last_price is not None
        assert fill.last_price >= Decimal(40100), "bought at the open of its own candle, plus slippage"

    def test_a_market_order_slips_against_itself_and_pays_the_takers_fee(self, venue: Exchange) -> None:
        venue.submit(order(price=None))
        venue.on_candle(candle(1, "39950", "40050"))
        fills = [report for report in venue.unsent if report.fill_id]
        assert all(report.slippage_bps > 0 and report.liquidity == "taker" for report in fills)
        for report in fills:
            assert report.fee == report.last_qty * report.last_price * Decimal("0.0005")

    def test_a_resting_order_fills_at_its_own_price_and_pays_the_makers_fee(self, venue: Exchange) -> None:
        venue.submit(order(price="39900"))
        venue.on_candle(candle(1, "39950", "40050"))
        assert statuses(venue) == [OrderStatus.WORKING]
        venue.on_candle(candle(2, "39850", "39950"))
        fills = [report for report in venue.unsent if report.fill_id]
        assert {report.last_price for report in fills} == {Decimal(39900)}
        assert all(report.liquidity == "maker" for report in fills)
        assert venue.position() == Decimal("0.010")

    def test_a_large_order_fills_in_parts_as_the_volume_comes(self, venue: Exchange) -> None:
        venue.submit(order(qty="1.000", price="40500"))
        for number in range(1, 40):
            venue.on_candle(candle(number, "39950", "40050", volume="100000"))
        found = statuses(venue)
        assert found.count(OrderStatus.PARTIALLY_FILLED) > 1
        assert found[-1] is OrderStatus.FILLED
        filled = [report.filled_qty for report in venue.unsent]
        assert filled == sorted(filled)
        assert len({report.fill_id for report in venue.unsent if report.fill_id}) == len(filled) - 1

    @given(st.integers(0, 10_000), st.sampled_from(list(Side)), st.integers(-200, 200))
    def test_no_fill_is_worse_than_the_orders_price(self, seed: int, side: Side, away: int) -> None:
        venue = Exchange(BTC_PERP, seed, Decimal(10_000), lambda: AT)
        limit = Decimal(40_000 + away)
        venue.on_candle(candle(0, "39990", "40010"))
        venue.submit(order(side=side, price=str(limit), qty="0.200"))
        for number, found in enumerate(islice(PriceProcess(seed, BTC_PERP), 5), start=1):
            shift = Decimal(40_000) - found.open
            moved = [price + shift for price in (found.open, found.high, found.low, found.close)]
            venue.on_candle(Candle(AT + number * MINUTE, *moved, found.volume))
        for report in venue.unsent:
            if report.last_price is not None:
                assert report.last_price <= limit if side is Side.BUY else report.last_price >= limit

    def test_a_stop_sleeps_until_its_price_and_then_takes(self, venue: Exchange) -> None:
        venue.submit(order(price=None))
        venue.on_candle(candle(1, "39990", "40010"))
        stop = {"order_type": OrderType.STOP_MARKET, "stop_price": Decimal(39500), "reduce_only": True}
        venue.submit(order("o2", Side.SELL, price=None, **stop))
        venue.on_candle(candle(2, "39600", "40000"))
        assert venue.position() == Decimal("0.010")
        venue.on_candle(candle(3, "39300", "39700"))
        assert venue.position() == 0

    def test_a_reduce_only_order_never_turns_a_position_around(self, venue: Exchange) -> None:
        venue.submit(order(price=None))
        venue.on_candle(candle(1, "39990", "40010"))
        venue.submit(order("o2", Side.SELL, qty="0.050", price=None, reduce_only=True))
        venue.on_candle(candle(2, "39990", "40010"))
        assert venue.position() == 0
        assert statuses(venue)[-1] is OrderStatus.CANCELLED


@pytest.mark.parametrize(
    ("made", "detail"),
    [
        (lambda: order(qty="0.0005"), "QTY_NOT_ON_LOT"),
        (lambda: order(price="40000.3"), "PRICE_NOT_ON_TICK"),
        (lambda: order(qty="10"), "INSUFFICIENT_MARGIN"),
        (lambda: order(reduce_only=True), "REDUCE_ONLY_NOTHING_TO_REDUCE"),
        (lambda: order(price="41000", time_in_force="GTX"), "POST_ONLY_WOULD_TAKE"),
    ],
)
def test_the_venue_rejects_what_it_cannot_take(venue: Exchange, made: Callable[[], VenueOrder], detail: str) -> None:
    venue.submit(made())
    assert [(report.status, report.detail) for report in venue.unsent] == [(OrderStatus.REJECTED, detail)]


def test_an_order_id_is_used_once(venue: Exchange) -> None:
    venue.submit(order())
    with pytest.raises(ValueError, match="was used before"):
        venue.submit(order())


def test_the_venue_goes_on_after_a_restart_of_the_bot_as_if_nothing_had_been(venue: Exchange) -> None:
    venue.submit(order(qty="0.300", price="40500"))
    venue.on_candle(candle(1, "39950", "40050", volume="100000"))
    again = Exchange(BTC_PERP, 7, Decimal(10_000), lambda: AT)
    again.load(json.loads(json.dumps(venue.dump(), default=str)))
    again.last = venue.last
    for number in range(2, 6):
        venue.on_candle(candle(number, "39950", "40050", volume="100000"))
        again.on_candle(candle(number, "39950", "40050", volume="100000"))
    assert again.dump() == venue.dump()


class TestCandleFiles:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "line 1: the header must be timestamp,open"),
            (HEADER, "holds no candles"),
            (HEADER + "2022-01-01,1,2\n", "line 2: 3 columns where 6 are expected"),
            (HEADER + "yesterday,1,2,1,2,5\n", "line 2: 'yesterday' is no timestamp"),
            (HEADER + "2022-01-01 00:00:00,nan,2,1,2,5\n", "line 2: open 'nan' is out of range"),
            (HEADER + "2022-01-01 00:00:00,9,2,1,2,5\n", "line 2: open and close do not lie between low and high"),
            (
                HEADER + "2022-01-01 00:01:00,1,2,1,2,5\n2022-01-01 00:01:00,1,2,1,2,5\n",
                "line 3: 2022-01-01 00:01:00 is not later",
            ),
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path: Path, text: str, told: str) -> None:
        file = tmp_path / "candles.csv"
        file.write_text(text)
        with pytest.raises(CandlesError, match=told):
            read_candles(file, BTC_PERP)

    def test_a_damaged_archive_is_an_error_and_no_crash(self, tmp_path: Path) -> None:
        file = tmp_path / "candles.csv.gz"
        file.write_bytes(b"\x1f\x8b\x08\x00broken")
        with pytest.raises(CandlesError, match=r"candles\.csv\.gz"):
            read_candles(file, BTC_PERP)

    def test_candles_are_read_on_the_tick_and_up_to_the_limit(self, tmp_path: Path) -> None:
        file = tmp_path / "candles.csv"
        file.write_text(HEADER + "2022-01-01 00:00:00,40000.3,40001,39999.9,40000.6,7\n2022-01-01 00:01:00,1,2,1,2,5\n")
        (found,) = read_candles(file, BTC_PERP, limit=1)
        assert found == Candle(AT, Decimal("40000.5"), Decimal("40001.0"), Decimal("40000.0"), Decimal("40000.5"), Decimal(7))
