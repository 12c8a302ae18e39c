"""Processes told apart: an id may be taken again, an id together with the time its process began may not."""

from __future__ import annotations

import contextlib

import psutil  # type: ignore[import-untyped]

CLOCK_TOLERANCE = 5.0  # seconds by which the start of one process may differ between readings: clocks get set

_NONE = (psutil.Error, ValueError, OverflowError)  # the last two: no process can have a negative or a huge id


def start_time(pid: int) -> float:
    """The time at which a process that runs began, in seconds since 1970; 0.0 where none does."""
    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except _NONE:
        return 0.0


def is_alive(pid: int, started: float) -> bool:
    """The process with this id runs, and it is the one that began then (``start_time``)."""
    found = start_time(pid)
    return found > 0.0 and abs(found - started) < CLOCK_TOLERANCE


class ParentWatch:
    """Notices that the process on whose behalf a server runs has gone, even where its id was taken again."""

    def __init__(self, parent_pid: int) -> None:
        self._parent: psutil.Process | None = None
        with contextlib.suppress(*_NONE):
            self._parent = psutil.Process(parent_pid)

    def gone(self) -> bool:
        """The parent has ended; it need not have been reaped for that."""
        try:
            return not (self._parent and self._parent.is_running() and self._parent.status() != psutil.STATUS_ZOMBIE)
        except psutil.AccessDenied:
            return False
        except psutil.NoSuchProcess:
            return True
