"""Processes told apart, started and ended on every system.

An id may be taken again, an id together with the time its process began may not.
"""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

CLOCK_TOLERANCE = 5.0  # seconds by which the start of one process may differ between readings: clocks get set

CREATE_NEW_PROCESS_GROUP = 0x200  # as in ``subprocess``, which knows the two on Windows only
CTRL_BREAK_EVENT = 1

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


def own_group(system: str) -> dict[str, Any]:
    """Options of ``Popen`` that keep a terminal's Ctrl-C from a child, on ``system`` (as ``sys.platform`` says it)."""
    return {"creationflags": CREATE_NEW_PROCESS_GROUP} if system == "win32" else {"start_new_session": True}


BACKGROUND_NICENESS = 10
"""A tenth of the processor where somebody else wants it (Linux: 110 parts beside 1,024)."""


def step_back(pid: int) -> None:
    """Have a process of ``own_group`` leave the processor to others where they want it; one that the system will not
    slow goes on."""
    below = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", BACKGROUND_NICENESS)  # Windows has no niceness
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(below)
    # Linux shares the processors between sessions first (sched(7), autogroups), and niceness counts within one only
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(BACKGROUND_NICENESS))


def ending_signal(system: str) -> int:
    """The signal that asks a backend of ``own_group`` to end: on Windows SIGTERM would end it before it could close."""
    return CTRL_BREAK_EVENT if system == "win32" else int(signal.SIGTERM)


def exit_in_words(code: int, system: str) -> str:
    """The end of a process with this return code of ``subprocess``, in words."""
    if code < 0:
        known = {int(entry): entry.name for entry in signal.Signals}
        return f"was ended by {known.get(-code, f'signal {-code}')}"
    if system == "win32" and code >= 1 << 31:  # an NTSTATUS, such as an access violation
        return f"was ended by Windows (0x{code:08X})"
    return f"ended with status {code}"


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
