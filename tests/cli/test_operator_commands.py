"""What an operator types against a gateway: reading, halting, resuming, changing limits, and every way it can go wrong.

One file, though long: every command speaks to one faithful gateway.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_chassis.config import load_risk
from fleet_cli import app, decisions
from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway
from fleet_cli.limits import differences, dump
from parts.fake_gateway import FakeGateway, fake_gateway

RISK = Path(__file__).parents[2] / "deploy" / "config" / "risk.yaml"
HALT = {"halt_id": "h-1", "cause": "DAILY_LOSS", "since": "2026-01-05T10:00:00Z", "by": "limit", "recorded": True}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with fake_gateway() as fake:
        monkeypatch.setenv("SUPERVISOR_URL", fake.url)
        monkeypatch.setenv("SUPERVISOR_TOKEN", "sup_operator_secret")
        yield fake


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this machine whose gateway is away."""
    root = tmp_path / "home"
    for folder in ("latch", "run", "secrets/tokens"):
        (root / folder).mkdir(parents=True)
    monkeypatch.delenv("SUPERVISOR_URL", raising=False)
    monkeypatch.setenv("FLEET_HOME", str(root))
    monkeypatch.setenv("FLEET_GATEWAY_PORT", "1")
    return root


def decision(number: int, **more: object) -> dict[str, object]:
    row = {
        "ts": f"2026-01-05T10:00:{number:02}.123456Z",
        "decision": "ALLOW",
        "reason": "OK",
        "bot": "qe1",
        "side": "BUY",
        "qty": "0.01",
        "symbol": "BTC-PERP",
        "order_type": "LIMIT",
        "price": "43000.5",
        "order_id": f"o-{number}",
        "cursor": f"{number}.0",
    }
    return row | more


