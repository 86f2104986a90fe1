"""`supervisor halt`, `kill`, `halts` and `resume`. Stopping is easy and has a second way; resuming is hard."""

import time
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from fleet_cli.asking import Why, check_reason, confirm, confirm_typed
from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway, Json
from fleet_cli.latch import can_latch, write_latch
from fleet_cli.output import AS_TABLE, Column, Show, say, show_rows
from fleet_cli.positions import Account

Bot = Annotated[str | None, Parameter(help="only this bot's orders")]
Symbol = Annotated[str | None, Parameter(help="only orders in this symbol")]
_AWAY = frozenset({Exit.UNHEALTHY, Exit.TIMEOUT})
_ESCALATED = frozenset({"NOT_ACKNOWLEDGED", "NOT_FLAT"})
_LOOK_S = 0.3
_HALTS = (
    Column("halt_id"),
    Column("scope"),
    Column("cause"),
    Column("stage", lambda row: row.get("stage") or "HALTED"),
    Column("since"),
    Column("by"),
    Column("open", lambda row: ", ".join(row.get("open") or ())),
    Column("in the log", lambda row: "yes" if row.get("recorded") else "not yet"),
)


def halt(*, why: Why, account: Account = "main", bot: Bot = None, symbol: Symbol = None) -> None:
    """Stop an account, a bot or a symbol: no order that adds risk is allowed until `resume`; reductions stay allowed.

    When the gateway of this machine cannot be reached, a latch file stops the bots that look at this home; the gateway
    records it when it is back.
    """
    _refuse_two(bot, symbol)
    confirm(f"Halt {_named(account, bot, symbol)}?", why)
    answer = _stop("/halt", why, account, bot, symbol)
    if answer is not None:
        _say_halted(answer, account)


def kill(
    *,
    why: Why,
    account: Account = "main",
    bot: Bot = None,
    symbol: Symbol = None,
    timeout: Annotated[float, Parameter(help="wait so many seconds for it to be flat; 0: do not wait")] = 30.0,
) -> int:
    """The kill switch: halt, cancel every order, close every position; then wait until it is flat.

    Exit code 8 when a bot does not answer, or it is not flat in time: then positions have to be closed by hand. Works by
    latch file, as `halt` does, when the gateway cannot be reached.
    """
    _refuse_two(bot, symbol)
    if timeout < 0:
        raise CliError("--timeout: 0 or more seconds", Exit.USAGE)
    confirm(f"KILL {_named(account, bot, symbol)}: cancel its orders, close its positions?", why)
    answer = _stop("/kill", why, account, bot, symbol)
    if answer is None:
        return Exit.OK
    _say_halted(answer, account)
    if not timeout:
        return Exit.OK
    try:
        return _wait_flat(str(answer["halt"]["halt_id"]), account, timeout)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("no longer waiting; the kill goes on: `supervisor halts` shows how far it is") from error


def halts(*, account: Account = "main", show: Show = AS_TABLE) -> None:
    """What is halted and why, how far every kill has come, and what a resume would have to answer for."""
    with Gateway("viewer") as gateway:
        document = gateway.get("/halts", account=account)
    show_rows(show, document["items"], _HALTS, document)
    if show.format != "table":
        return
    if document.get("manual_close_needed"):
        say("a position has to be CLOSED BY HAND: a bot did not do it")
    for row in document["items"]:
        for answer in row.get("answers") or ():
            asked = f"{answer['command']} (attempt {answer['attempt']})"
            told = f"{answer.get('state') or 'no answer'} {answer.get('detail') or ''}"
            say(f"  {row['halt_id']}: {answer['bot']} {asked}: {told}".rstrip())
    for line in _list(document, document["items"]):
        say(line)
    if not document["items"]:
        say(f"nothing of account {account} is halted")


