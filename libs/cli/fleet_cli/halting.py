"""`supervisor halt` and `supervisor resume`. Stopping is easy and has a second way; resuming takes a typed phrase."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from cyclopts import Parameter

from fleet_cli.asking import Why, check_reason, confirm, confirm_typed
from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway, Json
from fleet_cli.latch import can_latch, write_latch
from fleet_cli.output import say
from fleet_cli.positions import Account

_HALTING = frozenset({"max_daily_loss", "max_drawdown"})
_AWAY = frozenset({Exit.UNHEALTHY, Exit.TIMEOUT})


def halt(*, why: Why, account: Account = "main") -> None:
    """Stop an account at once: no order that adds risk is allowed until `resume`; reductions stay allowed.

    When the gateway of this machine cannot be reached, a latch file stops the bots that look at this home; the gateway
    records it when it is back.
    """
    confirm(f"Halt account {account}?", why)
    try:
        with Gateway("operator") as gateway:
            answer = gateway.post("/halt", {"reason": why.reason}, account=account)
    except CliError as error:
        if error.code not in _AWAY or not can_latch(account):
            raise
        path = write_latch(account)
        say(f"{error}. Wrote the latch file {path}: bots that look at this home stop now, the gateway will record it")
        return
    halted = answer["halt"]
    recorded = "recorded" if halted.get("recorded") else "in force, not yet recorded in the log"
    say(f"account {account} is {answer['trading_state']}: halt {halted['halt_id']} by {halted.get('by')}, {recorded}")


def resume(
    *,
    reason: Annotated[str, Parameter(help="why; kept in the record")],
    account: Account = "main",
    phrase: Annotated[str | None, Parameter(help="`resume <account>`, for scripts; else it is asked for")] = None,
    halt_id: Annotated[list[str] | None, Parameter(help="lift only this halt (may be given several times)")] = None,
) -> None:
    """Lift the halts of an account. A limit that is still passed halts again with the next EQUITY."""
    check_reason(reason)
    with Gateway("operator") as gateway:
        halts = gateway.get("/halts", account=account)["items"]
        chosen = [item for item in halts if not halt_id or item["halt_id"] in halt_id]
        if not chosen:
            raise CliError(
                f"account {account} is not halted" if not halts else "none of these halts is in force", Exit.CONFLICT
            )
        for item in chosen:
            say(f"  {item['cause']} since {item['since']} by {item.get('by') or '?'} ({item['halt_id']})")
        for passed in _passed(gateway.get("/limits", account=account)):
            say(f"  {passed}: the next EQUITY halts again, unless the limit changes or the day ends")
        wanted = f"resume {account}"
        confirm_typed(f"This lets account {account} add risk again.", wanted, phrase)
        body = {"reason": reason, "phrase": wanted, **({"halt_ids": halt_id} if halt_id else {})}
        answer = gateway.post("/resume", body, account=account)
    lifted = f"{len(answer['lifted'])} halt(s) lifted"
    again = {str(item["cause"]) for item in answer["halts"] if item["halt_id"] not in {one["halt_id"] for one in halts}}
    if again:
        raise CliError(f"{lifted}, but account {account} is HALTED again: {', '.join(sorted(again))}", Exit.REJECTED)
    say(f"account {account} is {answer['trading_state']}: {lifted}")


def _passed(view: Json) -> Iterator[str]:
    """The limits that halt by themselves and are passed now, as a person reads them."""
    for row in view.get("usage") or ():
        if row["limit"] in _HALTING and Decimal(row["headroom"]) <= 0:
            yield f"{row['limit']}: {Decimal(row['used']):.2f} of {Decimal(row['max']):.2f} is reached"
