"""The facts of a pipeline that are put and neither folded nor certainly unstored: by id, and by their bytes."""

import asyncio

from fleet_contracts.entry import Fact
from fleet_contracts.envelope import Event


class Held:
    """One owner, the pipeline. `none` is set while nothing is held."""

    def __init__(self) -> None:
        self.none = asyncio.Event()
        self.none.set()
        self._by_key: dict[str, Fact] = {}
        self._by_line: dict[bytes, Event] = {}

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def add(self, fact: Fact) -> None:
        """A fact is put."""
        self._by_key[fact.key] = fact
        self._by_line[fact.line] = fact.event
        self.none.clear()

    def remove(self, fact: Fact) -> bool:
        """Its fate is known; False when it was not held."""
        if self._by_key.pop(fact.key, None) is None:
            return False
        self._by_line.pop(fact.line, None)
        if not self._by_key:
            self.none.set()
        return True

    def get(self, key: str | None) -> Fact | None:
        """The fact with an id."""
        return self._by_key.get(key or "")

    def recall(self, line: bytes) -> Event | None:
        """The event of a line that is held: whoever meets these bytes in the log need not read them."""
        return self._by_line.get(line)

    def facts(self) -> list[Fact]:
        """All of them, oldest first."""
        return list(self._by_key.values())
