"""What makes the leader ask again what it owes: anything but a decision of its own, which owes nothing."""

from fleet_contracts import Entry, Halt, split_subject
from parts.account_log import AccountLog
from parts.trading import bot_event, equity, order, setup
from risk_gateway.core.account import Asked, NewDecision
from risk_gateway.decision_line import write


def test_an_own_decision_stirs_nothing_and_everything_else_does() -> None:
    log = AccountLog(setup())
    log.settle()
    assert not log.core.stirred
    new = log.core.judge(Asked(order("a"), "qe1", "http", log.now))
    assert isinstance(new, NewDecision)
    fact = write(new)
    log.core.hold(fact)
    log.core.evolve(Entry(split_subject("fleet.main.order_decision.risk-gateway"), fact, fact.line, 99, 0, log.now, "gw.1"))
    log.core.drop(fact)
    assert not log.core.stirred
    log.store(*bot_event("ORDER_EVENT", order_id="a", status="WORKING"))
    assert log.core.stirred


def test_money_a_latch_and_a_fact_that_was_not_stored_stir() -> None:
    log = AccountLog(setup())
    for stir in (
        lambda: log.store(*equity("9000", log.now)),
        lambda: log.core.latch(Halt(halt_id="h", cause="KILL_SWITCH", since=log.now)),
        lambda: log.core.drop(log.hold(log.judge("b"))[0]),
    ):
        log.settle()
        assert not log.core.stirred
        stir()
        assert log.core.stirred
