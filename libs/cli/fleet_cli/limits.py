"""`supervisor limits show | diff | apply | enable`: the limits in force with their headroom, and what changes them."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from fleet_chassis.config import RISK, ConfigError, load_risk
from fleet_cli.asking import Why, confirm
from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway, Json
from fleet_cli.output import AS_TABLE, Column, Row, Show, age, say, show_document, show_table, write
from fleet_cli.positions import Account
from fleet_cli.where import fleet_settings
from fleet_contracts.risk_config import AccountRisk, Limits


def _cents(field: str) -> Callable[[Row], str | None]:
    """An amount of the row, to two places: `-o json` has all of them."""

    def of(row: Row) -> str | None:
        amount = row.get(field)
        return None if amount is None else format(Decimal(amount).quantize(_CENT).normalize(), "f")

    return of


_CENT = Decimal("0.01")
_COLUMNS = (
    Column("limit"),
    Column("set to", lambda row: row["value"], right=True),
    Column("used", _cents("used"), right=True),
    Column("of", _cents("max"), right=True),
    Column("headroom", _cents("headroom"), right=True),
    Column("used %", lambda row: row.get("used_pct"), right=True),
    Column("band"),
    Column("reached in", lambda row: age(row.get("breach_in_s")), right=True),
    Column("measured on", lambda row: row.get("of")),
)
Changes = list[tuple[str, str | None, str | None]]
"""(where, value in force or None, value of the file or None)."""


def show(*, account: Account = "main", show: Show = AS_TABLE) -> None:
    """The limits in force, how much of each is used, and which are off."""
    with Gateway("viewer") as gateway:
        view, _ = _in_force(gateway, account)
    if show.format != "table":
        show_document(show, view)
        return
    show_table(limit_rows(view), _COLUMNS)
    say(f"account {account}, revision {view['revision']}, since {view.get('since')} by {view.get('by')}: {view.get('reason')}")
    for line in _remarks(view):
        say(line)


def diff(file: Path | None = None, /, *, account: Account = "main") -> None:
    """What the limits of risk.yaml would change; changes nothing.

    Args:
        file: a risk.yaml; without it the one of the fleet's configuration
    """
    path = file or fleet_settings().config / RISK
    wanted = _of_file(path, account)
    with Gateway("viewer") as gateway:
        view, _ = _in_force(gateway, account)
    changes = differences(view["risk"], dump(wanted))
    for line in diff_lines(changes):
        write(line)
    if changes:
        say(f"revision {view['revision']} is in force; {path} takes effect only by `supervisor limits apply`")
    else:
        say(f"revision {view['revision']} of account {account} is what {path} says")


def enable(*, why: Why, strategy: str | None = None, bot: str | None = None, account: Account = "main") -> None:
    """Let a strategy open again that was disabled for repeating itself; look at its orders first.

    Args:
        strategy: its name
        bot: instead of a strategy, a bot whose orders name none
    """
    if (strategy is None) == (bot is None):
        raise CliError("name one: --strategy or --bot", Exit.USAGE)
    who = {"strategy": strategy} if strategy is not None else {"bot": bot}
    ((kind, name),) = who.items()
    confirm(f"Let {kind} {name} of account {account} open again?", why)
    with Gateway("approver") as gateway:
        answer = gateway.post("/limits/enable", {"reason": why.reason, **who}, account=account)
    say(f"{kind} {name} may open again (revision {answer['revision']})")


def apply(file: Path | None = None, /, *, why: Why, account: Account = "main") -> None:
    """Put the limits of risk.yaml in force: shows what changes, asks, and records who and why.

    Args:
        file: a risk.yaml; without it the one of the fleet's configuration
    """
    path = file or fleet_settings().config / RISK
    wanted = _of_file(path, account)
    with Gateway("approver") as gateway:
        view, tag = _in_force(gateway, account)
        changes = differences(view["risk"], dump(wanted))
        if not changes:
            say(f"nothing to do: revision {view['revision']} of account {account} is what {path} says")
            return
        for line in diff_lines(changes):
            write(line)
        confirm(f"Put {len(changes)} change(s) in force for account {account}?", why)
        answer = gateway.post("/limits", {"reason": why.reason, "risk": dump(wanted)}, match=tag, account=account)
    say(f"revision {answer['revision']} is in force for account {account}")


def limit_rows(view: Mapping[str, Any]) -> list[Row]:
    """A row per limit: its value, and what is used of it where that can be told. Limits that are off say so. Limits of bots and
    strategies follow, with their place.
    """
    usage = {(row["limit"], row.get("place", "limits")): row for row in view.get("usage") or ()}
    rows = [
        {**usage.pop((name, "limits"), {}), "limit": name, "value": "off" if value is None else _said(value)}
        for name, value in {**dict.fromkeys(Limits.model_fields), **view["limits"]}.items()
    ]
    return rows + [
        {**row, "limit": _placed(limit, place), "value": _cents("max")(row)} for (limit, place), row in usage.items()
    ]


def _placed(limit: str, place: str) -> str:
    """`max_drawdown (soft)`, `max_leverage of bots.qe1`."""
    return f"{limit} {place.removeprefix('limits ')}" if place.startswith("limits ") else f"{limit} of {place}"


def _remarks(view: Mapping[str, Any]) -> Iterator[str]:
    for row in view.get("disabled") or ():
        yield (
            f"{row['kind']} {row['name']} is disabled since {row['since']}: {row['cause']} (order {row['order_id']}); "
            f"`supervisor limits enable --{row['kind']} {row['name']}` lets it open again"
        )
    for cause, since in (view.get("doubts") or {}).items():
        yield f"untrusted equity is over the limit of {cause} since {since}"
    if view.get("file_differs"):
        yield "risk.yaml says something else: `supervisor limits diff` shows it, `supervisor limits apply` puts it in force"


def differences(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Changes:
    """What would change, by path; numbers compare as numbers, an absent value is one that is off."""
    old, new = dict(_flat(live)), dict(_flat(wanted))
    return [(path, old.get(path), new.get(path)) for path in dict.fromkeys((*old, *new)) if old.get(path) != new.get(path)]


def diff_lines(changes: Changes) -> Iterator[str]:
    """The changes as a person reads them."""
    for path, old, new in changes:
        yield f"  {path}: {'off' if old is None else old} → {'off' if new is None else new}"


def dump(risk: AccountRisk) -> dict[str, Any]:
    """An account's section of risk.yaml as JSON."""
    return risk.model_dump(mode="json", exclude_none=True)


def _in_force(gateway: Gateway, account: str) -> tuple[Json, str | None]:
    view, tag = gateway.get_with_tag("/limits", account=account)
    if not view["revision"]:
        raise CliError(f"account {account} has no limits yet: its gateway has not finished its start", Exit.UNHEALTHY)
    return view, tag


def _of_file(path: Path, account: str) -> AccountRisk:
    try:
        accounts = load_risk(path).accounts
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error
    if account not in accounts:
        raise CliError(f"{path} has no account {account!r}; it has: {', '.join(accounts)}", Exit.NOT_FOUND)
    return accounts[account]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif value is not None:
        yield path, _normal(value)


def _normal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return format(Decimal(str(value)).normalize(), "f")
    except InvalidOperation:
        return str(value)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_normal(inner)}" for name, inner in value.items() if inner is not None)
    return _normal(value)
