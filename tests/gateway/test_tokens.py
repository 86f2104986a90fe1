"""Tokens: known by their hash, changed without a restart, and never so many requests that one crowds out the others."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fleet_chassis import auth
from fleet_chassis.auth import Tokens, make_tokens
from fleet_chassis.config import ConfigError, SupervisorConfig, load_config
from fleet_chassis.home import FleetHome
from parts.gateway import ROOT
from parts.http_front import Front, opened
from risk_gateway.access import Bucket, Buckets
from risk_gateway.core.admission import Rate

CONFIG = load_config(ROOT / "deploy" / "config").supervisor


@pytest.fixture
def home(tmp_path: Path) -> FleetHome:
    home = FleetHome(tmp_path / "home")
    home.make()
    return home


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with opened(tmp_path / "home") as front:
        yield front


def bearer(token: str, scheme: str = "Bearer") -> bytes:
    return f"{scheme} {token}".encode()


async def test_a_token_changed_on_disk_counts_and_the_old_one_is_void(home: FleetHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "LOOK_S", 0.01)
    make_tokens(home, CONFIG.tokens)
    tokens, old = Tokens(CONFIG, home), home.token("operator").read_text().strip()
    following = asyncio.create_task(tokens.follow())
    try:
        assert tokens.identify(bearer(old)) is not None
        home.token("operator").write_text("another\n")
        async with asyncio.timeout(10):
            while tokens.identify(bearer(old)) is not None:
                await asyncio.sleep(0.01)
        identity = tokens.identify(bearer("another"))
        assert identity is not None
        assert identity.name == "operator"
        home.token("operator").unlink()
        async with asyncio.timeout(10):
            while tokens.identify(bearer("another")) is not None:
                await asyncio.sleep(0.01)
    finally:
        following.cancel()


async def test_an_unreadable_token_file_leaves_the_others_in_force(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(auth, "LOOK_S", 0.01)
    make_tokens(home, CONFIG.tokens)
    tokens, known = Tokens(CONFIG, home), home.token("viewer").read_text().strip()
    home.token("admin").unlink()
    home.token("admin").mkdir()
    following = asyncio.create_task(tokens.follow())
    async with asyncio.timeout(10):
        while "the tokens stay as they were" not in caplog.text:
            await asyncio.sleep(0.01)
    following.cancel()
    assert tokens.identify(bearer(known)) is not None


def test_a_token_kept_elsewhere_is_known_by_its_hash_and_no_file_is_made(home: FleetHome) -> None:
    secret = "sup_auditor_kept-in-a-vault"
    token = {"role": "viewer", "sha256": hashlib.sha256(secret.encode()).hexdigest()}
    config = SupervisorConfig.model_validate(CONFIG.model_dump() | {"tokens": {"auditor": token}})
    make_tokens(home, config.tokens)
    assert not home.token("auditor").exists()
    identity = Tokens(config, home).identify(bearer(secret))
    assert identity is not None
    assert (identity.name, identity.role) == ("auditor", "viewer")
    assert Tokens(config, home).identify(bearer(token["sha256"])) is None, "the hash is not the token"


def test_an_empty_token_file_lets_nobody_in(home: FleetHome) -> None:
    home.token("admin").write_text("\n")
    assert Tokens(CONFIG, home).identify(bearer("")) is None


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Bearer ", b"Basic cWUx", b"bearer  x"])
def test_what_is_no_bearer_token_is_nobody(home: FleetHome, header: bytes) -> None:
    make_tokens(home, CONFIG.tokens)
    assert Tokens(CONFIG, home).identify(header) is None


def test_the_name_of_the_scheme_has_no_case(home: FleetHome) -> None:
    make_tokens(home, CONFIG.tokens)
    assert Tokens(CONFIG, home).identify(bearer(home.token("qe1").read_text().strip(), "bEARER")) is not None


def test_a_hash_that_is_none_stops_the_start(tmp_path: Path) -> None:
    for name in ("supervisor.yaml", "risk.yaml"):
        (tmp_path / name).write_text((ROOT / "deploy" / "config" / name).read_text())
    file = tmp_path / "supervisor.yaml"
    file.write_text(file.read_text().replace("viewer: {role: viewer}", "viewer: {role: viewer, sha256: abc}"))
    with pytest.raises(ConfigError, match=r"supervisor.yaml:\d+: tokens.viewer.sha256"):
        load_config(tmp_path)


SLOW = Rate(per_s=0.001, burst=3)


async def test_a_token_that_asks_too_often_is_told_when_to_come_back(front: Front) -> None:
    front.app.buckets = Buckets(dict.fromkeys(Bucket, SLOW))
    answers = [await front.get("halts") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["code"] == "TOO_MANY_REQUESTS"
    assert (await front.get("halts", "operator")).status_code == 200, "others are not crowded out"


async def test_stopping_is_never_crowded_out_by_other_acts(front: Front) -> None:
    front.app.buckets = Buckets(dict.fromkeys(Bucket, SLOW))
    answers = [await front.post("resume", {"reason": "noise", "phrase": "wrong"}) for _ in range(4)]
    assert answers[-1].status_code == 429
    assert (await front.post("halt", {"reason": "stop it"})).status_code == 200
