"""What tracks the clips of a batch: one contract for this machine's backend and for a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

from protocol.job import TrackJob
from protocol.messages import Problem


class Ending(StrEnum):
    """How an attempt at a clip ended."""

    DONE = "done"  # its work folder holds the results
    FAILED = "failed"  # for a reason that another attempt would meet as well
    CRASHED = "crashed"  # the process that tracked it died, by its fault or not
    LOST = "lost"  # the machine or the backend that tracked it is gone


@dataclass(frozen=True)
class Attempt:
    """A clip to track; its results go into ``folder``, which is there and empty.

    ``token`` (32 hexadecimal digits) is the same where a run that was killed had begun this attempt already.
    """

    name: str
    spec: TrackJob
    folder: Path
    token: str


@dataclass(frozen=True)
class Running:
    """News of an attempt: ``stage`` in words, ``fraction`` of the clip in 0…1, ``where`` the machine's name."""

    name: str
    stage: str
    fraction: float
    where: str = ""


@dataclass(frozen=True)
class Outcome:
    """The end of an attempt. ``problem`` says why it is not done; ``log`` is the traceback of an error in FlowFace.

    ``seconds`` is the time that it took, waiting for its turn apart; None where nobody knows.
    """

    name: str
    ending: Ending
    problem: Problem | None = None
    where: str = ""
    log: str = ""
    seconds: float | None = None


class Executor(Protocol):
    """Tracks clips somewhere; a context manager. Leaving the context calls off what still runs.

    Entering it and ``wait`` raise UserError where nothing can be tracked any more: no backend, no cluster.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def slots(self) -> int:
        """The attempts that it takes at once, queued ones included; may change."""
        ...

    def submit(self, attempt: Attempt) -> None:
        """Begin an attempt, or queue it."""
        ...

    def wait(self, seconds: float) -> list[Running | Outcome]:
        """What has happened since the last call, after at most about ``seconds`` where nothing has."""
        ...
