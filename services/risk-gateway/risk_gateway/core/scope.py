"""What a halt reaches: the whole account, one bot, or one symbol; and whether nothing is open there any more."""

from fleet_contracts.money import ZERO
from risk_gateway.core.state import State

ACCOUNT = "account"
_BOT, _SYMBOL = "bot:", "symbol:"


def scope_of(bot: str | None = None, symbol: str | None = None) -> str:
    """The scope of one bot, of one symbol, or of the account."""
    if bot is not None:
        return _BOT + bot
    return ACCOUNT if symbol is None else _SYMBOL + symbol


def bot_in(scope: str) -> str | None:
    """The bot a scope names."""
    return scope.removeprefix(_BOT) if scope.startswith(_BOT) else None


def symbol_in(scope: str) -> str | None:
    """The symbol a scope names."""
    return scope.removeprefix(_SYMBOL) if scope.startswith(_SYMBOL) else None


def whole(scope: str) -> bool:
    """The account is meant: also by a scope this build does not know, for a halt must never reach too little."""
    return not scope.startswith((_BOT, _SYMBOL))


def concerns(scope: str, bot: str, symbol: str) -> bool:
    """Whether an order of this bot in this symbol lies in the scope."""
    return whole(scope) or scope in (_BOT + bot, _SYMBOL + symbol)


def open_in(state: State, scope: str) -> list[str]:
    """What is still open in a scope, by symbol and order id, as a person reads it; empty when it is flat.

    Positions are netted over bots (WIRE), so a bot's share counts only where the account still holds something.
    """
    books = state.exposure.books
    held = {symbol: book.position for symbol, book in books.items() if book.position}
    bot, symbol = bot_in(scope), symbol_in(scope)
    if bot is not None:
        held = {name: share for (owner, name), share in state.shares.items() if owner == bot and name in held}
    elif symbol is not None:
        held = {symbol: held[symbol]} if symbol in held else {}
    positions = [f"position {name}" for name, qty in sorted(held.items()) if qty != ZERO]
    return positions + [
        f"order {order.order_id}"
        for order in state.orders.values()
        if (bot is None or order.bot == bot) and (symbol is None or order.symbol == symbol)
    ]


def is_flat(state: State, scope: str) -> bool:
    """No position, and no live order that could make one."""
    return not open_in(state, scope)
