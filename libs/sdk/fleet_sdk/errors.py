"""What the SDK raises. Everything else it answers with a verdict or keeps trying by itself."""


class SdkError(Exception):
    """The base of all errors of this package."""


class InvalidEvent(SdkError, ValueError):
    """The fields given are no event (or no order); the message names the field. Nothing was sent or kept."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field


class InvalidOrder(InvalidEvent):
    """What was to be evaluated is no order, by our own check or by the gateway's (`INVALID_REQUEST`)."""


class TooLarge(InvalidEvent):
    """The event's line is longer than the contract allows (64 kB)."""


class SpoolError(SdkError):
    """The event could not be written down, so it is *not* taken: the caller still has it."""


class SpoolFull(SpoolError):
    """The spool holds as much as it may: the bus has been away too long. What it holds is kept; the new event is not taken."""


class SpoolInUse(SpoolError):
    """Another process runs this bot on this account with the same spool."""


class NoDecision(SdkError):
    """Virtual time only: there was no decision, so the run cannot go on as it would have."""


class BusAway(SdkError):
    """Virtual time only: an event was not acknowledged in time. It stays in the spool."""
