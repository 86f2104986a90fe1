"""The facts of a pipeline that are put and neither folded nor certainly unstored; and the messages it sent lately."""

import asyncio
from collections import deque
from collections.abc import Sequence

from fleet_contracts.entry import Fact

SENT_MAX = 8
"""Messages kept to be met again in the log. One is in flight at a time; an older one may be folded late."""


class Held:
    """One owner, the pipeline. `none` is set while nothing is held."""

    def __init__(self) -> None:
        self.none = asyncio.Event()
        self.none.set()
        self._by_key: dict[str, Fact] = {}
        self._sent: deque[tuple[bytes, Sequence[Fact]]] = deque(maxlen=SENT_MAX)

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def add(self, fact: Fact) -> None:
        """A fact is put."""
        self._by_key[fact.key] = fact
        self.none.clear()

    def sent(self, body: bytes, facts: Sequence[Fact]) -> None:
        """Facts are on their way into the log, as the lines of one message."""
        self._sent.append((body, facts))

    def remove(self, fact: Fact) -> bool:
        """Its fate is known; False when it was not held."""
        if self._by_key.pop(fact.key, None) is None:
            return False
        if not self._by_key:
            self.none.set()
        return True

    def get(self, key: str | None) -> Fact | None:
        """The fact with an id."""
        return self._by_key.get(key or "")

    def recall(self, body: bytes) -> Sequence[Fact] | None:
        """The facts of a message of these bytes: whoever meets them in the log need not read them."""
        for sent, facts in self._sent:
            if sent == body:
                return facts
        return None

    def facts(self) -> list[Fact]:
        """All of them, oldest first."""
        return list(self._by_key.values())
