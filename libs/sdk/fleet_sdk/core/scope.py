"""What a halt reaches: `account`, `bot:<id>` or `symbol:<name>`. An unknown scope is taken for the account."""

ACCOUNT = "account"
_BOT, _SYMBOL = "bot:", "symbol:"


def reaches(scope: str, bot: str, symbol: str | None = None) -> bool:
    """Whether a halt of this scope stops the bot; with a symbol, also whether it stops the bot's orders in it."""
    if scope.startswith(_BOT):
        return scope == _BOT + bot
    return not scope.startswith(_SYMBOL) or (symbol is not None and scope == _SYMBOL + symbol)
