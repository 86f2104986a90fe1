"""What came of a run, as text and as JSON. The same seed, candles and limits give the same bytes in virtual time.

Nothing in it depends on the machine, the speed or the moment: no wall time, no generated ids.
"""

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fleet_contracts import format_ts
from fleet_contracts.money import ZERO, plain
from quantumedge_sim.tally import Tally

_CENT = Decimal("0.01")
_PERCENT = Decimal("0.01")


def summary(tally: Tally, ran: Mapping[str, Any], position: Decimal, expectations: Mapping[str, bool]) -> dict[str, Any]:
    """The figures of a run. `ran`: bot, account, seed, source of the candles, profile, scenario."""
    first = tally.equity_first or ZERO
    return {
        **ran,
        "candles": tally.candles,
        "from": format_ts(tally.first_at) if tally.first_at else None,
        "to": format_ts(tally.last_at) if tally.last_at else None,
        "price": {
            name: plain(value)
            for name, value in (
                ("first", tally.price_first),
                ("last", tally.price_last),
                ("low", tally.price_low),
                ("high", tally.price_high),
            )
        },
        "orders": {
            "asked": tally.asked,
            "allowed": tally.allowed,
            "denied": sum(tally.denied.values()),
            "denied_by_reason": _sorted(tally.denied),
            "answered_locally": {"allowed": tally.local_allowed, "denied": _sorted(tally.local_denied)},
            "skipped_by_review": tally.skipped,
            "sent": tally.sent,
            "never_sent": tally.never_sent,
            "rejected_by_venue": _sorted(tally.rejected),
        },
        "fills": {
            "count": tally.fills,
            "maker": tally.maker_fills,
            "volume": _money(tally.volume),
            "fees": _money(tally.fees),
        },
        "trades": {
            "count": tally.trades,
            "wins": tally.wins,
            "win_rate": _share(Decimal(tally.wins) / tally.trades) if tally.trades else None,
            "pnl_net": _money(tally.trades_pnl),
            "closed_by": _sorted(tally.closed_by),
        },
        "account": {
            "equity_first": _money(first),
            "equity_last": _money(tally.equity_last),
            "pnl_net": _money(tally.equity_last - first),
            "max_drawdown": _money(tally.drawdown),
            "max_drawdown_share": _share(tally.drawdown_share),
            "open_position": plain(position),
        },
        "halts": [
            {"cause": halt.cause, "at": format_ts(halt.at), "equity": _money(halt.equity), "stage": halt.stage}
            for halt in tally.halts.values()
        ],
        "manual_close_needed": tally.manual_close_needed,
        "trading_state": tally.trading_state,
        "trading_state_since": format_ts(tally.trading_state_since) if tally.trading_state_since else None,
        "commands": _sorted(tally.commands),
        "expectations": dict(expectations),
    }


def as_json(figures: Mapping[str, Any]) -> str:
    """The figures as JSON, one key a line."""
    return json.dumps(figures, indent=2, ensure_ascii=False) + "\n"


def as_text(figures: Mapping[str, Any]) -> str:
    """The figures for a person."""
    orders, fills, trades, account = figures["orders"], figures["fills"], figures["trades"], figures["account"]
    lines = [
        f"QuantumEdge simulator — {figures['bot']} on {figures['account_id']}, seed {figures['seed']}, {figures['source']}",
        _row("candles", f"{figures['candles']:,}   {figures['from']} … {figures['to']}"),
        _row("price", "first {first}  last {last}  low {low}  high {high}".format(**figures["price"])),
        _row("orders asked", f"{orders['asked']:,}"),
        _row("  allowed", f"{orders['allowed']:,}"),
        _row("  denied", f"{orders['denied']:,}"),
        *(_row(f"    {reason}", f"{count:,}") for reason, count in orders["denied_by_reason"].items()),
        *_local(orders),
        _row("  rejected by venue", f"{sum(orders['rejected_by_venue'].values()):,}"),
        _row("fills", f"{fills['count']:,}   volume {fills['volume']}   fees {fills['fees']}"),
        _row("trades", f"{trades['count']:,}   won {trades['win_rate'] or '–'}   net {trades['pnl_net']}"),
        _row("equity", f"{account['equity_first']} → {account['equity_last']}   PnL net of fees {account['pnl_net']}"),
        _row("max drawdown", f"{account['max_drawdown']} ({account['max_drawdown_share']})"),
        _row("open position", account["open_position"]),
        _row("trading state", figures["trading_state"] or "never heard"),
        _row("halts", str(len(figures["halts"]))),
        *(
            _row(f"  {halt['cause']}", f"{halt['at']} at equity {halt['equity']}   {halt['stage'] or ''}".rstrip())
            for halt in figures["halts"]
        ),
    ]
    if figures["manual_close_needed"]:
        lines.append(_row("CLOSE BY HAND", f"{account['open_position']}: the bot did not do what it was told"))
    if figures["scenario"]:
        lines.append(_row("scenario", figures["scenario"]))
        lines += [_row(f"  {'met' if met else 'NOT MET'}", what) for what, met in figures["expectations"].items()]
    return "\n".join(lines) + "\n"


def _local(orders: Mapping[str, Any]) -> list[str]:
    """What the SDK answered by itself; nothing when it never did."""
    local = orders["answered_locally"]
    count = local["allowed"] + sum(local["denied"].values())
    if not count:
        return []
    said = [f"allowed {local['allowed']:,}", *(f"{reason} {count:,}" for reason, count in local["denied"].items())]
    return [_row("  answered locally", "   ".join(said))]


def _row(name: str, value: str) -> str:
    return f"  {name:<30} {value}"


def _money(amount: Decimal) -> str:
    return plain(amount.quantize(_CENT))


def _share(share: Decimal) -> str:
    return f"{plain((share * 100).quantize(_PERCENT))} %"


def _sorted(counts: Counter[str]) -> dict[str, int]:
    """Most frequent first, then by name: always the same order."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
