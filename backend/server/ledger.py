"""The jobs that this backend owns: what clients are told of them and what is on disk are the same record.

A record that cannot be written (a full disk, one that is read-only or gone) is told once and written as soon as it can
be; meanwhile clients are told of it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from backend.errors import ErrorCode
from backend.server.history import History
from backend.server.jobs import JobStore, Record, in_words
from protocol.messages import JobState, JobStatus, Problem

log = logging.getLogger(__name__)


class Ledger:
    """Records by job id; ``on_change`` gets every new state of a job."""

    def __init__(self, store: JobStore, on_change: Callable[[JobStatus], None]) -> None:
        self._store = store
        self._on_change = on_change
        self._live: dict[str, Record] = {}
        self._unwritten: dict[str, tuple[Record, str]] = {}  # and why
        self._over: dict[str, Record] = {}  # of those unwritten

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._live

    def __getitem__(self, job_id: str) -> Record:
        return self._live[job_id]

    def newest(self, limit: int) -> list[str]:
        """The ids of the newest jobs of which more is known here than on disk."""
        return sorted(self._live.keys() | self._over.keys())[-limit:]

    def count_of(self, owner: str) -> int:
        """How many jobs of a user wait or run."""
        return sum(record.status.owner == owner for record in self._live.values())

    def status(self, job_id: str) -> JobStatus:
        """The state of any job, from memory while that is ahead of the disk; raises UserError for an unknown one."""
        record = self._live.get(job_id) or self._over.get(job_id)
        return self._store.load(job_id) if record is None else self._shown(record.status)

    def put(self, status: JobStatus, history: History | None = None, *, save: bool = True) -> bool:
        """A new state of a job that is not over; False where it should have been written and could not be."""
        job_id = status.job_id
        if history is None:
            history = self._live[job_id].history
        record = self._live[job_id] = Record(status, history)
        written = not save or self._write(record)
        if not save and job_id in self._unwritten:
            self._unwritten[job_id] = record, self._unwritten[job_id][1]
        self._on_change(self._shown(status))
        return written

    def add(self, record: Record) -> None:
        """A job of this backend from now on, as it is on disk."""
        self._live[record.status.job_id] = record

    def finish(self, job_id: str, state: JobState, problem: Problem | None = None, size: int = 0) -> None:
        """The last state of a job."""
        status = dataclasses.replace(
            self._live[job_id].status, state=state, problem=problem, seconds_remaining=None, partial=0, bytes=size
        )
        if state is not JobState.CANCELLED and self._deleted(job_id):
            state, problem = JobState.FAILED, deleted_by_hand(str(self._store.root / job_id))
            status = dataclasses.replace(status, state=state, problem=problem)
        if state is JobState.DONE:
            status = dataclasses.replace(status, stage="done", fraction=1.0)
        log.info("job %s %s%s", job_id, state, f": {problem.message}" if problem else "")
        record = Record(status, self._live.pop(job_id).history)
        if not self._write(record):
            self._over[job_id] = record
        self._on_change(self._shown(status))

    def let_go(self, job_id: str, stage: str) -> None:
        """Leave a job that is not over, queued, to the next backend."""
        record = self._live[job_id]
        status = dataclasses.replace(
            record.status, state=JobState.QUEUED, stage=stage, seconds_remaining=None, partial=0, queue_position=0
        )
        self.put(status)
        del self._live[job_id]
        self._store.let_go(job_id)

    def retry(self) -> None:
        """Write what could not be written before."""
        for job_id, (record, _) in list(self._unwritten.items()):
            if self._write(record):
                log.info("the state of job %s is written now", job_id)
                self._over.pop(job_id, None)
                if job_id in self._live:
                    self._on_change(self._live[job_id].status)

    def _shown(self, status: JobStatus) -> JobStatus:
        """A status as clients are told it: with a word on what keeps it from being written."""
        if status.job_id not in self._unwritten:
            return status
        why = self._unwritten[status.job_id][1]
        if status.finished:  # its problem is for why it failed
            return dataclasses.replace(status, stage=f"{status.stage} (not on disk yet: {why})")
        sentence = f"The state of this job cannot be written: {why}. It is tried again until it can."
        return dataclasses.replace(status, problem=Problem(ErrorCode.JOBS_FOLDER, sentence, "Free some space."))

    def _write(self, record: Record) -> bool:
        job_id = record.status.job_id
        try:
            self._store.save(record.status, record.history)
        except OSError as error:
            if self._deleted(job_id):
                self._unwritten.pop(job_id, None)
                self._store.let_go(job_id)
                return True  # nobody is left who could read it
            if job_id not in self._unwritten:
                log.error("the state of job %s cannot be written and is tried again: %s", job_id, in_words(error))
            self._unwritten[job_id] = record, in_words(error)
            return False
        self._unwritten.pop(job_id, None)
        return True

    def _deleted(self, job_id: str) -> bool:
        return not self._store.is_there(job_id) and self._store.root_is_there()


def deleted_by_hand(folder: str) -> Problem:
    """Of a job whose folder went while it was not over."""
    return Problem(ErrorCode.UNKNOWN_JOB, f"The job's folder {folder} was deleted.", "Submit the job again.")
