"""Latch files as the SDK sees them: each stops its scope, and what cannot be read stops everything."""

import json
from pathlib import Path

import pytest

from fleet_contracts import Halt
from fleet_sdk.core.state import BotState
from fleet_sdk.latch import Latches


def latches(tmp_path: Path, content: str, account: str = "main") -> Latches:
    folder = tmp_path / account
    folder.mkdir()
    (folder / "h.json").write_text(content)
    found = Latches(tmp_path, "main", "qe1", lambda: 0.0)
    found.look()
    return found


@pytest.mark.parametrize(
    ("scope", "bot", "btc", "eth"),
    [
        ("account", True, True, True),
        ("bot:qe1", True, True, True),
        ("bot:qe2", False, False, False),
        ("symbol:BTC-PERP", False, True, False),
        ("planet:mars", True, True, True),
    ],
)
def test_a_latch_file_and_a_halt_stop_their_scope(tmp_path: Path, scope: str, bot: bool, btc: bool, eth: bool) -> None:
    found = latches(tmp_path, json.dumps({"scope": scope}))
    assert (found.latched(), found.latched("BTC-PERP"), found.latched("ETH-PERP")) == (bot, btc, eth)
    halt = Halt(halt_id="h", scope=scope, cause="KILL_SWITCH", since="2026-01-05T10:00:00Z")
    state = BotState(halts=(halt,), bot="qe1")
    assert (state.stops_openings, state.stops("BTC-PERP"), state.stops("ETH-PERP")) == (bot, btc, eth)


@pytest.mark.parametrize("content", ["", "[", "[1]", "{}", '{"scope": null}', "[" * 100_000])
def test_a_latch_file_that_says_nothing_stops_everything(tmp_path: Path, content: str) -> None:
    assert latches(tmp_path, content).latched("BTC-PERP")


def test_a_latch_of_the_fleet_stops_every_account(tmp_path: Path) -> None:
    assert latches(tmp_path, "{}", "fleet").latched()


def test_a_latch_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    found = latches(tmp_path, "{}")
    (tmp_path / "main" / "h.json").unlink()
    assert not found.latched(age_s_max=-1)
