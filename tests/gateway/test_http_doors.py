"""The gateway's HTTP side, in process over the in-memory log: every kind of bad input, every role, every refusal."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from fleet_chassis.clock import wall_clock
from fleet_chassis.config import load_config
from fleet_chassis.log import Message
from fleet_contracts import risk_config
from parts.gateway import ROOT
from parts.http_front import EVALUATE, ORDER, Front, opened
from risk_gateway.core.admission import Rate


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with opened(tmp_path) as front:
        yield front


@pytest.fixture(autouse=True)
def _calm_collector() -> Iterator[None]:
    import gc

    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


async def test_an_order_within_the_limits_is_allowed_with_its_record_stored(front: Front) -> None:
    answer = await front.ask(ORDER)
    assert (answer.status_code, answer.json()["decision"], answer.json()["reason"]) == (200, "ALLOW", "OK")
    assert any(answer.json()["event_id"].encode() in message.body for message in front.log.messages)


async def test_an_order_over_a_limit_is_denied_with_numbers_and_a_sentence(front: Front) -> None:
    decision = (await front.ask({**ORDER, "qty": "1"})).json()
    assert (decision["decision"], decision["reason"]) == ("DENY", "ORDER_NOTIONAL_TOO_LARGE")
    assert (decision["check"], decision["value"], decision["limit"]) == ("max_order_notional", "40000", "5000")
    assert decision["message"] == "order notional 40000 USDT is over the limit of 5000 USDT"


async def test_the_decision_carries_every_field_of_the_request(front: Front) -> None:
    more = {"signal_context": {"rsi": 38.2, "deep": [1, {"a": None}]}, "colour": "red", "number": 12345678901234567890}
    decision = (await front.ask({**ORDER, **more})).json()
    assert {name: decision[name] for name in more} == more


async def test_the_same_order_again_is_the_stored_decision(front: Front) -> None:
    first = (await front.ask(ORDER)).json()
    again = (await front.ask({**ORDER, "qty": "0.0100", "ts": "2026-01-05T10:00:00Z"})).json()
    assert (again["event_id"], again["duplicate"]) == (first["event_id"], True)


async def test_the_same_id_for_another_order_is_a_conflict(front: Front) -> None:
    await front.ask(ORDER)
    answer = (await front.ask({**ORDER, "qty": "0.02"})).json()
    assert (answer["decision"], answer["reason"]) == ("DENY", "IDEMPOTENCY_CONFLICT")
    stored = (await front.get("decisions/a")).json()["items"]
    assert [item["reason"] for item in stored] == ["OK", "IDEMPOTENCY_CONFLICT"]


async def test_fifty_requests_at_once_for_one_order_are_decided_once(front: Front) -> None:
    answers = await asyncio.gather(*(front.ask(ORDER) for _ in range(50)))
    assert {answer.json()["event_id"] for answer in answers} == {answers[0].json()["event_id"]}
    assert len((await front.get("decisions")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 400, "NOT_JSON", None),
        (b"{", 400, "NOT_JSON", None),
        (b"\xff\xfe", 400, "NOT_JSON", None),
        (b'{"qty": NaN}', 400, "NOT_JSON", None),
        (b"[" * 50_000, 400, "NOT_JSON", None),
        (b"[]", 422, "INVALID_REQUEST", None),
        (b"{}", 422, "INVALID_REQUEST", "order_id"),
        (json.dumps({**ORDER, "qty": "NaN"}).encode(), 422, "INVALID_REQUEST", "qty"),
        (json.dumps({**ORDER, "qty": "Infinity"}).encode(), 422, "INVALID_REQUEST", "qty"),
        (json.dumps({**ORDER, "qty": "-1"}).encode(), 422, "INVALID_REQUEST", "qty"),
        (json.dumps({**ORDER, "qty": 0}).encode(), 422, "INVALID_REQUEST", "qty"),
        (json.dumps({**ORDER, "qty": "1" * 40}).encode(), 422, "INVALID_REQUEST", "qty"),
        (json.dumps({**ORDER, "qty": True}).encode(), 422, "INVALID_REQUEST", "qty"),
        (json.dumps({**ORDER, "side": "LONG"}).encode(), 422, "INVALID_REQUEST", "side"),
        (json.dumps({**ORDER, "price": None}).encode(), 422, "INVALID_REQUEST", None),
        (json.dumps({**ORDER, "qty": "1e15", "price": "1e14"}).encode(), 422, "INVALID_REQUEST", None),
        (json.dumps({**ORDER, "source": "qe2"}).encode(), 403, "FORBIDDEN", None),
        (json.dumps({**ORDER, "account": "other"}).encode(), 403, "FORBIDDEN", None),
        (json.dumps({**ORDER, "note": "x" * 70_000}).encode(), 413, "TOO_LARGE", None),
        (b"x" * 10_000_000, 413, "TOO_LARGE", None),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bad_input_is_a_problem_that_names_what_is_wrong(
    front: Front, body: bytes, status: int, code: str, field: str | None
) -> None:
    answer = await front.ask(content=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert set(problem) == {"type", "title", "status", "detail", "code", "errors"}
    if field is not None:
        assert problem["errors"][0]["field"] == field
    assert (await front.ask(ORDER)).json()["decision"] == "ALLOW", "the gateway goes on"


@pytest.mark.parametrize(("header", "status"), [("", 401), ("Bearer nonsense", 401), ("Basic cWUx", 401)])
async def test_without_a_known_token_nobody_is_answered(front: Front, header: str, status: int) -> None:
    for path in (EVALUATE, "/api/v1/halt"):
        answer = await front.http.post(path, json=ORDER, headers={"Authorization": header})
        assert (answer.status_code, answer.json()["code"]) == (status, "UNAUTHENTICATED")
    assert (await front.http.get("/api/v1/status", headers={"Authorization": header})).status_code == status


async def test_a_persons_token_asks_about_no_orders_and_a_bots_token_operates_nothing(front: Front) -> None:
    assert (await front.ask(ORDER, name="admin")).status_code == 403
    assert (await front.get("status", name="qe1")).status_code == 403
    assert (await front.post("halt", {"reason": "stop it"}, name="qe1")).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [("get", "limits", "viewer", 200), ("post", "halt", "viewer", 403), ("post", "limits", "operator", 403)],
)
async def test_roles_are_ranked(front: Front, method: str, path: str, role: str, status: int) -> None:
    answer = await front.get(path, role) if method == "get" else await front.post(path, {"reason": "because"}, role)
    assert answer.status_code == status


async def test_an_allow_is_not_repeated_after_its_time_however_long_the_log_took(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 4: what is repeated is judged by the moment it leaves."""
    await front.ask(ORDER)
    get, desk = front.log.get, front.shard.desk

    async def slow(seq: int, *, timeout_s: float) -> Message | None:
        monkeypatch.setattr(desk, "_clock", lambda: wall_clock() + timedelta(seconds=6))
        return await get(seq, timeout_s=timeout_s)

    monkeypatch.setattr(front.log, "get", slow)
    again = (await front.ask(ORDER)).json()
    assert (again["decision"], again["reason"], again["duplicate"]) == ("DENY", "DECISION_EXPIRED", True)


