"""What keeps ingest from its work right now, by name: said once in the log when it begins and ends, and by /readyz."""

import logging

_log = logging.getLogger(__name__)


class Conditions:
    """Problems in force. Ready when there are none."""

    def __init__(self) -> None:
        self._present: dict[str, str] = {}

    def begin(self, name: str, what: str) -> None:
        """`name` is in the way; `what` is one line for a person. Repeating it is silent."""
        if name not in self._present:
            _log.warning("%s", what)
        self._present[name] = what

    def end(self, name: str) -> None:
        """`name` is out of the way."""
        if self._present.pop(name, None) is not None:
            _log.info("%s: well again", name)

    def put(self, name: str, what: str | None) -> None:
        """`begin` with a text, `end` with None."""
        if what is None:
            self.end(name)
        else:
            self.begin(name, what)

    def __contains__(self, name: str) -> bool:
        return name in self._present

    @property
    def not_ready(self) -> str | None:
        """All of them in one line; None when there are none."""
        return "; ".join(self._present.values()) or None
