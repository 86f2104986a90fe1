"""What a PubAck means for the event in flight, and in which order events leave."""

from fleet_sdk.core.outbox import Outbox, Outcome, PubAck, read_ack
from fleet_sdk.core.spool_lines import Record


def record(n: int) -> Record:
    return Record(n, "fleet.main.trade.qe1", f"qe1-x-{n}", b'{"n":%d}' % n)


def outbox(*records: Record, maybe_sent: bool = False) -> Outbox:
    made = Outbox("qe1")
    for each in records:
        made.append(each, maybe_sent=maybe_sent)
    return made


def stored(seq: int, *, duplicate: bool = False) -> PubAck:
    return PubAck("FLEET", seq, duplicate)


def test_an_event_leaves_with_the_msg_id_of_its_source_and_event_id() -> None:
    _, headers = outbox(record(1)).sending()
    assert headers == {"Nats-Msg-Id": "qe1:qe1-x-1"}


def test_the_next_event_leaves_only_after_the_puback_of_the_one_before() -> None:
    box = outbox(record(1), record(2))
    assert box.sending()[0] == record(1)
    assert box.sending()[0] == record(1)
    assert box.answered(stored(1)) is Outcome.STORED
    assert box.sending()[0] == record(2)


def test_a_refusal_keeps_the_event_at_the_head() -> None:
    box = outbox(record(1))
    box.sending()
    assert box.answered(PubAck(error="10077 maximum bytes exceeded")) is Outcome.REFUSED
    assert box.head is not None


def test_duplicate_on_a_first_send_is_a_foreign_id_and_the_event_goes_out_again_without_one() -> None:
    box = outbox(record(1))
    box.sending()
    assert box.answered(stored(7, duplicate=True)) is Outcome.FOREIGN_ID
    sent, headers = box.sending()
    assert (sent, headers) == (record(1), {})
    assert box.answered(stored(8)) is Outcome.STORED


def test_duplicate_on_a_resend_is_success() -> None:
    box = outbox(record(1))
    box.sending()
    box.sending()
    assert box.answered(stored(7, duplicate=True)) is Outcome.STORED
    assert len(box) == 0


def test_duplicate_on_a_resend_of_what_was_stored_before_the_event_existed_is_a_foreign_id() -> None:
    box = outbox(record(1), record(2))
    box.sending()
    box.answered(stored(50))
    box.sending()
    box.sending()
    assert box.answered(stored(40, duplicate=True)) is Outcome.FOREIGN_ID


def test_duplicate_of_what_an_earlier_process_may_have_sent_is_success() -> None:
    box = outbox(record(1), maybe_sent=True)
    box.sending()
    assert box.answered(stored(7, duplicate=True)) is Outcome.STORED


def test_only_sequences_of_fleet_count_as_read_your_writes() -> None:
    box = outbox(record(1), record(2))
    box.sending()
    box.answered(PubAck("MARKET", 99))
    assert box.last_seq == 0
    box.sending()
    box.answered(stored(12))
    assert box.last_seq == 12


def test_a_body_that_is_no_puback_is_none() -> None:
    for body in (b"", b"null", b"[]", b"{}", b'{"stream":"FLEET"}', b"\xff", b'{"seq":"x","stream":"FLEET"}'):
        assert read_ack(body) is None


def test_an_error_answer_is_read_with_its_code() -> None:
    ack = read_ack(b'{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"FLEET","seq":0}')
    assert ack is not None
    assert ack.error == "10077 maximum bytes exceeded"