def test_decisions_are_lines_with_their_reasons(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [decision(1), decision(2, decision="DENY", reason="HALTED", message="account main is halted")]
    gateway.answer("GET", "/decisions", {"items": rows, "next": None})
    assert app.run(["decisions", "--bot", "qe1", "--since", "2026-01-05T00:00:00", "-n", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["time", "(UTC)", "answer", "reason"]
    assert lines[1].split()[:7] == ["2026-01-05", "10:00:01.123", "ALLOW", "OK", "qe1", "BUY", "0.01"]
    assert lines[2].endswith("account main is halted")
    asked = gateway.seen[0]
    assert asked.query == {"limit": "7", "account": "main", "bot": "qe1", "since": "2026-01-05T00:00:00+00:00"}
    assert asked.headers["authorization"] == "Bearer sup_operator_secret"


def test_a_list_with_nothing_in_it_says_so(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("/decisions", "/positions", "/reservations"):
        gateway.answer("GET", what, {"items": [], "next": None})
    assert app.run(["decisions", "--bot", "nobody"]) == 0
    assert "no such decision of account main" in capsys.readouterr().err
    assert app.run(["positions"]) == 0
    assert "account main holds nothing" in capsys.readouterr().err
    assert app.run(["reservations"]) == 0
    assert "account main has no allowed order on its way" in capsys.readouterr().err


def test_a_refusal_says_nothing_twice(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    told = "account main has no bot 'nobody'; there are: qe1"
    gateway.refuse("POST", "/halt", 422, "INVALID_REQUEST", told, [{"field": "bot", "detail": told}])
    assert app.run(["halt", "--bot", "nobody", "--reason", "a test", "--yes"]) == Exit.USAGE
    assert capsys.readouterr().err == f"supervisor: {told} (INVALID_REQUEST)\n"


def test_pages_are_read_until_the_limit(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer("GET", "/decisions", {"items": [decision(1), decision(2)], "next": "2.0"})
    gateway.answer("GET", "/decisions", {"items": [decision(3), decision(4)], "next": "4.0"})
    assert app.run(["decisions", "-n", "3", "-o", "jsonl"]) == 0
    assert [json.loads(line)["order_id"] for line in capsys.readouterr().out.splitlines()] == ["o-1", "o-2", "o-3"]
    assert [seen.query.get("after") for seen in gateway.seen] == [None, "2.0"]


def test_the_tail_goes_on_from_the_newest_and_survives_a_gateway_that_is_away(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = decisions._PAGE
    gateway.answer("GET", "/decisions", {"items": [decision(1)], "next": None})
    gateway.answer("GET", "/decisions", {"items": [decision(1)], "next": None})
    gateway.answer("GET", "/decisions", {"items": [decision(2)] * page, "next": None})
    gateway.answer("GET", "/decisions", {"items": [decision(3, bot="qe2")], "next": None})
    gateway.refuse("GET", "/decisions", 503, "NOT_READY", "folding")
    gateway.refuse("GET", "/decisions", 503, "NOT_READY", "folding")
    gateway.answer("GET", "/decisions", {"items": [decision(4, bot="qe2"), decision(5)], "next": None})
    gateway.refuse("GET", "/decisions", 403, "FORBIDDEN", "enough")
    monkeypatch.setattr(decisions, "POLL_S", 0)
    assert app.run(["decisions", "--tail", "--bot", "qe1", "-o", "jsonl"]) == Exit.FORBIDDEN
    seen = capsys.readouterr()
    assert [json.loads(line)["order_id"] for line in seen.out.splitlines()] == ["o-1", *["o-2"] * page, "o-5"]
    assert seen.err.count("folding (NOT_READY); waiting for it") == 1
    assert [asked.query.get("after") for asked in gateway.seen] == [None, None, "1.0", "2.0", "3.0", "3.0", "3.0", "5.0"]


def test_positions_and_reservations_are_tables(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer("GET", "/positions", {"items": [{"symbol": "BTC-PERP", "qty": "-0.1", "price": None}], "next": None})
    gateway.answer("GET", "/reservations", {"items": [{"bot": "qe1", "order_id": "o-1", "state": "UNKNOWN"}], "next": None})
    assert app.run(["positions", "--account", "second"]) == 0
    assert app.run(["reservations", "--json"]) == 0
    out = capsys.readouterr().out
    assert "BTC-PERP    -0.1" in out
    assert '"state": "UNKNOWN"' in out
    assert gateway.seen[0].query["account"] == "second"


@pytest.mark.parametrize("words", [["halt"], ["limits", "apply"], ["resume"], ["dead", "replay", "1"]])
def test_a_change_needs_a_reason(words: list[str], gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(words) == 2
    assert "--reason" in capsys.readouterr().err
    assert not gateway.seen


@pytest.mark.parametrize("words", [["halt"], ["resume"]])
def test_a_change_asks_and_without_anybody_there_does_nothing(words: list[str], gateway: FakeGateway) -> None:
    live_limits(gateway)
    gateway.answer("GET", "/halts", {"items": [HALT], "next": None})
    assert app.run([*words, "--reason", "a test"]) == 2
    assert all(seen.method == "GET" for seen in gateway.seen)


def test_a_halt_is_posted_once_with_its_reason(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer("POST", "/halt", {"halt": HALT, "trading_state": "HALTED"})
    assert app.run(["halt", "--reason", "too wild", "--yes"]) == 0
    assert gateway.seen[0].body == {"reason": "too wild"}
    assert len(gateway.seen[0].headers["idempotency-key"]) == 36
    assert "account main is HALTED: halt h-1 by limit, recorded" in capsys.readouterr().err


def test_a_halt_without_a_gateway_writes_the_latch_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["halt", "--reason", "too wild", "--yes"]) == 0
    (path,) = (home / "latch" / "main").glob("*.json")
    latch = json.loads(path.read_text())
    assert latch["halt_id"] == path.stem
    assert latch["cause"] == "KILL_SWITCH"
    assert {"scope", "since", "by"} <= latch.keys()
    assert "cannot be reached" in capsys.readouterr().err


def test_a_latch_file_never_leaves_its_folder(home: Path) -> None:
    assert app.run(["halt", "--reason", "too wild", "--yes", "--account", "../../x"]) == Exit.UNHEALTHY
    assert not list(home.rglob("*.json"))


def test_a_halt_of_a_named_gateway_that_is_away_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERVISOR_URL", "http://127.0.0.1:1")
    assert app.run(["halt", "--reason", "too wild", "--yes"]) == Exit.UNHEALTHY
    assert not list(home.rglob("*.json"))


def test_resuming_takes_the_phrase_and_names_what_is_lifted(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    live_limits(gateway)
    gateway.answer("GET", "/halts", {"items": [HALT], "next": None})
    gateway.answer("POST", "/resume", {"lifted": ["h-1"], "halts": [], "trading_state": "ACTIVE"})
    assert app.run(["resume", "--reason", "mended", "--phrase", "resume all"]) == 2
    assert app.run(["resume", "--reason", "mended", "--phrase", "resume main"]) == 0
    seen = {"reason": "mended", "phrase": "resume main", "halt_ids": ["h-1"]}
    assert gateway.seen[-1].body == seen, "what comes while somebody reads what is halted stays in force"
    assert "DAILY_LOSS since 2026-01-05T10:00:00Z by limit (h-1)" in capsys.readouterr().err


def test_a_resume_that_does_not_last_says_so_before_and_after(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    loss = {"item": "DAILY_LOSS", "clean": False, "detail": "the day's loss is 505.31 of 500.00: the next EQUITY halts again"}
    gateway.answer("GET", "/halts", {"items": [HALT], "next": None, "checklist": [loss]})
    again = [{**HALT, "halt_id": "h-2"}]
    gateway.answer("POST", "/resume", {"lifted": ["h-1"], "halts": again, "trading_state": "HALTED"})
    words = [
        "resume",
        "--reason",
        "mended",
        "--phrase",
        "resume main",
        "--override",
        "DAILY_LOSS=we go on",
        "--rebase-drawdown",
    ]
    assert app.run(words) == Exit.REJECTED
    assert gateway.seen[-1].body["overrides"] == {"DAILY_LOSS": "we go on"}
    assert gateway.seen[-1].body["rebase_drawdown"] is True
    said = capsys.readouterr().err
    assert "[ ] DAILY_LOSS: the day's loss is 505.31 of 500.00" in said
    assert "HALTED again: DAILY_LOSS" in said


def test_a_reason_too_short_is_said_before_anything_is_asked(gateway: FakeGateway) -> None:
    assert app.run(["resume", "--reason", "ok", "--phrase", "resume main"]) == Exit.USAGE
    assert app.run(["halt", "--reason", "  ", "--yes"]) == Exit.USAGE
    assert not gateway.seen


def test_resuming_one_halt_names_it_and_resuming_nothing_is_a_conflict(gateway: FakeGateway) -> None:
    live_limits(gateway)
    gateway.answer("GET", "/halts", {"items": [HALT], "next": None})
    gateway.answer("POST", "/resume", {"lifted": ["h-1"], "halts": [], "trading_state": "ACTIVE"})
    common = ["resume", "--reason", "mended", "--phrase", "resume main", "--halt-id"]
    assert app.run([*common, "h-2"]) == Exit.CONFLICT
    assert app.run([*common, "h-1"]) == 0
    assert gateway.seen[-1].body["halt_ids"] == ["h-1"]


def live_limits(gateway: FakeGateway) -> dict[str, object]:
    risk = dump(load_risk(RISK).accounts["main"])
    view = {"account": "main", "revision": 3, "digest": "d", "limits": risk["limits"], "risk": risk, "usage": []}
    view["usage"] = [{"limit": "max_gross_exposure", "used": "4002", "max": "20000", "headroom": "15998", "used_pct": "20"}]
    gateway.answer("GET", "/limits", view, headers={"ETag": '"3-d"'})
    return view


def test_limits_show_use_and_what_is_off(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    live_limits(gateway)
    assert app.run(["limits", "show"]) == 0
    seen = capsys.readouterr()
    rows = {line.split()[0]: line.split()[1:] for line in seen.out.splitlines()}
    assert rows["max_gross_exposure"] == ["20000", "4002", "20000", "15998", "20"]
    assert rows["order_rate"] == ["off"]
    assert "revision 3" in seen.err


def test_limits_apply_shows_the_difference_and_sends_the_revision_it_was_made_against(
    gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live_limits(gateway)
    gateway.answer("POST", "/limits", {"account": "main", "revision": 4, "digest": "e"})
    changed = tmp_path / "risk.yaml"
    changed.write_text(RISK.read_text().replace("max_order_notional: 5000", "max_order_notional: 4000.0"))
    assert app.run(["limits", "apply", str(changed), "--reason", "calmer"]) == 2
    assert app.run(["limits", "apply", str(changed), "--reason", "calmer", "--yes"]) == 0
    seen = capsys.readouterr()
    assert seen.out.splitlines()[0] == "  limits.max_order_notional: 5000 → 4000"
    assert "revision 4 is in force" in seen.err
    posted = [asked for asked in gateway.seen if asked.method == "POST"]
    assert len(posted) == 1
    assert posted[0].headers["if-match"] == '"3-d"'
    assert posted[0].body["reason"] == "calmer"
    assert posted[0].body["risk"]["limits"]["max_order_notional"] == "4000.0"


def test_limits_apply_of_what_is_in_force_changes_nothing(gateway: FakeGateway) -> None:
    live_limits(gateway)
    assert app.run(["limits", "apply", str(RISK), "--reason", "again", "--yes"]) == 0
    assert all(asked.method == "GET" for asked in gateway.seen)


def test_limits_diff_shows_what_a_file_would_change_and_changes_nothing(
    gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live_limits(gateway)
    changed = tmp_path / "risk.yaml"
    changed.write_text(RISK.read_text().replace("max_leverage: 3", "max_leverage: 2"))
    assert app.run(["limits", "diff", str(changed)]) == 0
    seen = capsys.readouterr()
    assert seen.out == "  limits.max_leverage: 3 → 2\n"
    assert "only by `supervisor limits apply`" in seen.err
    assert app.run(["limits", "diff", str(RISK)]) == 0
    assert "is what" in capsys.readouterr().err
    assert all(asked.method == "GET" for asked in gateway.seen)


def test_limits_show_tells_bands_in_words_when_they_are_reached_and_who_is_disabled(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gross = {"limit": "max_gross_exposure", "place": "limits", "used": "15000", "max": "20000", "headroom": "5000"}
    gross |= {"used_pct": "75", "band": "WARN", "breach_in_s": 5400.0}
    own = {"limit": "max_open_orders", "place": "bots.qe1", "used": "2", "max": "2", "headroom": "0", "used_pct": "100"}
    scalp = {
        "kind": "strategy",
        "name": "scalp",
        "since": "2026-01-05T10:00:00Z",
        "cause": "3 times the same",
        "order_id": "o-1",
    }
    view = {"revision": 3, "limits": {"max_gross_exposure": "20000"}, "usage": [gross, own | {"band": "BREACH"}]}
    view |= {"disabled": [scalp], "doubts": {"DAILY_LOSS": "2026-01-05T10:00:00Z"}, "file_differs": True}
    gateway.answer("GET", "/limits", view)
    assert app.run(["limits", "show"]) == 0
    seen = capsys.readouterr()
    rows = [line.split() for line in seen.out.splitlines()]
    assert ["max_gross_exposure", "20000", "15000", "20000", "5000", "75", "WARN", "90", "min"] in rows
    assert ["max_open_orders", "of", "bots.qe1", "2", "2", "2", "0", "100", "BREACH"] in rows
    assert "supervisor limits enable --strategy scalp" in seen.err
    assert "untrusted equity" in seen.err
    assert "limits diff" in seen.err


def test_a_strategy_is_enabled_with_a_reason(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer("POST", "/limits/enable", {"account": "main", "revision": 4})
    assert app.run(["limits", "enable", "--reason", "mended", "--yes"]) == Exit.USAGE
    assert app.run(["limits", "enable", "--strategy", "scalp", "--reason", "mended"]) == Exit.USAGE
    assert app.run(["limits", "enable", "--strategy", "scalp", "--reason", "mended", "--yes"]) == 0
    (posted,) = gateway.seen
    assert posted.body == {"reason": "mended", "strategy": "scalp"}
    assert "revision 4" in capsys.readouterr().err


def test_the_shadow_says_what_it_would_have_answered(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer("GET", "/limits/shadow", {"active": False, "file": "risk.shadow.yaml", "error": None})
    denied = {"decision": "DENY", "reason": "ORDER_RATE", "message": "too many"}
    allowed = {"decision": "ALLOW", "reason": "OK", "message": None}
    order = {
        "ts": "2026-01-05T10:00:00.123456Z",
        "bot": "qe1",
        "order_id": "o-1",
        "symbol": "BTC-PERP",
        "side": "BUY",
        "qty": "1",
    }
    view = {"active": True, "since": "2026-01-05T09:00:00Z", "judged": 12, "skipped": 0}
    view |= {"would_deny": {"orders": 1, "reasons": {"ORDER_RATE": 1}}, "would_allow": {"orders": 0, "reasons": {}}}
    view |= {"examples": [{**order, "live": allowed, "shadow": denied}]}
    gateway.answer("GET", "/limits/shadow", view)
    assert app.run(["limits", "shadow"]) == 0
    assert "risk.shadow.yaml" in capsys.readouterr().err
    assert app.run(["limits", "shadow"]) == 0
    seen = capsys.readouterr()
    assert seen.out.splitlines()[1].split()[2:5] == ["ALLOW", "DENY", "ORDER_RATE"]
    assert "1 would have been denied: ORDER_RATE 1" in seen.err
    assert app.run(["limits", "shadow", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["judged"] == 12


def test_a_revision_that_moved_meanwhile_is_a_conflict(gateway: FakeGateway, tmp_path: Path) -> None:
    live_limits(gateway)
    gateway.refuse("POST", "/limits", 412, "PRECONDITION_FAILED", "the limits have changed since you read them; look again")
    changed = tmp_path / "risk.yaml"
    changed.write_text(RISK.read_text().replace("max_leverage: 3", "max_leverage: 2"))
    assert app.run(["limits", "apply", str(changed), "--reason", "calmer", "--yes"]) == Exit.CONFLICT


def test_a_risk_file_that_does_not_fit_is_named_with_its_line(
    gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "risk.yaml"
    changed.write_text(RISK.read_text().replace("max_leverage", "max_levarage"))
    assert app.run(["limits", "apply", str(changed), "--reason", "calmer", "--yes"]) == 2
    assert f"{changed}:" in capsys.readouterr().err


def test_differences_compare_numbers_as_numbers_and_name_what_is_switched_on_or_off() -> None:
    live = {"a": {"b": "5", "c": 1.0}, "off": None, "flag": True}
    assert differences(live, {"a": {"b": 5.0, "c": "1"}, "flag": True}) == []
    assert differences(live, {"a": {"b": "6"}, "on": 2, "flag": False}) == [
        ("a.b", "5", "6"),
        ("a.c", "1", None),
        ("flag", "true", "false"),
        ("on", None, "2"),
    ]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.USAGE),
        (401, Exit.FORBIDDEN),
        (403, Exit.FORBIDDEN),
        (404, Exit.NOT_FOUND),
        (409, Exit.CONFLICT),
        (422, Exit.USAGE),
        (500, Exit.FAILURE),
        (503, Exit.UNHEALTHY),
    ],
)
def test_a_refusal_is_one_line_and_an_exit_code(
    gateway: FakeGateway, status: int, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.refuse("GET", "/positions", status, "SOME_CODE", "because", [{"field": "qty", "detail": "is missing"}])
    assert app.run(["positions"]) == code
    assert capsys.readouterr().err == "supervisor: because (SOME_CODE); qty: is missing\n"


def test_a_gateway_that_is_none_or_slow_or_without_token_is_said(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.answer("GET", "/positions", b"<html>")
    assert app.run(["positions"]) == Exit.FAILURE
    assert "is it a risk-gateway?" in capsys.readouterr().err
    gateway.refuse("GET", "/halts", 401, "UNAUTHENTICATED", "a token is required")
    monkeypatch.delenv("SUPERVISOR_TOKEN")
    with Gateway("viewer") as asked, pytest.raises(CliError, match="SUPERVISOR_TOKEN is not set") as refused:
        asked.get("/halts")
    assert refused.value.code is Exit.FORBIDDEN


def test_without_a_fleet_the_message_says_how_to_start_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["positions"]) == Exit.UNHEALTHY
    assert "start it with `supervisor up`" in capsys.readouterr().err


def test_dead_letters_without_a_fleet_say_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["dead", "list"]) == Exit.FORBIDDEN
    assert "operator.nk" in capsys.readouterr().err


def test_the_status_of_a_fleet_that_does_not_run_is_unhealthy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["status", "-o", "json"]) == Exit.UNHEALTHY
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"


def test_stopping_a_fleet_that_does_not_run_is_fine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["down"]) == 0
    assert "the fleet was not running" in capsys.readouterr().err


def test_status_of_a_fleet_in_containers_is_what_its_gateway_sees(
    gateway: FakeGateway, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPERVISOR_URL", gateway.url)
    beats: list[dict[str, object]] = [
        {"name": "risk-gateway", "instance": "risk-gateway-1", "heartbeat_age_s": 0.3},
        {"name": "risk-gateway", "instance": "risk-gateway-2", "heartbeat_age_s": 0.2},
        {"name": "ingest", "heartbeat_age_s": 60.0},
    ]
    view = {
        "services": beats,
        "bots": [{"name": "qe1"}],
        "accounts": [{"account": "main", "trading_state": "ACTIVE", "halts": [], "leader": "risk-gateway-2.7"}],
    }
    gateway.answer("GET", "/status", view)
    assert app.run(["status"]) == Exit.UNHEALTHY
    said = capsys.readouterr()
    assert [line.split()[:2] for line in said.out.splitlines()[1:4]] == [
        ["risk-gateway", "ready"],
        ["risk-gateway-2", "ready"],
        ["ingest", "away"],
    ]
    assert "account main: ACTIVE, led by risk-gateway-2" in said.err
    gateway.answers.clear()
    gateway.answer("GET", "/status", {**view, "services": beats[:2]})
    assert app.run(["status", "--json"]) == 0


@pytest.mark.parametrize("words", [["up"], ["down"], ["demo"], ["logs", "ingest"], ["run-foreground"]])
def test_in_containers_docker_starts_and_stops(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPERVISOR_CONTAINERS", "1")
    assert app.run(words) == Exit.USAGE
    assert "are containers: use `" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("where", "how"), [(None, "supervisor up"), ("SUPERVISOR_CONTAINERS", "docker compose up -d --wait")])
def test_who_reaches_no_gateway_is_told_how_the_fleet_is_started_there(
    where: str | None, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if where:
        monkeypatch.setenv(where, "1")
    assert app.run(["limits", "show"]) == Exit.UNHEALTHY
    assert f"start it with `{how}`" in capsys.readouterr().err


POSITION = {
    "symbol": "BTC-PERP",
    "qty": "0",
    "reported_qty": "0.2",
    "reported_at": "2026-01-05T10:00:00Z",
    "difference": "0.2",
    "drift": "STANDS",
    "drift_since": "2026-01-05T09:59:00Z",
}


@pytest.mark.parametrize("words", [["positions"], ["positions", "show"], ["positions", "--account", "main"]])
def test_positions_show_what_is_posted_and_reported_and_what_differs(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    gateway.answer("GET", "/positions", {"items": [POSITION], "next": None})
    assert app.run(words) == 0
    head, row = capsys.readouterr().out.splitlines()[:2]
    assert head.split()[:3] == ["symbol", "posted", "reported"]
    assert row.split()[:3] == ["BTC-PERP", "0", "0.2"]
    assert row.rstrip().endswith("0.2 since 2026-01-05T09:59:00Z: no entries")


def test_reconcile_sends_the_quantity_that_was_shown_with_the_reason(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.answer("GET", "/positions", {"items": [POSITION], "next": None})
    gateway.answer("POST", "/positions/reconcile", {"account": "main", "symbol": "BTC-PERP", "previous_qty": "0", "qty": "0.2"})
    assert app.run(["positions", "reconcile", "BTC-PERP", "--reason", "held before", "-y"]) == 0
    assert gateway.seen[-1].body == {"reason": "held before", "symbol": "BTC-PERP", "reported_qty": "0.2"}
    said = capsys.readouterr()
    assert "0 by fills, 0.2 as reported at 2026-01-05T10:00:00Z" in said.err + said.out


def test_what_nobody_reports_cannot_be_reconciled(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer("GET", "/positions", {"items": [], "next": None})
    assert app.run(["positions", "reconcile", "BTC-PERP", "--reason", "held before", "-y"]) == Exit.NOT_FOUND
    assert "no position in BTC-PERP is reported" in capsys.readouterr().err


def test_reservations_show_how_often_a_bot_was_asked_and_what_it_said(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "order_id": "a",
        "state": "UNKNOWN",
        "times_asked": 3,
        "asked_since": "2026-01-05T10:00:00Z",
        "bot_said": "FAILED: gone",
    }
    gateway.answer("GET", "/reservations", {"items": [row], "next": None})
    assert app.run(["reservations"]) == 0
    assert "3 times since 2026-01-05T10:00:00Z: FAILED: gone" in capsys.readouterr().out