def resume(
    *,
    reason: Annotated[str, Parameter(help="why; kept in the record")],
    account: Account = "main",
    phrase: Annotated[str | None, Parameter(help="`resume <account>`, for scripts; else it is asked for")] = None,
    halt_id: Annotated[
        list[str] | None, Parameter(negative="", help="lift only this halt (may be given several times)")
    ] = None,
    override: Annotated[
        list[str] | None,
        Parameter(negative="", help="ITEM=WHY: pass over an item of the checklist that is not clean (several times)"),
    ] = None,
    rebase_drawdown: Annotated[bool, Parameter(negative="", help="count the drawdown from the present equity")] = False,
) -> None:
    """Lift the halts of an account, as an approver. What `supervisor halts` lists as not clean has to be overridden.

    A limit that is still passed halts again with the next EQUITY.
    """
    check_reason(reason)
    overrides = dict(_override(text) for text in override or ())
    with Gateway("approver") as gateway:
        document = gateway.get("/halts", account=account)
        found = document["items"]
        chosen = [item for item in found if not halt_id or item["halt_id"] in halt_id]
        if not chosen:
            raise CliError(
                f"account {account} is not halted" if not found else "none of these halts is in force", Exit.CONFLICT
            )
        for item in chosen:
            say(f"  {item['cause']} since {item['since']} by {item.get('by') or '?'} ({item['halt_id']})")
        for line in _list(document, chosen):
            say(line)
        wanted = f"resume {account}"
        confirm_typed(f"This lets account {account} add risk again.", wanted, phrase)
        seen = [str(item["halt_id"]) for item in chosen]  # what comes while somebody reads this stays in force
        body: Json = {"reason": reason, "phrase": wanted, "halt_ids": seen}
        body |= {"overrides": overrides} if overrides else {}
        body |= {"rebase_drawdown": True} if rebase_drawdown else {}
        answer = gateway.post("/resume", body, account=account)
    lifted = f"{len(answer['lifted'])} halt(s) lifted"
    again = {str(item["cause"]) for item in answer["halts"] if item["halt_id"] not in {one["halt_id"] for one in found}}
    if again:
        raise CliError(f"{lifted}, but account {account} is HALTED again: {', '.join(sorted(again))}", Exit.REJECTED)
    say(f"account {account} is {answer['trading_state']}: {lifted}")


def _stop(path: str, why: Why, account: str, bot: str | None, symbol: str | None) -> Json | None:
    """Ask the gateway; None when only a latch file could be written."""
    scope = {name: value for name, value in (("bot", bot), ("symbol", symbol)) if value is not None}
    try:
        with Gateway("operator") as gateway:
            return gateway.post(path, {"reason": why.reason, **scope}, account=account)
    except CliError as error:
        if error.code not in _AWAY or not can_latch(account):
            raise
        latch = write_latch(account, bot=bot, symbol=symbol, flatten=path == "/kill")
        later = "cancel, close and record" if path == "/kill" else "record"
        say(f"{error}")
        say(f"wrote the latch file {latch}: bots that look at this home stop now; the gateway will {later} once it is back")
        return None


def _say_halted(answer: Json, account: str) -> None:
    halted = answer["halt"]
    recorded = "recorded" if halted.get("recorded") else "in force, not yet recorded in the log"
    scope = "" if halted.get("scope", "account") == "account" else f" of {halted['scope']}"
    say(f"account {account} is {answer['trading_state']}: halt {halted['halt_id']}{scope} by {halted.get('by')}, {recorded}")


def _wait_flat(halt_id: str, account: str, timeout_s: float) -> int:
    """Say every stage as it comes. The exit code."""
    deadline, said = time.monotonic() + timeout_s, ""
    with Gateway("viewer") as gateway:
        while True:
            rows = gateway.get("/halts", account=account)["items"]
            row: Json = next((row for row in rows if row["halt_id"] == halt_id), {})
            stage = str(row.get("stage") or "LIFTED")
            if stage != said:
                say(f"  {stage}{_still_open(row)}")
                said = stage
            if stage in ("FLAT", "LIFTED"):
                return Exit.OK if stage == "FLAT" else Exit.CONFLICT
            if stage in _ESCALATED:
                raise CliError(f"the kill is {stage}: close by hand what is open; see `supervisor halts`", Exit.TIMEOUT)
            if time.monotonic() >= deadline:
                raise CliError(f"the kill is {stage} after {timeout_s:g} s; see `supervisor halts`", Exit.TIMEOUT)
            time.sleep(_LOOK_S)


def _still_open(row: Json) -> str:
    return f": open {', '.join(row['open'])}" if row.get("open") else ""


def _list(document: Json, chosen: list[Json]) -> Iterator[str]:
    """The checklist as a person reads it."""
    if chosen:
        for item in document.get("checklist") or ():
            yield f"  [{'x' if item['clean'] else ' '}] {item['item']}: {item['detail']}"


def _override(text: str) -> tuple[str, str]:
    item, _, why = text.partition("=")
    if not item or not why.strip():
        raise CliError(f"--override {text}: say ITEM=WHY, as in NOT_FLAT='closed at the venue'", Exit.USAGE)
    return item.strip(), why.strip()


def _refuse_two(bot: str | None, symbol: str | None) -> None:
    if bot is not None and symbol is not None:
        raise CliError("name a bot or a symbol, not both", Exit.USAGE)


def _named(account: str, bot: str | None, symbol: str | None) -> str:
    part = f"bot {bot} of " if bot is not None else f"{symbol} of " if symbol is not None else ""
    return f"{part}account {account}"
