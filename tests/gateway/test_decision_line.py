"""A decision written by the doors is, byte for byte, the one the contract writes; and folding either gives the same state."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import Entry, Fact, split_subject
from parts.account_log import AccountLog
from parts.trading import order, setup
from risk_gateway.core.account import Account, Asked, NewDecision
from risk_gateway.decision_line import write

SUBJECT = "fleet.main.order_decision.risk-gateway"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
AMOUNT = st.decimals(Decimal("1e-12"), Decimal("99999"), allow_nan=False, places=12).map(lambda number: number.normalize())
MAYBE = st.none() | AMOUNT


def judged(log: AccountLog, order_id: str = "a", **fields: Any) -> NewDecision:
    new = log.core.judge(Asked(order(order_id, **fields), "qe1", "http", log.now))
    assert isinstance(new, NewDecision)
    return new


@given(
    symbol=TEXT | st.just("BTC-PERP"),
    side=st.sampled_from(["BUY", "SELL"]),
    qty=AMOUNT | st.just(Decimal("1E+2")),
    price=AMOUNT,
    stop_price=MAYBE,
    leverage=MAYBE,
    reference_price=MAYBE,
    reduce_only=st.booleans(),
    strategy=st.none() | TEXT,
    position_id=st.none() | TEXT,
    time_in_force=st.none() | st.just("GTC"),
    signal_id=st.none() | TEXT,
    replaces=st.none() | st.just("older"),
    signal_context=st.none() | st.just({"why": [1, None, "é"]}),
    more=st.sampled_from([{}, {"venue": None}, {"hold_unit": "7"}]),
)
def test_the_quick_line_is_the_contract_s(more: dict[str, Any], **fields: Any) -> None:
    log = AccountLog(setup())
    log.decide("older")
    new = judged(log, **fields, **more)
    assert write(new).line == new.fact.line
    assert write(new).key == new.fact.key
    assert write(new).event == new.fact.event


@pytest.mark.parametrize("case", ["conflict", "halted", "no price"])
def test_a_refusal_is_written_the_same(case: str) -> None:
    log = AccountLog(setup())
    if case == "conflict":
        log.decide("a")
    elif case == "halted":
        log.halt("h-1")
    new = judged(log, qty="0.02", price=None if case == "no price" else "40000")
    assert new.refusal is not None
    assert write(new).line == new.fact.line


def test_what_the_writer_tells_folds_to_the_state_its_line_folds_to() -> None:
    told, read = AccountLog(setup()), AccountLog(setup())
    told.decide("older")
    read.decide("older")
    for number, qty in enumerate(["0.020", "0.05", "9999"]):
        new = judged(told, f"o{number}", qty=qty, replaces="older" if number == 1 else None)
        _fold(told.core, write(new), number)
        _fold(read.core, Fact(new.event(), new.fact.line, new.event_id), number)
        assert told.core.dump() == read.core.dump()
    assert told.core.dump() != AccountLog(setup()).core.dump()


def _fold(core: Account, fact: Fact, number: int) -> None:
    """Held, stored, folded."""
    core.hold(fact)
    core.evolve(Entry(split_subject(SUBJECT), fact, fact.line, 100 + number, 0, AccountLog(setup()).now, "gw.1"))
    core.drop(fact)
