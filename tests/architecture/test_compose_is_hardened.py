"""Every service of docker-compose.yml keeps every rule of the house; there are no exceptions."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from parts.compose import COMPOSE, ROOT, SERVICES_OF_COMPOSE

EACH = pytest.mark.parametrize("service", SERVICES_OF_COMPOSE.values(), ids=SERVICES_OF_COMPOSE)
LONG_RUNNING = {name: service for name, service in SERVICES_OF_COMPOSE.items() if service["restart"] != "no"}
PINNED = re.compile(r"[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.-]*")


@EACH
def test_it_cannot_become_more_than_it_is(service: dict[str, Any]) -> None:
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "devices", "pid", "ipc", "userns_mode", "uts"} & set(service)


@EACH
def test_it_writes_only_into_its_volumes_and_into_bounded_memory(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    for entry in service.get("tmpfs", []):
        assert re.search(r"[:,]size=[0-9]+m", entry)
    for mount in service.get("volumes", []):
        bind = isinstance(mount, dict) and mount["type"] == "bind"
        assert not bind or mount["read_only"], "what belongs to the checkout is only read"
        assert isinstance(mount, dict) or not mount.startswith((".", "/")), "bind mounts are written out"
        assert "docker.sock" not in str(mount)


@EACH
def test_it_is_bounded_logged_and_reaped(service: dict[str, Any]) -> None:
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert service["init"] is True
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


@EACH
def test_its_ports_are_those_of_this_machine_alone(service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")
    assert service.get("network_mode", "none") == "none"
    assert set(service.get("networks", [])) <= {"bus", "edge"}
    assert "edge" in service.get("networks", []) or "ports" not in service


@EACH
def test_its_image_is_pinned_by_tag(service: dict[str, Any]) -> None:
    image = re.sub(r"\$\{SUPERVISOR_IMAGE:-([^}]*)\}", r"\1", service["image"])
    assert PINNED.fullmatch(image), image


@EACH
def test_no_secret_stands_in_its_environment(service: dict[str, Any]) -> None:
    for name, value in service.get("environment", {}).items():
        if re.search("PASSWORD|SECRET|TOKEN|KEY", name) and "FILE" in name:
            assert str(value).startswith("/run/secrets/")
        else:
            assert not re.search("PASSWORD|SECRET|TOKEN", name)


@pytest.mark.parametrize("service", LONG_RUNNING.values(), ids=LONG_RUNNING)
def test_a_service_that_stays_says_how_it_is_and_comes_back(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    health = service["healthcheck"]
    assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert health["timeout"]
    assert health["retries"] > 0


def test_the_bus_has_no_way_out_and_only_published_parts_are_on_the_edge() -> None:
    no_nat = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert COMPOSE["networks"] == {"bus": {"internal": True}, "edge": {"driver_opts": no_nat}}
    for name, service in SERVICES_OF_COMPOSE.items():
        assert ("edge" in service.get("networks", [])) == ("ports" in service), name


def test_every_volume_is_named_and_the_database_has_one_of_its_own() -> None:
    named = {mount["source"] if isinstance(mount, dict) else mount.split(":")[0] for mount in mounts()}
    assert named - {
        "${FLEET_CONFIG:-./deploy/config}",
        "./deploy/prometheus/prometheus.yml",
        "./deploy/grafana/provisioning",
    } == set(COMPOSE["volumes"])
    database = [
        name
        for name, service in SERVICES_OF_COMPOSE.items()
        if any("questdb-data" in str(mount) for mount in service.get("volumes", []))
    ]
    assert set(database) == {"questdb", "ingest", "supervisor"}


def mounts() -> list[Any]:
    return [mount for service in SERVICES_OF_COMPOSE.values() for mount in service.get("volumes", [])]


def test_the_image_is_built_from_locked_packages_and_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    assert text.count("--require-hashes") == 2
    assert "ARG PYTHON_IMAGE=python:3.13-slim-bookworm" in text
    assert re.search(r"^USER 10001:10001$", stages[-1], re.MULTILINE)
    assert "apt-get" not in stages[-1]
    assert "pip " not in stages[-1].replace("quantumedge", "")


def test_nothing_gets_into_the_image_by_accident() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert not [line for line in lines if re.search(r"fleet\b|\.env|secret|\.git", line)]


def test_the_example_pins_every_foreign_image_by_the_tag_of_the_fleet() -> None:
    example = yaml.safe_load((ROOT / "docker-compose.digests.example.yml").read_text())["services"]
    foreign = {
        name: service["image"] for name, service in SERVICES_OF_COMPOSE.items() if "SUPERVISOR_IMAGE" not in service["image"]
    }
    assert {name: service["image"].partition("@")[0] for name, service in example.items() if "image" in service} == foreign
    assert example["prepare"]["build"]["args"]["PYTHON_IMAGE"].startswith("python:3.13-slim-bookworm@")


def test_the_image_of_the_fleet_is_built_here_and_has_the_version_of_the_fleet() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    ours = {name: service for name, service in SERVICES_OF_COMPOSE.items() if "SUPERVISOR_IMAGE" in service["image"]}
    assert {service["image"] for service in ours.values()} == {f"${{SUPERVISOR_IMAGE:-quantumedge-supervisor:{version}}}"}
    assert {service["pull_policy"] for service in ours.values()} == {"never"}
    assert [name for name, service in ours.items() if "build" in service] == ["prepare"]
