"""What was promised stays: every frozen schema is still accepted, every frozen line still means the same."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fleet_contracts import BY_TOKEN, EVENTS, EventSpec
from fleet_contracts.schemas import schema_of
from parts.freeze import MEANINGS, SCHEMAS, example_files, line_of, meaning
from parts.schema_compat import narrowings

FROZEN_LINES = sorted(MEANINGS.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return value


@pytest.mark.parametrize("spec", EVENTS, ids=lambda spec: spec.token)
def test_today_s_schema_accepts_what_the_frozen_one_did(spec: EventSpec) -> None:
    assert narrowings(read(SCHEMAS / f"{spec.token}.json"), schema_of(spec)) == []


def test_no_frozen_event_has_gone() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} <= set(BY_TOKEN)


@pytest.mark.parametrize("frozen", FROZEN_LINES, ids=lambda path: path.stem)
def test_a_frozen_line_still_means_the_same(frozen: Path) -> None:
    kept = read(frozen)
    now = meaning(kept["subject"], kept["line"].encode())
    assert {name: now.get(name) for name in kept["means"]} == kept["means"]


@pytest.mark.parametrize("example", example_files(), ids=lambda path: path.stem)
def test_a_kept_example_is_frozen_and_fits_its_schema(example: Path) -> None:
    assert (MEANINGS / example.name).exists(), "run python tests/parts/freeze.py"
    schema = schema_of(BY_TOKEN[example.name.split(".")[0]])
    jsonschema.Draft202012Validator(schema).validate(json.loads(line_of(example)))


@pytest.mark.parametrize("frozen", FROZEN_LINES, ids=lambda path: path.stem)
def test_what_the_fleet_writes_fits_the_schema(frozen: Path) -> None:
    """Emitted lines are events as well: a reader may check them with the same schema."""
    schema = schema_of(BY_TOKEN[frozen.name.split(".")[0]])
    jsonschema.Draft202012Validator(schema).validate(read(frozen)["means"])


ORDER = schema_of(BY_TOKEN["order_request"])


def changed(*path: str, to: Any) -> dict[str, Any]:
    """The order's schema with one thing different; `to` None takes it away."""
    schema = copy.deepcopy(ORDER)
    place: Any = schema
    for key in path[:-1]:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return schema


@pytest.mark.parametrize(
    "narrower",
    [
        changed("required", to=[*ORDER["required"], "strategy"]),
        changed("properties", "strategy", to=None),
        changed("additionalProperties", to=False),
        changed("properties", "symbol", "maxLength", to=32),
        changed("properties", "symbol", "minLength", to=2),
        changed("properties", "symbol", "type", to="integer"),
        changed("properties", "symbol", "enum", to=["BTC-PERP"]),
        changed("properties", "order_id", "pattern", to="^[a-z]+$"),
        changed("properties", "schema_version", "maximum", to=1),
        changed("properties", "reduce_only", "default", to=True),
        changed("properties", "event_type", "const", to="ORDER"),
        changed("properties", "qty", "anyOf", to=[{"type": "string"}]),
        changed("properties", "price", "anyOf", to=ORDER["properties"]["price"]["anyOf"][:1]),
        changed("$defs", "Side", "enum", to=["BUY"]),
        changed("properties", "signal_context", "anyOf", to=[{"type": "null"}]),
        changed("allOf", to=[*ORDER["allOf"], {"required": ["symbol"]}]),
        changed("properties", "symbol", "unheardOf", to=1),
    ],
)
def test_the_comparison_sees_every_way_of_taking_a_promise_back(narrower: dict[str, Any]) -> None:
    assert narrowings(ORDER, narrower)


@pytest.mark.parametrize(
    "wider",
    [
        ORDER,
        changed("required", to=[]),
        changed("properties", "extra", to={"type": "string"}),
        changed("properties", "symbol", "maxLength", to=128),
        changed("properties", "symbol", "maxLength", to=None),
        changed("properties", "symbol", to={"anyOf": [ORDER["properties"]["symbol"], {"type": "integer"}]}),
        changed("$defs", "Side", "enum", to=["BUY", "SELL", "CROSS"]),
        changed("properties", "schema_version", "type", to="number"),
        changed("properties", "symbol", "title", to="The market"),
    ],
)
def test_the_comparison_lets_promises_grow(wider: dict[str, Any]) -> None:
    assert narrowings(ORDER, wider) == []
