"""The limits as people see and change them over HTTP: headroom, revisions, a disabled strategy, the shadow set."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from parts.gateway import ROOT
from parts.http_front import ORDER, Front, opened
from risk_gateway import shadow_set

RISK = (ROOT / "deploy" / "config" / "risk.yaml").read_text()


@pytest_asyncio.fixture
async def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Front]:
    monkeypatch.setattr(shadow_set, "LOOK_S", 0.05)
    async with opened(tmp_path / "home") as front:
        yield front


async def put_in_force(front: Front, **limits: Any) -> None:
    seen = await front.get("limits")
    risk = seen.json()["risk"]
    risk["limits"] |= limits
    done = await front.post("limits", {"reason": "for a test", "risk": risk}, "approver", **{"If-Match": seen.headers["etag"]})
    assert done.status_code == 200, done.text


async def ask(front: Front, order_id: str, **more: Any) -> str:
    reason: str = (await front.ask({**ORDER, "order_id": order_id, **more})).json()["reason"]
    return reason


async def test_the_view_has_bands_headroom_and_what_differs_from_the_file(front: Front) -> None:
    await put_in_force(front, max_open_orders=1, warn_pct=60)
    await ask(front, "a")
    view = (await front.get("limits")).json()
    rows = {row["limit"]: row for row in view["usage"] if row["place"] == "limits"}
    assert (rows["max_open_orders"]["band"], rows["max_open_orders"]["headroom"]) == ("BREACH", "0")
    assert rows["max_gross_exposure"]["band"] == "OK"
    assert view["limits"]["warn_pct"] == "60"
    assert not view["file_differs"], "what was applied here is what this gateway means"


async def test_a_strategy_that_repeats_itself_is_enabled_by_an_approver_with_a_reason(front: Front) -> None:
    await put_in_force(front, repeated_order={"count": 2, "per_s": 60})
    assert [await ask(front, name, strategy="scalp") for name in "abc"] == ["OK", "REPEATED_ORDER", "REPEATED_ORDER"]
    (disabled,) = (await front.get("limits")).json()["disabled"]
    assert (disabled["kind"], disabled["name"], disabled["order_id"]) == ("strategy", "scalp", "b")
    body = {"reason": "the loop is mended", "strategy": "scalp"}
    assert (await front.post("limits/enable", body, "operator")).status_code == 403
    assert (await front.post("limits/enable", {"reason": "neither named"}, "approver")).status_code == 422
    done = await front.post("limits/enable", body, "approver")
    assert (done.status_code, done.json()["revision"]) == (200, 3)
    assert await ask(front, "d", strategy="scalp") == "OK"
    again = await front.post("limits/enable", body, "approver")
    assert (again.status_code, again.json()["code"]) == (409, "NOT_DISABLED")
    view = (await front.get("limits")).json()
    assert (view["disabled"], view["reason"], view["by"]) == ([], "the loop is mended", "approver")
    commands = [m for m in front.log.messages if ".operator_command." in m.subject]
    assert b'"command":"enable"' in commands[-1].body


async def judged(front: Front, count: int) -> dict[str, Any]:
    """The shadow's report, once it has judged so many orders."""
    async with asyncio.timeout(10):
        while True:
            report: dict[str, Any] = (await front.get("limits/shadow")).json()
            if report["active"] and report["judged"] >= count:
                return report
            await asyncio.sleep(0.02)


async def until_active(front: Front, active: bool) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (report := (await front.get("limits/shadow")).json())["active"] is not active:
            await asyncio.sleep(0.02)
    return report  # type: ignore[no-any-return]


async def test_a_candidate_in_risk_shadow_yaml_is_judged_beside_and_changes_no_answer(front: Front, tmp_path: Path) -> None:
    await until_active(front, False)
    file = tmp_path / "home" / shadow_set.FILE
    file.write_text(RISK.replace("max_order_notional: 5000", "max_order_notional: 300"))
    await until_active(front, True)
    assert [await ask(front, name) for name in "ab"] == ["OK", "OK"]
    assert await ask(front, "c", qty="0.005") == "OK"
    report = await judged(front, 3)
    assert report["would_deny"] == {"orders": 2, "reasons": {"ORDER_NOTIONAL_TOO_LARGE": 2}}
    assert report["would_allow"] == {"orders": 0, "reasons": {}}
    assert report["skipped"] == 0
    example = report["examples"][0]
    assert (example["order_id"], example["live"]["decision"]) == ("a", "ALLOW")
    assert example["shadow"]["reason"] == "ORDER_NOTIONAL_TOO_LARGE"
    assert "300 USDT" in example["shadow"]["message"]
    file.write_text("accounts: {}")
    assert "accounts" in (await until_active(front, False))["error"]
    assert not front.shard.core.shadowed
    listeners = front.shard.drive.pipeline.fold.listeners
    assert front.shard.limits.shadow._see not in listeners, "nothing is left on the way of orders"


async def test_what_the_shadow_cannot_keep_up_with_is_skipped_and_counted(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_set, "WAITING_MAX", 0)
    (tmp_path / "home" / shadow_set.FILE).write_text(RISK)
    await until_active(front, True)
    await ask(front, "a")
    async with asyncio.timeout(10):
        while (await front.get("limits/shadow")).json()["skipped"] != 1:
            await asyncio.sleep(0.02)
