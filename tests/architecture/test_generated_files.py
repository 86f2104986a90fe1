"""Schemas, AsyncAPI document and docs pages are what the registry makes of them today."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_contracts import EVENTS
from fleet_contracts.generate import DOCS, main, stale, wanted


def test_the_generated_files_are_current() -> None:
    assert stale() == [], "run python -m fleet_contracts.generate"


def test_the_check_names_what_is_not_current(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    missing = Path("nowhere/at/all.json")
    monkeypatch.setattr("fleet_contracts.generate.wanted", lambda: {missing: "{}"})
    assert main(["--check"]) == 1
    assert str(missing) in capsys.readouterr().err


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))
    found = list(references(document))
    assert found
    for reference in found:
        if reference.startswith("#/"):
            place = document
            for key in reference.removeprefix("#/").split("/"):
                place = place[key]
        else:
            assert (DOCS / reference).resolve().is_file(), reference


def test_the_asyncapi_document_has_every_event_and_every_door() -> None:
    document = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))
    assert document["asyncapi"] == "3.0.0"
    assert {spec.token for spec in EVENTS} | {"evaluate", "review", "state"} <= set(document["channels"])


def test_the_pages_name_every_event_and_hold_no_path_of_this_machine() -> None:
    for path, text in wanted().items():
        assert str(DOCS.parent) not in text, path
    page = wanted()[DOCS / "events.md"]
    assert not [spec.type for spec in EVENTS if f"## {spec.type}\n" not in page]
