"""Every bound of a pipeline, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """Bounds of group, queue and waits. Seconds are monotonic."""

    group_lines_max: int = 512
    group_bytes_max: int = 900_000
    queue_facts_max: int = 4096
    append_timeout_s: float = 0.4
    patience_s: float = 1.0
    """How long an append without an answer is resent when its waiters leave sooner: a slow fsync is no reason to
    take over again."""
    retry_s: float = 0.02
    read_timeout_s: float = 0.5
