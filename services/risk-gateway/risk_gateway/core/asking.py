"""Asking bots what became of UNKNOWN orders: REPORT_ORDER, again and again with more patience, and not for ever.

A hold past its time keeps counting (risk-semantics §4.5, RS-6); only what a bot reports releases it. The last question
stays open for a day, so that a bot which comes back late still answers it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from fleet_contracts import AckState, BotAck, BotCommand, Command, Fact, derived_id, encode
from fleet_contracts.envelope import format_ts
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.state import SERVICE, Inquiry, OrderKey, State

PATIENCE_S = (10, 20, 40, 80, 160, 320, 600, 86_400)
"""How long each question waits for its answer before the next one; the last is not followed by another."""
ASKED_MAX = len(PATIENCE_S)
ASKED_AT_ONCE_MAX = 32
_DETAIL_MAX = 200


def due_questions(state: State, account: str, now: datetime) -> list[Fact]:
    """Questions about orders that read UNKNOWN and were not asked about, or without success; some at a time.

    Walks over the live orders: call it now and then, not for every order.
    """
    rules, facts = state.rules, []
    if rules is None:
        return []
    for key, order in state.orders.items():
        if now <= order.valid_until + rules.grace or order.state(now, rules.grace) != "UNKNOWN":
            continue
        known = state.inquiries.get(key)
        if known is None or (known.until < now and known.times < ASKED_MAX):
            facts.append(_question(account, order, known.times if known else 0, now))
            if len(facts) == ASKED_AT_ONCE_MAX:
                break
    return facts


def _question(account: str, order: LiveOrder, times: int, now: datetime) -> Fact:
    cause = f"{order.bot}/{order.order_id}"
    command_id = derived_id(account, SERVICE, f"{cause}/{times + 1}", "BOT_COMMAND", Command.REPORT_ORDER)
    event = BotCommand(
        event_type="BOT_COMMAND",
        account=account,
        source=SERVICE,
        ts=now,
        event_id=command_id,
        cause=order.order_id,
        command_id=command_id,
        bot=order.bot,
        command=Command.REPORT_ORDER,
        params={
            "order_id": order.order_id,
            "symbol": order.symbol,
            "side": order.side,
            "decided_at": format_ts(order.since),
            "times": times + 1,
        },
        deadline=now + timedelta(seconds=PATIENCE_S[min(times, ASKED_MAX - 1)]),
    )
    return Fact(event, encode(event), command_id)


def fold_question(state: State, event: BotCommand) -> None:
    """An order was asked about once more."""
    key = _order_of(event)
    if key is None or key not in state.orders or event.ts is None or event.deadline is None:
        return
    known = state.inquiries.get(key)
    if known is None:
        state.inquiries[key] = Inquiry(1, event.ts, event.deadline)
    else:
        state.inquiries[key] = replace(known, times=known.times + 1, until=event.deadline)


def fold_answer(state: State, command: BotCommand, ack: BotAck, bot: str) -> None:
    """What the bot says of a question beside its ORDER_EVENTs: for people; it releases nothing."""
    key = _order_of(command)
    known = state.inquiries.get(key) if key is not None else None
    if key is not None and known is not None and bot == command.bot and ack.state is not AckState.ACCEPTED:
        state.inquiries[key] = replace(known, answer=f"{ack.state}: {ack.detail or ''}"[:_DETAIL_MAX])


def _order_of(command: BotCommand) -> OrderKey | None:
    order_id = command.params.get("order_id")
    if command.command is not Command.REPORT_ORDER or not isinstance(order_id, str):
        return None
    return command.bot, order_id
