"""How long work says where it is and learns that nobody wants it any more."""

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
