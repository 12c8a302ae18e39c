"""Where ``flowface jobs`` finds jobs: in the backend that runs, or, where none does, in the jobs folder itself.

A private backend would take up the jobs that wait there, only to leave them again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from backend.client.address import Address
from backend.client.connection import Client, OnStatus
from backend.errors import ErrorCode, UserError
from backend.server.discovery import default_jobs_dir, find_server
from backend.server.endpoint import loopback_endpoint
from backend.server.jobs import JOB_ID, JobStore
from backend.server.lists import MAX_LISTED, JobLists, bounded
from backend.server.reading_link import ReadResult
from backend.server.removal import remove_job
from protocol.messages import JobState, JobStatus, ResultReply

LAST = "last"


class JobAccess(Protocol):
    """What can be done with jobs that are there; a ``Client`` does it. All raise UserError."""

    def jobs(self, limit: int = 50) -> tuple[JobStatus, ...]:
        """The latest jobs, newest first."""

    def status(self, job_id: str) -> JobStatus:
        """The present state of a job."""

    def result(self, job_id: str, *, all_files: bool = False) -> ResultReply:
        """What a finished job has left."""

    def remove(self, job_id: str) -> None:
        """Delete a job with all that it left."""

    def cancel(self, job_id: str) -> JobStatus:
        """Ask a job to stop; its state at once."""

    def wait(self, job_id: str, on_status: OnStatus | None = None) -> JobStatus:
        """Follow a job to its end."""


class JobFolder:
    """The jobs in a folder, without a backend."""

    def __init__(self, root: Path) -> None:
        """Raises UserError (``jobs_folder``)."""
        self._store = JobStore(root)
        self._lists = JobLists(self._store, _any_file)

    def jobs(self, limit: int = 50) -> tuple[JobStatus, ...]:
        """The latest jobs, newest first."""
        return self._lists.latest(min(limit, MAX_LISTED))

    def status(self, job_id: str) -> JobStatus:
        """The state of a job as on disk."""
        return bounded(self._store.load(job_id))

    def result(self, job_id: str, *, all_files: bool = False) -> ResultReply:
        """What a finished job has left."""
        from backend.server.result import read_result

        return read_result(self._store, ReadResult(self._store.load(job_id), all_files=all_files), _any_file)

    def remove(self, job_id: str) -> None:
        """Delete a job with all that it left."""
        remove_job(self._store, job_id)

    def cancel(self, job_id: str) -> JobStatus:
        """Have no later backend take up a job that waits; raises UserError ``not_mine`` where one runs it."""
        record = self._store.take_up(job_id)
        if record is not None:
            cancelled = dataclasses.replace(record.status, state=JobState.CANCELLED, problem=None)
            try:
                self._store.save(cancelled, record.history)
            except OSError as error:
                self._store.let_go(job_id)
                raise UserError(
                    ErrorCode.JOBS_FOLDER, f"The job cannot be cancelled: {error}.", "Free some space and try again."
                ) from error
            return cancelled
        status = self.status(job_id)
        if not status.finished:
            sentence = f"The job “{status.name}” is run by a backend that cannot be found."
            raise UserError(ErrorCode.NOT_MINE, sentence, "Name its address with --endpoint.")
        return status

    def wait(self, job_id: str, on_status: OnStatus | None = None) -> JobStatus:
        """The state of a job that is over; raises UserError ``no_backend`` for one that waits, as nothing moves it."""
        status = self.status(job_id)
        if not status.finished:
            sentence = f"The job “{status.name}” waits for a backend, and none runs."
            raise UserError(ErrorCode.NO_BACKEND, sentence, "Start one with “flowface serve”.")
        if on_status:
            on_status(status)
        return status


@contextlib.contextmanager
def job_access(endpoint: str | None = None, jobs_dir: Path | None = None) -> Iterator[JobAccess]:
    """The jobs of the backend asked for, else those of a folder asked for, else of the backend that runs, else of the
    folder where backends keep them. Raises UserError."""
    if isinstance(endpoint, Address):  # may be another machine's, and its key is with it
        found: str | None = endpoint
    elif endpoint is not None:
        found = loopback_endpoint(endpoint)
    else:
        found = find_server() if jobs_dir is None else None
    if found is not None:
        with Client(found) as client:
            yield client
    else:
        yield JobFolder(jobs_dir or default_jobs_dir())


def find_job(access: JobAccess, named: str) -> JobStatus:
    """The job that a user calls ``named``: its id, the beginning of that, or “last” for the newest.

    Raises UserError ``unknown_job``, also for a beginning of several.
    """
    if JOB_ID.fullmatch(named):
        return access.status(named)
    latest = access.jobs(MAX_LISTED)
    found = list(latest[:1]) if named == LAST else [job for job in latest if named and job.job_id.startswith(named)]
    if len(found) == 1:
        return access.status(found[0].job_id)
    if not found:
        sentence = f"There is no job “{named[:60]}”" + (
            f" among the latest {MAX_LISTED}." if latest else ": there is none."
        )
        raise UserError(ErrorCode.UNKNOWN_JOB, sentence, "“flowface jobs” lists them.")
    several = ", ".join(job.job_id for job in found[:3]) + (", …" if len(found) > 3 else "")
    raise UserError(
        ErrorCode.UNKNOWN_JOB, f"{len(found)} jobs begin with “{named[:60]}”: {several}.", "Give more of the id."
    )


def _any_file(_path: Path) -> None:
    """Refuse no file."""
