"""States that travel, each defined once; on the wire and on disk they are their plain words.

A peer refuses a message whose state it does not know, so that a new state raises ``PROTOCOL_VERSION``.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"  # there is a result
    FAILED = "failed"  # ``JobStatus.problem`` says why
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # its backend, of before jobs were taken up by the next, stopped before it ended


FINAL_STATES = frozenset(JobState) - {JobState.QUEUED, JobState.RUNNING}
"""After these nothing more will happen to a job."""


class WorkerState(StrEnum):
    """The activity of the process that does a backend's work."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    GONE = "gone"  # the next job starts another
