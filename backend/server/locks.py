"""Who owns a job: a lock on a file of its folder, which the system drops with the process that held it.

The file is there exactly as long as its job is not over, so that unfinished jobs are found by one look each.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

LOCK = "lock"


class JobLocks:
    """The locks that this backend holds."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, FileLock] = {}
        self._told: set[str] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._held

    def own(self, job_id: str) -> bool:
        """Take the lock of a job, or False where another backend has it; raises OSError where none can be made."""
        if job_id in self._held:
            return True
        if not (self._root / job_id).is_dir():  # filelock would make it, where a disk is gone or somebody deleted it
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self._root / job_id))
        # Not thread_local: a backend is made in one thread and may serve in another.
        lock = FileLock(self._root / job_id / LOCK, mode=0o600, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except NotImplementedError as error:
            raise OSError(f"this file system has no locks ({error})") from error
        self._held[job_id] = lock
        return True

    def try_own(self, job_id: str) -> bool:
        """``own``, where a lock that cannot be made is told once and is nobody's."""
        try:
            return self.own(job_id)
        except OSError as error:
            if job_id not in self._told:
                self._told.add(job_id)
                log.error("job %s cannot be locked and waits: %s", job_id, error)
            return False

    def release(self, job_id: str, *, over: bool) -> None:
        """Give a lock back; with ``over`` its file goes as well. Raises nothing."""
        lock = self._held.pop(job_id, None)
        path = self._root / job_id / LOCK
        # Removed while it is held: whoever opened it meanwhile gets a lock without a name, which filelock refuses.
        if over:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if lock:
            with contextlib.suppress(OSError):
                lock.release()
        if over:
            with contextlib.suppress(OSError):  # Windows removes no open file, so once more
                path.unlink(missing_ok=True)

    def release_all(self) -> None:
        """Give all locks back; their jobs are anyone's."""
        for job_id in list(self._held):
            self.release(job_id, over=False)
