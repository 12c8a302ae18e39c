"""Is that process still there?"""

from __future__ import annotations

import os
import sys
from typing import IO

if sys.platform == "win32":
    import ctypes
    import msvcrt

    _STILL_ACTIVE = 259
    _QUERY_LIMITED_INFORMATION = 0x1000

    def is_alive(pid: int) -> bool:
        """Whether a process with this id runs. (os.kill with signal 0 would end it on Windows.)"""
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == _STILL_ACTIVE

    def try_lock(file: IO[bytes]) -> bool:
        """Lock an open file for as long as it stays open; False where another process holds it."""
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def is_alive(pid: int) -> bool:
        """Whether a process with this id runs."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def try_lock(file: IO[bytes]) -> bool:
        """Lock an open file for as long as it stays open; False where another process holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class ParentWatch:
    """Notices that the process on whose behalf a server runs has gone."""

    def __init__(self, parent_pid: int) -> None:
        self._pid = parent_pid
        self._is_direct = os.getppid() == parent_pid

    def gone(self) -> bool:
        """Whether the parent has ended. A direct parent's id may be taken again, so being orphaned counts first."""
        if self._is_direct and os.getppid() != self._pid:
            return True
        return not is_alive(self._pid)