@pytest.mark.parametrize("deadline", ["soon", "0", "60001", "9" * 5_000])
async def test_a_deadline_that_is_no_number_in_its_bounds_is_refused(front: Front, deadline: str) -> None:
    answer = await front.ask(ORDER, **{"X-Deadline-Ms": deadline})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "X-Deadline-Ms")


async def test_a_halt_denies_entries_allows_reductions_and_is_lifted_by_the_typed_phrase(front: Front) -> None:
    halted = (await front.post("halt", {"reason": "stop it"})).json()
    assert halted["halt"]["recorded"] is True
    assert (await front.ask(ORDER)).json()["reason"] == "KILL_SWITCH"
    wrong = await front.post("resume", {"reason": "go on", "phrase": "yes"}, "approver")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "WRONG_PHRASE")
    lifted = (await front.post("resume", {"reason": "go on", "phrase": "resume main"}, "approver")).json()
    assert lifted["lifted"] == [halted["halt"]["halt_id"]]
    assert (await front.ask({**ORDER, "order_id": "b"})).json()["reason"] == "OK"
    nothing = await front.post("resume", {"reason": "go on", "phrase": "resume main"}, "approver")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "NOT_HALTED")


async def test_a_repeat_with_the_same_idempotency_key_halts_once(front: Front) -> None:
    answers = [await front.post("halt", {"reason": "stop it"}, **{"Idempotency-Key": "k1"}) for _ in range(3)]
    assert len({answer.json()["halt"]["halt_id"] for answer in answers}) == 1
    other = await front.post("halt", {"reason": "something else"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")


async def test_limits_change_only_against_the_revision_that_was_read(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await front.get("limits")
    risk = load_config(ROOT / "deploy" / "config").risk.accounts["main"].model_dump(mode="json", exclude_none=True)
    risk["limits"]["max_order_notional"] = "100"
    body = {"reason": "smaller orders", "risk": risk}
    assert (await front.post("limits", body, "approver")).status_code == 428
    assert (await front.post("limits", body, "approver", **{"If-Match": '"0-x"'})).status_code == 412
    done = await front.post("limits", body, "approver", **{"If-Match": seen.headers["etag"]})
    assert (done.status_code, done.json()["revision"]) == (200, 2)
    assert (await front.ask(ORDER)).json()["reason"] == "ORDER_NOTIONAL_TOO_LARGE"
    risk["limits"]["position_drift_qty"] = 0
    monkeypatch.setattr(risk_config, "ENFORCED", risk_config.ENFORCED - {"position_drift_qty"})  # as in a build without it
    unenforced = await front.post("limits", body, "approver", **{"If-Match": (await front.get("limits")).headers["etag"]})
    assert (unenforced.status_code, unenforced.json()["code"]) == (422, "NOT_ENFORCED")


async def test_a_runaway_bot_is_told_so_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    async with opened(tmp_path, rate=Rate(per_s=0.001, burst=2)) as front:
        answers = [(await front.ask({**ORDER, "order_id": str(n)})).json() for n in range(4)]
        assert [answer["reason"] for answer in answers] == ["OK", "OK", "OVERLOADED", "OVERLOADED"]
        assert answers[-1]["event_id"] is None
        assert len((await front.get("decisions")).json()["items"]) == 2


async def test_decisions_are_paged_and_filtered(front: Front) -> None:
    for number in range(5):
        await front.ask({**ORDER, "order_id": f"p{number}", "qty": "0.01" if number % 2 else "1"})
    newest = (await front.get("decisions?limit=2")).json()["items"]
    assert [item["order_id"] for item in newest] == ["p3", "p4"]
    first = (await front.get("decisions?limit=2&after=0")).json()
    assert [item["order_id"] for item in first["items"]] == ["p0", "p1"]
    rest = (await front.get(f"decisions?limit=10&after={first['next']}")).json()
    assert [item["order_id"] for item in rest["items"]] == ["p2", "p3", "p4"]
    assert rest["next"] is None
    denied = (await front.get("decisions?decision=DENY&bot=qe1")).json()["items"]
    assert [item["order_id"] for item in denied] == ["p0", "p2", "p4"]


@pytest.mark.parametrize("path", ["decisions?limit=0", "decisions?after=x", "decisions?decision=MAYBE", "limits?account=%20"])
async def test_questions_that_make_no_sense_are_problems(front: Front, path: str) -> None:
    answer = await front.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_unknown_accounts_orders_routes_and_methods_are_problems(front: Front) -> None:
    assert (await front.get("limits?account=nowhere")).json()["code"] == "NOT_FOUND"
    assert (await front.get("decisions/nothing")).json()["code"] == "NOT_FOUND"
    assert (await front.get("nonsense")).json()["code"] == "NOT_FOUND"
    assert (await front.http.delete("/api/v1/status")).json()["code"] == "METHOD_NOT_ALLOWED"


async def test_the_api_documents_every_route_with_an_id_and_its_refusals(front: Front) -> None:
    document = (await front.http.get("/openapi.json")).json()
    operations = [
        operation for path, methods in document["paths"].items() if path.startswith("/api") for operation in methods.values()
    ]
    assert len({operation["operationId"] for operation in operations}) == len(operations) >= 11
    for operation in operations:
        assert "401" in operation["responses"], operation["operationId"]
        assert operation["summary"]


async def test_health_readiness_and_metrics_need_no_token(front: Front) -> None:
    assert (await front.http.get("/healthz")).json() == {"status": "ok"}
    assert (await front.http.get("/readyz")).json() == {"status": "ready"}
    await front.ask(ORDER)
    text = (await front.http.get("/metrics")).text
    assert 'gateway_decisions_total{account="main",reason="OK"} 1.0' in text
