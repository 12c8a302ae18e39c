"""How a backend is, as it tells its own user's clients when they greet it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Health:
    """The figures of a backend; what takes time to look at (the disk, memory) is some seconds old."""

    uptime_seconds: float
    jobs_queued: int
    jobs_running: int
    jobs_folder: str
    folder_problem: str = ""  # one sentence: why nothing can be written there; "" where it can
    bytes_free: int | None = None  # on its disk; None while unknown
    worker_restarts: int = 0
    backend_bytes: int = 0  # of memory that it holds; 0 while unknown
    worker_bytes: int = 0
    oldest_protocol: int = 0  # that it speaks
    newest_protocol: int = 0
