"""Takes the messages of some subscriptions out of a NATS connection's bytes, before the client's reading task sees them.

It stands between the transport and the client's stream protocol. Whole messages of `takers` are handed over while the bytes
are received; every other line goes on to the client unchanged and in order.
"""

import asyncio
import logging
from collections.abc import Callable

Take = Callable[[str, str, bytes, bytes], None]
"""Takes a message: subject, reply subject, body, header block (the latter three may be empty). Must return at once."""
LINE_MAX = 4096
"""A message's control line is shorter."""
_log = logging.getLogger(__name__)


class Tap(asyncio.Protocol):
    """`under` is the protocol the client has made; `takers` is looked into for every message, by subscription number."""

    def __init__(self, under: asyncio.StreamReaderProtocol, takers: dict[int, Take]) -> None:
        self._under, self._takers = under, takers
        self._parts: list[bytes] = []
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._parts = []
        others = self._split(data)
        if others:
            self._under.data_received(b"".join(others))

    def eof_received(self) -> bool | None:
        return self._under.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._under.connection_lost(exc)

    def pause_writing(self) -> None:
        self._under.pause_writing()

    def resume_writing(self) -> None:
        self._under.resume_writing()

    def _split(self, data: bytes) -> list[bytes]:
        """Hand over what is somebody's, keep what is not whole yet; what is left is the client's."""
        others: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                if end - at > LINE_MAX:
                    others.append(data[at:])  # no message begins so: the client can tell
                else:
                    self._keep(data[at:], 1)
                break
            after = line_end + 2
            frame = _frame(data[at:line_end].split()) if data.startswith((b"MSG ", b"HMSG "), at) else None
            if frame is not None:
                number, subject, reply, head, size = frame
                after += size + 2
                if after > end:
                    self._keep(data[at:], after - end)
                    break
                take = self._takers.get(number)
                if take is not None:
                    body_at = line_end + 2 + head
                    _hand_over(take, subject, reply, data[body_at : after - 2], data[line_end + 2 : body_at])
                    at = after
                    continue
            others.append(data[at:after])
            at = after
        return others

    def _keep(self, part: bytes, missing: int) -> None:
        self._parts, self._missing = [part], missing


def _hand_over(take: Take, subject: bytes, reply: bytes, body: bytes, headers: bytes) -> None:
    try:
        take(subject.decode(), reply.decode(), body, headers)
    except Exception:  # noqa: BLE001 - reading goes on, whoever listens
        _log.exception("the listener of %s failed", subject.decode(errors="replace"))


def _frame(fields: list[bytes]) -> tuple[int, bytes, bytes, int, int] | None:
    """Subscription number, subject, reply, bytes of headers, bytes of headers and body, as a control line says them: `MSG
    subject number [reply] size`, or `HMSG subject number [reply] head size`. None for what is neither.
    """
    head = 0
    if fields[0] == b"HMSG":
        if len(fields) < 5 or not fields[-2].isdigit():
            return None
        head = int(fields.pop(-2))
    if len(fields) not in (4, 5) or not fields[2].isdigit() or not fields[-1].isdigit():
        return None
    return int(fields[2]), fields[1], fields[3] if len(fields) == 5 else b"", head, int(fields[-1])
