"""How a command ends: one exit code per kind of outcome, one line per failure that says what to do."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command; scripts may rely on them."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNHEALTHY = 3
    FORBIDDEN = 4
    NOT_FOUND = 5
    CONFLICT = 6
    REJECTED = 7
    TIMEOUT = 8
    INTEGRITY = 9
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done",
    Exit.FAILURE: "failed",
    Exit.USAGE: "wrong usage, or a question nobody could answer (no terminal and no --yes)",
    Exit.UNHEALTHY: "the fleet is not running, or not well",
    Exit.FORBIDDEN: "no token, a wrong one, or one without the role",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.CONFLICT: "somebody changed it meanwhile, or it is not in the state for this",
    Exit.REJECTED: "rejected by a rule of the fleet",
    Exit.TIMEOUT: "no answer in time",
    Exit.INTEGRITY: "a verification failed",
    Exit.INTERRUPTED: "interrupted",
}


class CliError(Exception):
    """A failure a human can do something about: one line, and the exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILURE) -> None:
        super().__init__(message)
        self.code = code
