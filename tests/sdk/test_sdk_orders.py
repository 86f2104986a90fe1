"""What became of each order id: nothing is sent late, nothing that was sent is called never sent."""

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fleet_sdk.core.orders import Orders, OrderState

ORDER = "o-1"


def test_an_order_given_up_on_cannot_be_allowed_any_more() -> None:
    orders = Orders()
    orders.asking(ORDER, 0.0)
    assert orders.give_up(ORDER)
    assert not orders.allow(ORDER)
    assert orders.given_up(ORDER)


def test_an_order_that_was_allowed_is_not_given_up_when_a_second_question_gets_no_answer() -> None:
    orders = Orders()
    orders.allow(ORDER)
    assert not orders.give_up(ORDER)


def test_a_verdict_that_expired_unused_gives_its_order_up() -> None:
    orders = Orders()
    orders.allow(ORDER)
    assert orders.expire(ORDER)
    assert not orders.expire(ORDER)


def test_a_verdict_that_was_claimed_may_have_been_sent() -> None:
    orders = Orders()
    orders.allow(ORDER)
    orders.claim(ORDER)
    assert not orders.expire(ORDER)


def test_what_was_reported_was_sent() -> None:
    orders = Orders()
    orders.allow(ORDER)
    orders.reported(ORDER)
    assert not orders.expire(ORDER)
    assert not orders.never_sent(ORDER)


def test_validity_counts_from_the_first_question() -> None:
    orders = Orders()
    assert orders.asking(ORDER, 3.0) == 3.0
    assert orders.asking(ORDER, 9.0) == 3.0


def test_what_an_earlier_process_gave_up_stays_given_up_and_what_it_was_allowed_may_have_been_sent() -> None:
    orders = Orders({"a": OrderState.GIVEN_UP, "b": OrderState.ALLOWED})
    assert not orders.allow("a")
    assert orders.was_allowed_before("b")
    assert not orders.give_up("b")


def test_of_an_order_that_was_only_asked_about_nobody_was_told_to_send_it_also_after_a_restart() -> None:
    orders = Orders({ORDER: OrderState.ASKED})
    assert orders.never_allowed(ORDER)
    assert not orders.allow(ORDER)


def test_while_an_order_is_being_asked_about_nothing_is_known_of_it() -> None:
    orders = Orders()
    orders.asking(ORDER, 0.0)
    assert not orders.never_allowed(ORDER)
    orders.answered(ORDER)
    assert orders.never_allowed(ORDER)


def test_an_order_that_was_allowed_or_that_nobody_knows_may_have_been_sent() -> None:
    orders = Orders({"before": OrderState.ALLOWED})
    orders.allow(ORDER)
    assert not [order_id for order_id in ("before", ORDER, "unheard of") if orders.never_allowed(order_id)]


class OneOrder(RuleBasedStateMachine):
    """Whatever happens to an order: once reported NEVER_SENT, the bot is never told to go ahead; once it may have been
    sent, nothing reports NEVER_SENT.
    """

    def __init__(self) -> None:
        super().__init__()
        self.orders = Orders()
        self.never_sent = False
        self.go_ahead = False
        self.written: OrderState | None = None

    @rule()
    def ask(self) -> None:
        self.orders.asking(ORDER, 0.0)
        self.written = self.written or OrderState.ASKED

    @rule()
    def the_question_ends(self) -> None:
        self.orders.answered(ORDER)

    @rule()
    def the_fleet_asks_what_became_of_it(self) -> None:
        self._reported(self.orders.never_allowed(ORDER))

    @rule(still_valid=st.booleans())
    def an_allow_comes(self, still_valid: bool) -> None:
        if self.orders.allow(ORDER):
            self.written = OrderState.ALLOWED
            if still_valid:
                assert not self.never_sent
                self.orders.claim(ORDER)
                self.go_ahead = True
            else:
                self._reported(self.orders.expire(ORDER))

    @rule()
    def no_answer_comes(self) -> None:
        self._reported(self.orders.give_up(ORDER))

    @rule()
    def the_bot_reports_a_fill(self) -> None:
        if self.go_ahead:
            self.orders.reported(ORDER)

    @rule()
    def the_process_restarts(self) -> None:
        self.orders = Orders({ORDER: self.written} if self.written else {})

    def _reported(self, reported: bool) -> None:
        if reported:
            assert not self.go_ahead
            self.never_sent = True
            self.written = OrderState.GIVEN_UP

    @invariant()
    def never_both(self) -> None:
        assert not (self.never_sent and self.go_ahead)


TestOneOrder = OneOrder.TestCase
