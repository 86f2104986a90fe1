"""Where every service of docker-compose.yml finds and keeps its files: what is on no volume is lost with its container."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_chassis.settings import FleetSettings
from fleet_cli.backup_manifest import FOLDERS
from fleet_cli.container import NATS_STORE, hand_out
from parts.compose import ROOT, SERVICES_OF_COMPOSE

KEPT = {
    "prepare": {"/fleet/secrets": "secrets", "/fleet/data/nats": "nats-data"},
    "nats": {str(NATS_STORE): "nats-data"},
    "questdb": {"/var/lib/questdb": "questdb-data"},
    "fleet-init": {},
    "risk-gateway": {"/fleet/latch": "latch", "/fleet/snapshots": "snapshots"},
    "risk-gateway-2": {"/fleet/latch": "latch", "/fleet/snapshots": "snapshots"},
    "ingest": {},
    "qe1": {"/fleet/spool": "spool", "/fleet/data/venue": "venue"},
    "prometheus": {"/prometheus": "prometheus-data"},
    "grafana": {"/var/lib/grafana": "grafana-data"},
}
"""Service → path in it → the volume it may write to."""
SEEN = {"qe1": {"/fleet/latch": "latch"}, "ingest": {"/fleet/data/questdb": "questdb-data"}}
"""The same of volumes of others that it only reads."""
SAME = {"risk-gateway-2": "risk-gateway"}
"""The second of two gateways is the same part, with the same secrets."""
WITHOUT_SECRETS = {"prepare", "prometheus", "supervisor"}
"""`prepare` and `supervisor` have all of them, Prometheus none; every other service has its own, and those alone."""
KNOWN_KEYS = (
    "build cap_drop command depends_on entrypoint environment healthcheck image init logging mem_limit network_mode networks "
    "pids_limit ports profiles pull_policy read_only restart security_opt stop_grace_period tmpfs user volumes"
)
EACH = pytest.mark.parametrize("name", SERVICES_OF_COMPOSE)


def mounted(name: str) -> list[tuple[str, str, str | None, bool]]:
    """(path, volume, folder in it, may be written) of every volume of a service."""
    found: list[tuple[str, str, str | None, bool]] = []
    for mount in SERVICES_OF_COMPOSE[name].get("volumes", []):
        if isinstance(mount, str):
            source, target, *mode = mount.split(":")
            found.append((target, source, None, not mode))
        elif mount["type"] == "volume":
            folder = mount["volume"].get("subpath")
            found.append((mount["target"], mount["source"], folder, not mount.get("read_only", False)))
    return found


@EACH
def test_a_service_writes_into_its_own_volumes_where_its_program_does(name: str) -> None:
    written = {target: source for target, source, _, writes in mounted(name) if writes}
    everything = {f"/fleet/{folder}": folder.replace("data/nats", "nats-data") for folder in FOLDERS}
    everything |= {"/fleet/data/questdb": "questdb-data", "/fleet/data/venue": "venue"}
    assert written == (everything if name == "supervisor" else KEPT[name])


@EACH
def test_a_service_sees_of_others_only_what_it_needs(name: str) -> None:
    seen = {target: source for target, source, _, writes in mounted(name) if not writes and source != "secrets"}
    assert seen == SEEN.get(name, {})


@EACH
def test_a_service_sees_its_own_secrets_and_only_reads_them(name: str) -> None:
    seen = [(folder, writes) for _, source, folder, writes in mounted(name) if source == "secrets"]
    if name in ("prepare", "supervisor"):
        assert seen == [(None, True)]
    else:
        assert seen == ([] if name in WITHOUT_SECRETS else [(f"parts/{SAME.get(name, name)}", False)])


@EACH
def test_a_service_asks_for_nothing_that_no_rule_of_the_house_looks_at(name: str) -> None:
    assert set(SERVICES_OF_COMPOSE[name]) <= set(KNOWN_KEYS.split())


def test_the_override_takes_profiles_off_and_does_nothing_else() -> None:
    class Reset(yaml.SafeLoader):
        """Knows Compose's own tag."""

    Reset.add_constructor("!reset", lambda loader, node: ("reset", []))
    override: dict[str, Any] = yaml.load((ROOT / "docker-compose.override.yml").read_text(), Reset)
    assert override == {"services": {name: {"profiles": ("reset", [])} for name in ("qe1", "prometheus", "grafana")}}


@pytest.mark.parametrize("name", [name for name in SERVICES_OF_COMPOSE if name in ("risk-gateway", "ingest")])
def test_a_service_is_healthy_when_it_says_ready_and_not_before(name: str) -> None:
    *_, script, port = SERVICES_OF_COMPOSE[name]["healthcheck"]["test"]
    assert "GET /readyz " in script
    assert script.endswith("grep -q ' 200 '")
    assert port == {"risk-gateway": "8080", "ingest": "8081"}[name]


@pytest.mark.parametrize("taken", ["nats", "questdb", "grafana", "prometheus", "prepare"])
def test_a_bot_that_is_named_like_a_container_is_refused(taken: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    for file in (ROOT / "deploy" / "config").iterdir():
        (config / file.name).write_text(re.sub(r"\bqe1\b", taken, file.read_text()))
    settings = FleetSettings(home=tmp_path / "home", config=config, host="0.0.0.0")
    with pytest.raises(ValueError, match=f"bots.{taken}: a container has this name"):
        hand_out(settings)
