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


def never() -> bool:
    """A ``ShouldCancel`` of work that nobody calls off."""
    return False
