"""Progress, partial results and cancellation of long work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class JobProgress:
    """``stage`` in words, ``fraction`` of the whole job in 0…1, frames of this stage (total 0 while unknown)."""

    stage: str
    fraction: float
    frames_done: int = 0
    frames_total: int = 0


OnProgress = Callable[[JobProgress], None]
ShouldCancel = Callable[[], bool]
OnPartial = Callable[[str], None]
"""Called with the name of a track in the job's folder, ``partial_….npz``, whole by then: the take as known so far."""


@dataclass(frozen=True)
class Attempt:
    """Which try of a job this is, from 1, and how often it has run out of memory: each time it takes about half."""

    number: int = 1
    smaller: int = 0


def never() -> bool:
    """A ``ShouldCancel`` of work that nobody calls off."""
    return False
