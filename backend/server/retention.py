"""How much of what jobs left is kept, and for how long."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.errors import UserError
from backend.server.jobs import JobStore
from backend.server.removal import delete_folder
from backend.server.storage import folder_size
from protocol.messages import JobState

log = logging.getLogger(__name__)

GIGABYTE = 1e9
PAUSE = 0.002
"""Seconds between looks at two jobs: whoever is served meanwhile never waits for 5,000 of them."""


@dataclass(frozen=True)
class Retention:
    """The bytes that all jobs may take together, and how long a job is kept; None for no bound."""

    max_bytes: float | None = None
    max_age: timedelta | None = None

    @classmethod
    def of(cls, keep_gb: float | None, keep_days: float | None) -> Retention:
        """From the numbers that users give."""
        return cls(
            None if keep_gb is None else keep_gb * GIGABYTE, None if keep_days is None else timedelta(days=keep_days)
        )


KEEP_ALL = Retention()


class Keeper:
    """Deletes what need not be kept any more; for a thread that has the time.

    A job that is not over is kept, and one that such a job starts from. By size the oldest go first, and only those
    that failed or whose result somebody has fetched; by age all do. Sizes of jobs that are over are looked up once.
    """

    def __init__(self, store: JobStore, retention: Retention, stopped: Callable[[], bool]) -> None:
        self._store = store
        self._retention = retention
        self._stopped = stopped
        self._sizes: dict[str, int] = {}

    def tidy(self) -> None:
        """Bring the jobs folder within its bounds, as far as its jobs may go."""
        if self._retention == KEEP_ALL:
            return
        needed = self._store.needed()
        over = [job_id for job_id in self._store.names() if job_id not in needed]
        self._by_age(over)
        self._by_size(over, needed)

    def _by_age(self, over: list[str]) -> None:
        if self._retention.max_age is None:
            return
        oldest = datetime.now(UTC) - self._retention.max_age
        for job_id in over:  # oldest first
            if self._stopped() or made(job_id) >= oldest:
                return
            self._delete(job_id, "its time is over")

    def _by_size(self, over: list[str], needed: set[str]) -> None:
        bound = self._retention.max_bytes
        if bound is None:
            return
        self._sizes = dict(self._look(over))
        growing = sum(folder_size(self._store.root / job_id) for job_id in needed)
        too_much = sum(self._sizes.values()) + growing - bound
        for job_id in over:
            if self._stopped() or too_much <= 0:
                return
            if job_id in self._sizes and self._may_go(job_id) and self._delete(job_id, "to make room"):
                too_much -= self._sizes.pop(job_id)

    def _look(self, over: list[str]) -> Iterator[tuple[str, int]]:
        for job_id in over:
            if self._stopped():
                return
            if job_id in self._sizes:
                if self._store.is_there(job_id):
                    yield job_id, self._sizes[job_id]
                continue
            yield job_id, folder_size(self._store.root / job_id)
            time.sleep(PAUSE)

    def _may_go(self, job_id: str) -> bool:
        try:
            status = self._store.load(job_id)
        except UserError:  # damaged: nobody knows what it was
            return False
        return status.fetched if status.state is JobState.DONE else status.finished

    def _delete(self, job_id: str, why: str) -> bool:
        try:
            if not self._store.load(job_id).finished:
                return False
        except UserError:
            return False
        return delete(self._store.root / job_id, why)


def delete(folder: Path, why: str) -> bool:
    """Delete a job's folder; False, with a word in the log, where that is not possible."""
    with contextlib.suppress(OSError):
        delete_folder(folder)
    if folder.exists():  # Windows: a file of it is open, as a proxy that Blender shows
        log.warning("the job folder %s cannot be deleted", folder)
        return False
    log.info("job %s was deleted: %s", folder.name, why)
    return True


def made(job_id: str) -> datetime:
    """When a job was made, by its id."""
    found = re.match(r"(\d{8}-\d{6})", job_id)
    try:
        return datetime.strptime(found[1] if found else "", "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # digits that are no date: nobody's folder, kept
        return datetime.now(UTC)
