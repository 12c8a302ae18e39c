"""Jobs on disk: one folder each, so that a job outlives the client that asked and the backend that ran it.

    <jobs>/<job id>/spec.json       what was asked, as protocol.job.Job with its kind
                    state.json      where it stands, as protocol.JobStatus; replaced atomically
                    lock            locked by the backend that owns the job while it is queued or running
                    alignments/     chunks, written while the footage is aligned: what a resumed job need not redo
                    partial_*.npz   tracks of a running job that can be shown before it ends
                    alignments.npz  all of them, track.npz, report.json, log.txt: written at the end
                    tracked.npz     of a refined take: as it was tracked, which the next refine starts from
                    texture.png     the skin as the footage shows it, of a take that has one

A job whose state says queued or running but whose lock is free lost its backend; it becomes ``interrupted``. The
system drops a dead process's locks, so no clock or process id is trusted for that, and backends may share the folder.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from backend.errors import ErrorCode, UserError
from backend.files import MAX_REPORT_BYTES, read_json, write_atomic
from protocol.codec import ProtocolError
from protocol.fields import from_plain, to_plain
from protocol.messages import FollowingJob, Job, JobState, JobStatus, Problem

BOOKKEEPING = ("spec.json", "state.json", "lock", "log.txt")
"""Files of a job's folder that are no result."""

JOB_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")

PARTIAL = "partial_"
"""Begins the names of files that are deleted when their job ends, so that no other file can be taken for one."""

INTERRUPTED = Problem(
    ErrorCode.INTERRUPTED, "The backend stopped while this job was queued or running.", "Track the footage again."
)


class JobStore:
    """The jobs folder. Made readable for its owner only, because jobs name footage and hold faces."""

    def __init__(self, root: Path) -> None:
        """Open or make the folder; raises UserError (``jobs_folder``) where that is not possible."""
        self.root = root
        self._locks: dict[str, FileLock] = {}
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(
                ErrorCode.JOBS_FOLDER,
                f"The jobs folder {root} cannot be made: {error.strerror}.",
                "Choose another --jobs-dir.",
            ) from error

    def create(self, spec: Job, owner: str = "") -> JobStatus:
        """Put a new queued job on disk and own it; raises UserError ``unknown_job`` where its parent is none."""
        parent = self.load(spec.parent) if isinstance(spec, FollowingJob) else None
        now = datetime.now(UTC)
        within = now.microsecond >> 4  # four digits, so that ids of one second are in order as well
        job_id = f"{now:%Y%m%d-%H%M%S}-{within:04x}{secrets.token_hex(2)}"
        footage = parent.footage if parent else spec.footage
        name = spec.name or (parent.name if parent else Path(footage).stem)
        created = now.isoformat(timespec="milliseconds")
        status = JobStatus(job_id, name, JobState.QUEUED, footage=footage, created=created, kind=spec.KIND, owner=owner)
        folder = self.root / job_id
        try:
            folder.mkdir(mode=0o700)
            self._own(job_id)
            write_atomic(folder / "spec.json", _json(to_plain(spec)))
            self.save(status)
        except OSError as error:
            sentence = f"The job cannot be written to {folder}: {error.strerror}."
            raise UserError(ErrorCode.JOBS_FOLDER, sentence, "Free some space or choose another --jobs-dir.") from error
        return status

    def folder(self, job_id: str) -> Path:
        """The folder of a job; raises UserError (``unknown_job``) for anything that is not one, paths included."""
        folder = self.root / job_id
        if not JOB_ID.fullmatch(job_id) or not folder.is_dir():
            raise UserError(
                ErrorCode.UNKNOWN_JOB, f"There is no job “{job_id[:60]}” here.", "The list of jobs shows them all."
            )
        return folder

    def results(self, job_id: str) -> dict[str, Path]:
        """The files that a job has left for whoever asked for it, by name."""
        entries = (entry for entry in self.folder(job_id).iterdir() if entry.name not in BOOKKEEPING)
        return {entry.name: entry for entry in entries if entry.is_file()}

    def save(self, status: JobStatus) -> None:
        """Replace the state of a job; a finished one is no longer owned, and its partial results are deleted."""
        write_atomic(self.root / status.job_id / "state.json", _json(to_plain(status)))
        if not status.finished:
            return
        for path in (self.root / status.job_id).glob(f"{PARTIAL}*"):
            path.unlink(missing_ok=True)
        if lock := self._locks.pop(status.job_id, None):
            lock.release()

    def mark_fetched(self, status: JobStatus) -> None:
        """Remember that somebody has got a finished job's result; a full disk is no reason to withhold it."""
        if status.fetched:
            return
        with contextlib.suppress(OSError):
            write_atomic(self.root / status.job_id / "state.json", _json(to_plain(replace(status, fetched=True))))

    def load(self, job_id: str) -> JobStatus:
        """The state of a job as on disk; raises UserError (``unknown_job``, ``bad_job``)."""
        path = self.folder(job_id) / "state.json"
        try:
            return from_plain(JobStatus, read_json(path, "state", MAX_REPORT_BYTES), "state")
        except (UserError, ProtocolError) as error:
            raise UserError(ErrorCode.BAD_JOB, f"The job file {path} is damaged: {error}") from error

    def latest(self, limit: int) -> list[JobStatus]:
        """States of the newest jobs, newest first; a damaged one is left out."""
        found: list[JobStatus] = []
        for folder in sorted(self.root.iterdir(), reverse=True):
            if len(found) >= limit:
                break
            if not JOB_ID.fullmatch(folder.name):
                continue
            try:
                found.append(self.load(folder.name))
            except UserError:
                continue
        return found

    def mark_interrupted(self) -> list[JobStatus]:
        """Find the jobs whose backend died and say so in their state; returns them."""
        found = []
        for status in self.latest(limit=1000):
            if not status.finished and status.job_id not in self._locks and self._own(status.job_id):
                found.append(replace(status, state=JobState.INTERRUPTED, problem=INTERRUPTED, partial=0))
                self.save(found[-1])
        return found

    def _own(self, job_id: str) -> bool:
        # Not thread_local: a backend is made in one thread and may serve in another.
        lock = FileLock(self.root / job_id / "lock", mode=0o600, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        self._locks[job_id] = lock
        return True


def read_spec(folder: Path) -> Job:
    """The job that a job folder asks for; raises UserError (``bad_job``)."""
    path = folder / "spec.json"
    try:
        return from_plain(Job, read_json(path, "job", MAX_REPORT_BYTES), "spec")
    except (UserError, ProtocolError) as error:
        raise UserError(ErrorCode.BAD_JOB, f"The job file {path} is damaged: {error}") from error


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
