"""The tap takes what somebody listens for and passes the rest on, however the bytes are cut; nats-py's parser is the oracle."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client as NatsPy
from nats.protocol.parser import Parser

from fleet_chassis.nats_client import header_block, read_headers
from fleet_chassis.nats_tap import LINE_MAX, Take, Tap

Heard = tuple[int, str, str, bytes, bytes]
"""Subscription number, subject, reply, body, header block."""


class Under(asyncio.StreamReaderProtocol):
    """What the client has made: notes what reaches it."""

    def __init__(self) -> None:
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


class Pair:
    """A tap with listeners on some numbers, and the protocol under it."""

    def __init__(self, numbers: set[int]) -> None:
        self.heard: list[Heard] = []
        self.under = Under()
        self.tap = Tap(self.under, {number: self._take(number) for number in numbers})

    def _take(self, number: int) -> Take:
        return lambda subject, reply, body, headers: self.heard.append((number, subject, reply, body, headers))

    def feed(self, data: bytes, cuts: list[int]) -> None:
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, end in pairwise(edges):
            if end > start:
                self.tap.data_received(data[start:end])


class _Client:
    """Notes what nats-py's parser hands to its client."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.heard.append((sid, subject.decode(), reply.decode(), data, headers or b""))

    async def _nothing(self, *_: Any) -> None:
        pass

    _process_ping = _process_pong = _process_info = _process_err = _nothing


async def parsed(data: bytes) -> list[Heard]:
    """The messages as nats-py reads them."""
    client = _Client()
    await Parser(client).parse(data)
    return client.heard


subjects = st.from_regex(r"[a-zA-Z0-9_$]{1,8}(\.[a-zA-Z0-9_-]{1,8}){0,4}", fullmatch=True)
others = st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b'INFO {"server_id":"x","max_payload":1048576}\r\n'])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A MSG or HMSG frame; a body may look like frames itself."""
    number, subject = draw(st.integers(1, 4)), draw(subjects)
    reply = draw(st.one_of(st.just(""), subjects))
    body = draw(st.one_of(st.binary(max_size=60), st.just(b"\r\nMSG a 1 2\r\nhi\r\n"), st.just(b"PING\r\n")))
    to = f"{subject} {number} {reply}" if reply else f"{subject} {number}"
    if draw(st.booleans()):
        headers = header_block({"Fleet-Leader": "a.1", "x": draw(st.from_regex(r"[a-z]{0,9}", fullmatch=True))})
        return f"HMSG {to} {len(headers)} {len(headers) + len(body)}\r\n".encode() + headers + body + b"\r\n"
    return f"MSG {to} {len(body)}\r\n".encode() + body + b"\r\n"


@given(
    frames=st.lists(st.one_of(messages(), others), max_size=12),
    numbers=st.sets(st.integers(1, 4)),
    cuts=st.lists(st.integers(0, 4000), max_size=12),
)
def test_what_is_taken_and_what_is_passed_on_is_what_nats_py_reads(
    frames: list[bytes], numbers: set[int], cuts: list[int]
) -> None:
    pair = Pair(numbers)
    pair.feed(b"".join(frames), cuts)
    read = [(frame, heard[0] if (heard := asyncio.run(parsed(frame))) else None) for frame in frames]
    assert pair.heard == [heard for _, heard in read if heard is not None and heard[0] in numbers]
    assert pair.under.received == b"".join(frame for frame, heard in read if heard is None or heard[0] not in numbers)


def test_a_subject_that_is_no_text_keeps_nobody_from_hearing() -> None:
    pair = Pair({1})
    pair.feed(b"MSG \xff\xfe 1 1\r\nx\r\nMSG a 1 \xff 1\r\ny\r\nMSG a 1 1\r\nz\r\n", [])
    assert [body for _, _, _, body, _ in pair.heard] == [b"z"]


def test_a_listener_that_fails_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []

    def fail(*_: object) -> None:
        raise ValueError("no")

    tap = Tap(Under(), {1: fail, 2: lambda subject, reply, body, headers: heard.append(body)})
    tap.data_received(b"MSG a 1 1\r\nx\r\nMSG b 2 1\r\ny\r\n")
    assert heard == [b"y"]
    assert "the listener of a failed" in caplog.text


@pytest.mark.parametrize(
    "line", [b"MSG a one 2\r\n", b"MSG a 1 two\r\n", b"MSG\r\n", b"HMSG a 1 x 2\r\n", b"x" * (LINE_MAX + 1)]
)
def test_what_is_no_frame_is_the_clients_to_judge(line: bytes) -> None:
    pair = Pair({1})
    pair.feed(line, [])
    assert pair.under.received.startswith(line)
    assert pair.heard == []


@pytest.mark.parametrize(
    "block",
    [
        b"NATS/1.0\r\nFleet-Leader: a.1\r\nNats-Msg-Id: x y\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\nNats-Last-Stream: 9\r\n\r\n",
        b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 500\r\nNats-Pending-Bytes: 0\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\n\r\n",
    ],
)
async def test_headers_read_as_nats_py_reads_them(block: bytes) -> None:
    theirs = await NatsPy()._process_headers(block)
    assert read_headers(block) == {str(getattr(name, "value", name)): value for name, value in theirs.items()}


def test_headers_read_back_as_they_were_written() -> None:
    headers = {"Fleet-Leader": "gateway-1.7", "Nats-Expected-Last-Subject-Sequence": "12"}
    assert read_headers(header_block(headers)) == headers
    assert header_block({}) == b""
