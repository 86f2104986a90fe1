"""The replay door: what it takes, what it answers, and that a wrong question is told what is wrong with it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet_chassis.log import LogUnavailable, Message
from fleet_chassis.questdb_writer import Outage
from fleet_ingest import replay as replay_module
from fleet_ingest.core.lines import Calendar, Judged, Letter, StoredMessage, judge
from fleet_ingest.metrics import Counts
from fleet_ingest.replay import Replay

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TRADE = b'{"symbol":"BTC-PERP","side":"BUY","price":"1","qty":"1","pnl":"0","event_id":"t1"}'
SUBJECT = "fleet.main.trade.qe1"


class FakeLog:
    """Messages by sequence."""

    def __init__(self, *messages: Message) -> None:
        self.messages = {message.seq: message for message in messages}
        self.away = False

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        if self.away:
            raise LogUnavailable("NATS is away")
        return self.messages.get(seq)

    async def first(self, start_seq: int, subjects: str, *, timeout_s: float) -> Message | None:
        wanted = subjects.removesuffix("*")
        found = [seq for seq, one in self.messages.items() if seq >= start_seq and one.subject.startswith(wanted)]
        return self.messages[min(found)] if found else None


class FakeJournal:
    """Judges as ingest does, and keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.away = False

    def judged(self, message: StoredMessage) -> Iterable[Judged]:
        return judge(message, Calendar(), NOW)

    async def write(self, lines: Iterable[Judged]) -> list[Letter]:
        if self.away:
            raise Outage("QuestDB is away")
        lines = list(lines)
        self.rows += [row.table for line in lines for row in line.rows]
        return [line.letter for line in lines if line.letter is not None]


class World:
    def __init__(self) -> None:
        bad_day = TRADE[:-1] + b',"ts":"2020-01-01T00:00:00Z"}'
        self.fleet = FakeLog(
            Message(SUBJECT, 12, NOW, TRADE + b"\n\nnope"), Message("fleet.main.trade.qe2", 13, NOW, TRADE + b"\n" + bad_day)
        )
        self.dead = FakeLog(
            self.letter(1, "NOT_JSON", "FLEET.12.2"),
            self.letter(2, "BAD_TS", "FLEET.13.1", "fleet.main.trade.qe2"),
            self.letter(4, "REFUSED_BY_DATABASE", "FLEET.12.0"),
        )
        self.journal, self.counts = FakeJournal(), Counts()
        logs = {"FLEET": self.fleet, "HEARTBEAT": FakeLog(), "DEAD": self.dead}
        self.replay = Replay(logs, self.journal, self.counts)  # type: ignore[arg-type]

    @staticmethod
    def letter(seq: int, reason: str, origin: str, subject: str = SUBJECT) -> Message:
        headers = {"Fleet-Origin": origin, "Fleet-Subject": subject}
        return Message(f"dead.ingest.{reason}", seq, NOW + timedelta(minutes=seq), b"", headers)

    async def ask(self, question: object) -> dict[str, Any]:
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        answer: dict[str, Any] = json.loads(await self.replay.answer(body))
        return answer

    async def origins_of(self, **wanted: object) -> list[str]:
        return [result["origin"] for result in (await self.ask({"filter": wanted}))["results"]]


async def test_an_origin_that_is_good_now_is_stored() -> None:
    world = World()
    answer = await world.ask({"origins": ["FLEET.12.0"], "reason": "the disk was full"})
    assert answer == {
        "stored": 1,
        "bad": 0,
        "missing": 0,
        "next": None,
        "results": [{"origin": "FLEET.12.0", "result": "stored"}],
    }
    assert world.journal.rows == ["events", "trades"]
    assert world.counts.replayed == 1


async def test_only_the_line_that_is_named_is_written() -> None:
    world = World()
    await world.ask({"origins": ["FLEET.13.0"]})
    assert world.journal.rows == ["events", "trades"]


