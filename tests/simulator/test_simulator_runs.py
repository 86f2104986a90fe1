"""The simulated bot over the gateway's real core, in virtual time: whole runs, scenarios, and what it obeys."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from fleet_contracts import AckState, Command, Mode, OrderStatus
from parts.gated_face import GatedFace
from quantumedge_sim.options import UsageError, parse_options
from quantumedge_sim.profiles import PROFILES
from quantumedge_sim.run import Hooks, Run
from quantumedge_sim.scenarios import SCENARIOS
from quantumedge_sim.store import Store
from quantumedge_sim.summary import as_json


def made(*words: str) -> tuple[Run, GatedFace]:
    run = Run(parse_options(["--speed", "max", *words]), Store(None))
    assert run.clock is not None
    return run, GatedFace(run.clock)


class Told(GatedFace):
    """An operator gives one command, at the sixtieth candle."""

    order: Callable[[], Awaitable[None]]

    async def step(self) -> None:
        await super().step()
        if self.steps == 60:
            await self.order()


async def played(*words: str) -> tuple[dict[str, Any], GatedFace]:
    run, face = made(*words)
    press = run.options.scenario.press if run.options.scenario else None

    def on_candle(number: int) -> None:
        if press is not None and number == press.at:
            face.kill(press.reason)

    return await run.play(face, asyncio.Event(), Hooks(on_candle=on_candle)), face


async def test_the_same_seed_gives_the_same_summary_byte_for_byte() -> None:
    one, other, third = [(await played("--limit", "900", "--seed", seed))[0] for seed in ("5", "5", "6")]
    assert as_json(one) == as_json(other)
    assert as_json(one) != as_json(third)


async def test_a_busy_day_asks_before_every_order_and_tells_everything_after() -> None:
    figures, face = await played("--limit", "600", "--profile", "busy")
    orders = figures["orders"]
    assert orders["asked"] == len(face.decisions) == orders["allowed"] + orders["denied"]
    assert orders["allowed"] > 50
    assert len(orders["denied_by_reason"]) > 1, "a person watching sees refusals of several kinds"
    allowed = {decision.order_id for decision in face.decisions if decision.allowed_qty}
    assert {event.order_id for event in face.said("ORDER_EVENT")} <= allowed
    assert len(face.said("TRADE")) == figures["trades"]["count"] > 0
    assert len(face.said("SIGNAL_CONTEXT")) >= 600
    assert {event.status for event in face.said("ORDER_EVENT")} >= {
        OrderStatus.WORKING,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
    }
    assert face.core.state.ungated_fills == 0
    position = face.core.state.exposure.books["BTC-PERP"].position
    assert position == Decimal(figures["account"]["open_position"]), "the gateway's fold of the fills is the venue's position"


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if not scenario.needs_wall])
async def test_a_scenario_meets_its_expectations(name: str) -> None:
    figures, _ = await played("--scenario", name)
    assert figures["expectations"] == {expectation.what: True for expectation in SCENARIOS[name].expectations}


async def test_with_the_bus_away_nothing_is_sent_and_trading_goes_on_afterwards() -> None:
    run, face = made("--limit", "120", "--profile", "busy")

    def on_candle(number: int) -> None:
        face.cut = 30 <= number < 60

    figures = await run.play(face, asyncio.Event(), Hooks(on_candle=on_candle))
    assert figures["orders"]["answered_locally"]["denied"]["BUS_AWAY"] > 0
    assert run.tally.answered_after_heal > 0
    assert run.tally.spooled_max > 0


@pytest.mark.parametrize(
    ("command", "params", "state", "detail"),
    [
        (Command.PAUSE, {}, AckState.DONE, "no entries until RESUME"),
        (Command.SET_PROFILE, {"profile": "calm"}, AckState.DONE, "profile calm"),
        (Command.SET_PROFILE, {"profile": "wild"}, AckState.FAILED, "no profile 'wild'; there are calm, busy"),
        (Command.SET_MODE, {"mode": "live"}, AckState.FAILED, "the simulator runs in off, paper or demo, not in 'live'"),
        (Command.REPORT_ORDER, {"order_id": "nobody"}, AckState.DONE, "never sent"),
        (Command.CLOSE_POSITIONS, {}, AckState.DONE, "flat"),
        (Command.STOP, {}, AckState.DONE, "stopping"),
    ],
)
async def test_it_obeys_and_says_what_came_of_it(
    command: Command, params: dict[str, Any], state: AckState, detail: str
) -> None:
    run = Run(parse_options(["--speed", "max", "--limit", "150", "--profile", "busy"]), Store(None))
    assert run.clock is not None
    face = Told(run.clock)
    face.order = lambda: face.tell(command, "c1", **params)
    await run.play(face, asyncio.Event())
    assert ("c1", state, detail) in face.acks


async def test_in_mode_off_nothing_is_asked() -> None:
    run, face = made("--limit", "100", "--profile", "busy")
    face.told = Mode.OFF
    figures = await run.play(face, asyncio.Event())
    assert figures["orders"]["asked"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--speed", "max", "--mode", "demo"], "an account in virtual time has no bot in mode demo"),
        (["--speed", "max", "--clock", "wall"], "--speed max is virtual time"),
        (["--scenario", "bus-partition", "--clock", "event"], "happens in wall time"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_options(words)


def test_profiles_have_the_names_they_are_chosen_by() -> None:
    assert {name: profile.name for name, profile in PROFILES.items()} == {"calm": "calm", "busy": "busy"}
