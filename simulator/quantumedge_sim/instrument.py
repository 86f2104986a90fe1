"""What the simulated venue trades, and the grid its prices and quantities stand on."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from fleet_contracts import Side

_ONE = Decimal(1)
BPS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Instrument:
    """A linear contract of one unit. `tick` in currency, `lot` in units, fees in basis points of the notional.

    `leverage_max` is the venue's own margin rule, not the fleet's.
    """

    symbol: str
    tick: Decimal
    lot: Decimal
    maker_bps: Decimal
    taker_bps: Decimal
    leverage_max: Decimal
    first_price: Decimal
    """Where generated prices begin."""

    def nearest(self, price: Decimal) -> Decimal:
        """The tick nearest to a price."""
        return self._on_tick(price, ROUND_HALF_EVEN)

    def up(self, price: Decimal) -> Decimal:
        """The lowest tick that is not below a price."""
        return self._on_tick(price, ROUND_CEILING)

    def down(self, price: Decimal) -> Decimal:
        """The highest tick that is not above a price."""
        return self._on_tick(price, ROUND_FLOOR)

    def against(self, side: Side, price: Decimal) -> Decimal:
        """The tick that is worse for an order of this side."""
        return self.up(price) if side is Side.BUY else self.down(price)

    def lots(self, qty: Decimal) -> Decimal:
        """The largest quantity on the lot grid that is not above `qty`; zero when there is none."""
        if qty <= 0:
            return Decimal(0)
        return (qty / self.lot).to_integral_value(ROUND_FLOOR) * self.lot

    def _on_tick(self, price: Decimal, rounding: str) -> Decimal:
        if self.tick == _ONE:
            return price.quantize(_ONE, rounding)
        return (price / self.tick).to_integral_value(rounding) * self.tick


BTC_PERP = Instrument(
    symbol="BTC-PERP",
    tick=Decimal("0.5"),
    lot=Decimal("0.001"),
    maker_bps=Decimal(2),
    taker_bps=Decimal(5),
    leverage_max=Decimal(10),
    first_price=Decimal(43000),
)
