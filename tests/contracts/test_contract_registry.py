"""The registry and what is generated from it: subjects of streams, rights of users, ids."""

import re
from itertools import combinations

import pytest

from fleet_contracts import (
    BY_TOKEN,
    EVENTS,
    RESERVED_SOURCES,
    SERVICES,
    OrderRequest,
    Stream,
    SubjectError,
    bot_permissions,
    content_hash,
    derived_id,
    event_subject,
    fence_subjects,
    operator_permissions,
    service_permissions,
    split_subject,
    stream_subjects,
)
from fleet_contracts.registry import BOT

_WORD = re.compile(r"\w+")
SPEC_B1 = _WORD.findall(
    """SIGNAL_CONTEXT HEARTBEAT ORDER_REQUEST ORDER_DECISION ORDER_EVENT TRADE EQUITY SIGNAL_REVIEW POLICY_ACTION PROPOSAL
    BOT_STATUS BOT_COMMAND BOT_ACK BOT_PROCESS ANOMALY MARK LOCAL_VERDICT LEADER RISK_REVIEW MODE_CHANGE RISK_STATE RISK_LIMITS
    OPERATOR_COMMAND META_TASK META_REPORT AUDIT_CHECKPOINT"""
)
TABLES = _WORD.findall(
    """trades signals equity heartbeats order_decisions order_events signal_reviews risk_reviews policy_actions proposals
    local_verdicts bot_status bot_processes mode_changes risk_state operator_commands anomalies meta_reports"""
)


def matches(pattern: str, subject: str) -> bool:
    """NATS wildcards: `*` is one token, a final `>` one or more."""
    expression = re.escape(pattern).replace(r"\*", r"[^.]+").replace(">", r".+")
    return re.fullmatch(expression, subject) is not None


def may_publish(subjects: tuple[str, ...], subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in subjects)


def test_every_event_of_the_specification_is_there_and_no_other() -> None:
    assert {spec.type for spec in EVENTS} == set(SPEC_B1)


def test_every_table_has_one_event() -> None:
    assert sorted(spec.table for spec in EVENTS if spec.table) == sorted(TABLES)


def test_an_event_is_stored_by_exactly_one_stream_and_no_two_streams_overlap() -> None:
    for spec in EVENTS:
        subject = event_subject("main", spec.type, "qe1")
        assert [stream for stream in Stream if may_publish(tuple(stream_subjects(stream)), subject)] == [spec.stream]
    for one, other in combinations(Stream, 2):
        assert not set(stream_subjects(one)) & set(stream_subjects(other))


def test_a_subject_comes_apart_as_it_was_put_together() -> None:
    address = split_subject(event_subject("main", "ORDER_REQUEST", "qe1"))
    assert (address.account, address.event, address.source) == ("main", "order_request", "qe1")


@pytest.mark.parametrize("token", ["", "a.b", "*", ">", "a b", "x" * 65, "ä", "a\n"])
def test_what_is_no_token_is_in_no_subject(token: str) -> None:
    with pytest.raises(SubjectError):
        event_subject(token, "TRADE", "qe1")
    with pytest.raises(SubjectError):
        split_subject(f"fleet.main.trade.{token}")


def test_a_fence_covers_all_a_service_writes_for_an_account_and_nothing_else() -> None:
    fence = fence_subjects("main", "risk-gateway")
    assert matches(fence, event_subject("main", "RISK_STATE", "risk-gateway"))
    assert not matches(fence, event_subject("main", "RISK_STATE", "risk-gateway-2"))
    assert not matches(fence, event_subject("alt", "RISK_STATE", "risk-gateway"))


def test_a_bot_may_publish_its_own_events_in_its_own_accounts_and_nothing_else() -> None:
    publish = bot_permissions("qe1", ["main"]).publish
    for spec in EVENTS:
        assert may_publish(publish, event_subject("main", spec.type, "qe1")) == (BOT in spec.producers)
    for foreign in ("fleet.main.equity.qe2", "fleet.alt.equity.qe1", "fleet.fleet.heartbeat.qe1", "svc.risk.evaluate.main.qe2"):
        assert not may_publish(publish, foreign)


def test_a_bot_has_no_jetstream_api_and_no_wildcard_to_publish_on() -> None:
    rights = bot_permissions("qe1", ["main", "alt"])
    assert not [subject for subject in rights.publish if subject.startswith("$") or "*" in subject or ">" in subject]
    assert not rights.answers


def test_nobody_but_fleet_init_may_see_events_before_they_are_stored() -> None:
    users = [bot_permissions("qe1", ["main"]), operator_permissions(), *map(service_permissions, SERVICES)]
    for rights in users:
        assert not [subject for subject in rights.subscribe if subject.startswith("fleet.") or subject == ">"]


