"""The questions of the event door: ORDER_REQUEST events that nobody has answered yet, so many of a bot and no more."""

from collections.abc import Callable
from datetime import datetime

from fleet_contracts import AccountClock, Entry, OrderRequest, content_hash
from risk_gateway.core.memory import id_hash
from risk_gateway.core.overlay import Overlay
from risk_gateway.core.state import QUESTIONS_MAX, QUESTIONS_OF_A_BOT_MAX, OrderKey, Question, QuestionKey, State

FAR_AHEAD_S = 5


def fold_order_request(state: State, event: OrderRequest, entry: Entry) -> None:
    """Remember that it wants an answer, unless it has one, or was sent from the future."""
    key: OrderKey = (entry.address.source, event.order_id)
    assert event.ts is not None
    virtual = state.rules is not None and state.rules.clock is AccountClock.EVENT
    if not virtual and (event.ts - entry.at).total_seconds() > FAR_AHEAD_S:
        return
    known = state.memory.find(id_hash(*key))
    content = content_hash(event)
    if known is not None and known.content == int(content[:16], 16):
        return
    if known is not None and state.memory.find(id_hash(*key, content)) is not None:
        return
    asked = (*key, content)
    if asked not in state.questions and _may_ask(state, entry.address.source):
        state.questions[asked] = Question(event, event.ts if virtual else min(event.ts, entry.at))


def _may_ask(state: State, bot: str) -> bool:
    """Whether there is room for another open question of a bot, so that none crowds out the others."""
    waiting = len(state.questions)
    if waiting < QUESTIONS_OF_A_BOT_MAX:
        return True
    return waiting < QUESTIONS_MAX and sum(key[0] == bot for key in state.questions) < QUESTIONS_OF_A_BOT_MAX


def next_question(
    state: State, overlay: Overlay, answered: str, expired: datetime, admit: Callable[[str], bool]
) -> QuestionKey | None:
    """The oldest question of the next bot in turn that has one and may ask: one that asks a lot makes no other wait.

    `answered`: whose turn it was last. What is from before `expired` is answered (denied) in any case.
    """
    on_their_way = {(*entry.key, entry.content) for entry in overlay if entry.key}
    oldest: dict[str, QuestionKey] = {}
    for key in state.questions:
        if key[0] not in oldest and key not in on_their_way:
            oldest[key[0]] = key
    turns = sorted(oldest, key=lambda bot: (bot <= answered, bot))
    return next((oldest[bot] for bot in turns if state.questions[oldest[bot]].at < expired or admit(bot)), None)
