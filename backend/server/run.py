"""The job that runs."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Run:
    """The job that runs. Times are of ``time.monotonic``."""

    job_id: str
    started: float
    saved: float
    cancel_deadline: float | None = None
    partial_file: str | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since it started."""
        return time.monotonic() - self.started
