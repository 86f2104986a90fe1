"""The fleet's NATS client: nats-py with a short way in and a short way out, for what every order passes.

nats-py puts a queue and a task between the socket and a callback, and another task before each write: some twenty turns of
the event loop for an append and its acknowledgement. Here a `listen`er is called while the bytes are read, and what is sent
goes to the transport at once, which writes all of one turn together. All else (connecting, reconnecting, requests, usual
subscriptions) is nats-py's own. It leans on that library's inside: the version is locked, and mypy and tests look at it.
"""

from nats.aio.client import Client as NatsPy
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import BadSubjectError, MaxPayloadError, OutboundBufferLimitError

from fleet_chassis.nats_tap import Take, Tap

NO_HEADERS = b""


def header_block(headers: dict[str, str]) -> bytes:
    """Headers as NATS writes them; empty without any. Names and values come from this house and are of one line."""
    if not headers:
        return NO_HEADERS
    return ("NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()


def read_headers(block: bytes) -> dict[str, str]:
    """A header block: `NATS/1.0`, perhaps a status and a description, then `name: value` lines."""
    if not block:
        return {}
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    headers = {}
    _, _, status = first.partition(" ")
    if status:
        headers["Status"], space, description = status.strip().partition(" ")
        if space:
            headers["Description"] = description
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers


class Listening:
    """A subscription of `listen`."""

    def __init__(self, client: "Client", subscription: Subscription) -> None:
        self._client, self._subscription = client, subscription

    async def stop(self) -> None:
        """Take nothing more. Raises NatsError when the connection is closed for good."""
        self._client.takers.pop(self._subscription._id, None)
        await self._subscription.unsubscribe()


class Client(NatsPy):  # type: ignore[misc] # nats-py has no types
    """One connection. `takers`: who is called for the messages of a subscription, by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.takers: dict[int, Take] = {}

    @property
    def pending_data_size(self) -> int:
        """Bytes not yet in the kernel's hands."""
        writer = getattr(self._transport, "_io_writer", None)
        return int(self._pending_data_size + (writer.transport.get_write_buffer_size() if writer is not None else 0))

    async def listen(self, subject: str, take: Take) -> Listening:
        """Call `take` for every message of a subject, in order. What it raises is logged."""

        async def late(message: Msg) -> None:
            raise AssertionError("the tap has handed it over")

        subscription = await self.subscribe(subject, cb=late)
        self.takers[subscription._id] = take
        return Listening(self, subscription)

    def send(self, subject: str, body: bytes, reply: str = "", headers: bytes = NO_HEADERS) -> None:
        """Publish at the end of this turn of the loop. Raises NatsError: not connected, or too large."""
        if not self.is_connected:
            raise OutboundBufferLimitError
        if not subject:
            raise BadSubjectError
        size = len(headers) + len(body)
        if size > self._max_payload:
            raise MaxPayloadError
        to = f"{subject} {reply}" if reply else subject
        line = f"HPUB {to} {len(headers)} {size}\r\n" if headers else f"PUB {to} {size}\r\n"
        command = b"".join((line.encode(), headers, body, b"\r\n"))
        if self._pending:
            self._pending.append(command)
            self._pending_data_size += len(command)
        else:
            assert self._transport is not None
            self._transport.write(command)

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        if self.is_connected and not self._pending and self._transport is not None:
            self._transport.write(cmd)
        else:
            await super()._send_command(cmd, priority)

    async def _process_connect_init(self) -> None:
        """nats-py has connected, once more perhaps: from here on listeners get their messages first."""
        await super()._process_connect_init()
        transport = self._transport._io_writer.transport
        transport.set_protocol(Tap(transport.get_protocol(), self.takers))