async def test_each_origin_is_answered_with_what_became_of_it() -> None:
    asked = ["FLEET.12.2", "FLEET.12.0", "FLEET.12.1", "FLEET.99.0", "HEARTBEAT.1.0", "FLEET.12.0"]
    answer = await World().ask({"origins": asked})
    assert [(result["origin"], result["result"]) for result in answer["results"]] == [
        ("FLEET.12.2", "bad"),
        ("FLEET.12.0", "stored"),
        ("FLEET.12.1", "missing"),
        ("FLEET.99.0", "missing"),
        ("HEARTBEAT.1.0", "missing"),
    ]
    assert (answer["stored"], answer["bad"], answer["missing"]) == (1, 1, 3)
    assert answer["results"][0]["reason"] == "NOT_JSON"
    assert answer["results"][0]["detail"]


async def test_a_filter_chooses_letters_by_reason_subject_and_time() -> None:
    world = World()
    assert await world.origins_of() == ["FLEET.12.2", "FLEET.13.1", "FLEET.12.0"]
    assert await world.origins_of(reason="BAD_TS") == ["FLEET.13.1"]
    assert await world.origins_of(subject="fleet.*.trade.qe1") == ["FLEET.12.2", "FLEET.12.0"]
    assert await world.origins_of(since=(NOW + timedelta(minutes=2)).isoformat()) == ["FLEET.13.1", "FLEET.12.0"]
    assert await world.origins_of(until=(NOW + timedelta(minutes=2)).isoformat()) == ["FLEET.12.2"]
    assert await world.origins_of(after=2) == ["FLEET.12.0"]


async def test_a_filter_says_where_to_go_on() -> None:
    world = World()
    first = await world.ask({"filter": {"limit": 2}})
    assert ([result["origin"] for result in first["results"]], first["next"]) == (["FLEET.12.2", "FLEET.13.1"], 2)
    rest = await world.ask({"filter": {"limit": 2, "after": first["next"]}})
    assert ([result["origin"] for result in rest["results"]], rest["next"]) == (["FLEET.12.0"], None)


async def test_a_filter_with_too_much_to_look_through_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "LOOK_S", 0.0)
    assert (await World().ask({"filter": {"after": 1}}))["next"] == 1


@pytest.mark.parametrize(
    ("question", "code", "says"),
    [
        (b"nope", "NOT_JSON", ""),
        (b"[]", "INVALID_REQUEST", ""),
        ({}, "INVALID_REQUEST", "either origins or a filter"),
        ({"origins": ["FLEET.1.0"], "filter": {}}, "INVALID_REQUEST", "either origins or a filter"),
        ({"origins": []}, "INVALID_REQUEST", "origins"),
        ({"origins": ["FLEET.1.0"] * 1001}, "INVALID_REQUEST", "origins"),
        ({"origins": ["FLEET.1"]}, "INVALID_REQUEST", "FLEET.12.0"),
        ({"origins": ["DEAD.1.0"]}, "INVALID_REQUEST", "FLEET.12.0"),
        ({"origins": ["FLEET.-1.0"]}, "INVALID_REQUEST", "FLEET.12.0"),
        ({"origins": [7]}, "INVALID_REQUEST", "origins.0"),
        ({"orgins": ["FLEET.1.0"]}, "INVALID_REQUEST", "orgins"),
        ({"filter": {"reason": "BORED"}}, "INVALID_REQUEST", "filter.reason"),
        ({"filter": {"since": "yesterday"}}, "INVALID_REQUEST", "filter.since"),
        ({"filter": {"limit": 0}}, "INVALID_REQUEST", "filter.limit"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(question: object, code: str, says: str) -> None:
    answer = await World().ask(question)
    assert answer["code"] == code
    assert says in answer["error"]
    assert "\n" not in answer["error"]


async def test_while_nothing_can_be_read_or_written_it_says_so() -> None:
    world = World()
    world.journal.away = True
    assert (await world.ask({"origins": ["FLEET.12.0"]}))["code"] == "UNAVAILABLE"
    world.fleet.away = True
    assert (await world.ask({"origins": ["FLEET.12.0"]}))["code"] == "UNAVAILABLE"


async def test_more_requests_than_can_wait_are_turned_away() -> None:
    class Asked:
        def __init__(self) -> None:
            self.body, self.answers = b"{}", list[bytes]()

        def answer(self, body: bytes) -> None:
            self.answers.append(body)

    world, requests = World(), [Asked() for _ in range(10)]
    for request in requests:
        world.replay.take(request)  # type: ignore[arg-type]
    assert [json.loads(request.answers[0])["code"] for request in requests if request.answers] == ["OVERLOADED"] * 2