@pytest.mark.parametrize("name", [*sorted(RESERVED_SOURCES), "*", "a.b", ""])
def test_a_bot_cannot_have_a_name_of_the_fleet_s_own_or_one_that_is_no_token(name: str) -> None:
    with pytest.raises(ValueError):
        bot_permissions(name, ["main"])


def test_every_service_event_has_its_producer_and_every_subject_only_one() -> None:
    for spec in EVENTS:
        for service in set(SERVICES) - {"ingest"}:
            allowed = may_publish(service_permissions(service).publish, event_subject("fleet", spec.type, service))
            assert allowed == bool(spec.producers & {service, "service"}), (spec.type, service)
            for other in set(SERVICES) - {service}:
                assert not may_publish(service_permissions(service).publish, event_subject("main", spec.type, other))


def test_a_service_beats_only_on_the_fleet_s_account() -> None:
    publish = service_permissions("risk-gateway").publish
    assert may_publish(publish, "fleet.fleet.heartbeat.risk-gateway")
    assert not may_publish(publish, "fleet.main.heartbeat.risk-gateway")


def test_ingest_writes_dead_letters_and_its_own_heartbeat_and_no_event() -> None:
    publish = service_permissions("ingest").publish
    assert may_publish(publish, "dead.ingest.NOT_JSON")
    assert may_publish(publish, "fleet.fleet.heartbeat.ingest")
    for spec in EVENTS:
        assert not may_publish(publish, event_subject("main", spec.type, "ingest"))


def test_a_service_may_take_no_lease_but_its_own() -> None:
    publish = service_permissions("risk-gateway").publish
    assert may_publish(publish, "$KV.leases.risk-gateway.main")
    assert not may_publish(publish, "$KV.leases.policy-engine.main")


@pytest.mark.parametrize("verb", ["STREAM.CREATE.X", "STREAM.DELETE.FLEET", "STREAM.PURGE.FLEET", "STREAM.MSG.DELETE.FLEET"])
def test_nobody_but_fleet_init_may_change_a_stream(verb: str) -> None:
    for rights in (operator_permissions(), bot_permissions("qe1", ["main"]), *map(service_permissions, SERVICES)):
        assert not may_publish(rights.publish, f"$JS.API.{verb}")


def test_the_operator_reads_and_asks_ingest_and_publishes_no_event() -> None:
    publish = operator_permissions().publish
    assert may_publish(publish, "$JS.API.CONSUMER.CREATE.DEAD.x.dead.>")
    assert may_publish(publish, "svc.ingest.replay.fleet.operator")
    for spec in EVENTS:
        assert not may_publish(publish, event_subject("main", spec.type, "operator"))


def test_a_derived_id_is_the_same_for_the_same_cause_and_no_other() -> None:
    ids = {
        derived_id(account, source, cause, event_type, extra)
        for account in ("a", "b")
        for source in ("s", "t")
        for cause in ("c", "d")
        for event_type in ("X", "Y")
        for extra in ("", "h")
    }
    assert len(ids) == 32
    assert derived_id("main", "risk-gateway", "FLEET-1-0", "LEADER") == "cfbf5fd4-a191-5d2f-aca7-0ca7707a1dd5"


def order(**fields: object) -> OrderRequest:
    base = {"order_id": "o", "symbol": "S", "side": "BUY", "order_type": "LIMIT", "qty": "0.010", "price": "43000.5"}
    return OrderRequest.model_validate(base | fields)


def test_the_same_amount_written_otherwise_is_the_same_order() -> None:
    assert content_hash(order(qty="0.010", price="43000.50")) == content_hash(order(qty=0.01, price=43000.5))
    assert content_hash(order(qty="1000")) == content_hash(order(qty="1e3"))


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": "T"},
        {"side": "SELL"},
        {"order_type": "STOP_LIMIT", "stop_price": "1"},
        {"qty": "0.011"},
        {"price": "43000.6"},
        {"stop_price": "43000.5"},
        {"reduce_only": True},
        {"time_in_force": "IOC"},
        {"leverage": "2"},
        {"strategy": "s"},
        {"position_id": "p"},
        {"replaces": "r"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_other_content_is_another_order(fields: dict[str, object]) -> None:
    assert content_hash(order(**fields)) != content_hash(order())


@pytest.mark.parametrize(
    "fields",
    [
        {"reference_price": "1"},
        {"signal_id": "x"},
        {"deadline_ms": 5},
        {"after_seq": 9},
        {"ts": "2026-01-05T10:00:00Z"},
        {"x": 1},
    ],
)
def test_what_is_not_content_may_differ(fields: dict[str, object]) -> None:
    assert content_hash(order(**fields)) == content_hash(order())


def test_tokens_and_types_are_one_to_one() -> None:
    assert {token: spec.type for token, spec in BY_TOKEN.items()} == {spec.type.lower(): spec.type for spec in EVENTS}
