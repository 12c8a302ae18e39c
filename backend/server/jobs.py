"""Jobs on disk: one folder each, so that a job outlives the client that asked and the backend that ran it.

    <jobs>/<job id>/spec.json       what was asked, as protocol.job.Job with its kind, and the client's token
                    state.json      where it stands, as protocol.JobStatus with its ``History``; replaced atomically
                    lock            there until the job is over; locked by the backend that owns it
                    worker.lock     locked by the worker that runs it
                    alignments/     chunks, written while the footage is aligned: what a resumed job need not redo
                    partial_*.npz   tracks of a running job that can be shown before it ends
                    alignments.npz  all of them, track.npz, report.json, log.txt: written at the end
                    tracked.npz     of a refined take: as it was tracked, which the next refine starts from
                    texture.png     the skin as the footage shows it, of a take that has one
                    wrinkles.npz    the person's wrinkles, of a take that has them

A job whose lock is free although it is not over lost its backend; the next one takes it up. The system drops a dead
process's locks, so no clock or process id is trusted for that, and backends may share the folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.errors import ErrorCode, UserError
from backend.files import remove_temporary_files, write_atomic
from backend.reading import MAX_REPORT_BYTES, read_bounded, read_json
from backend.server.history import BLANK, History
from backend.server.locks import LOCK, JobLocks
from protocol.codec import ProtocolError
from protocol.fields import from_plain, to_plain
from protocol.messages import FollowingJob, Job, JobState, JobStatus

log = logging.getLogger(__name__)

WORKER_LOCK = "worker.lock"
SPEC, STATE = "spec.json", "state.json"
BOOKKEEPING = (SPEC, STATE, LOCK, WORKER_LOCK, "log.txt")
"""Files of a job's folder that are no result."""

PROXY_FOLDER = "proxy"

JOB_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
TOKEN_DIGITS = 4
"""Last digits of a job's id that are the first of its token: among 5,000 jobs that leaves one to look into."""

PARTIAL = "partial_"
"""Begins the names of files that are deleted when their job ends, so that no other file can be taken for one."""

NEVER_A_FOLDER = frozenset({errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL})
"""Why a folder cannot be made, whatever happens to the disk."""


PROBE_BYTES = 1 << 20
"""What must fit on the disk before a job that had no room there is tried again."""


@dataclass(frozen=True)
class Record:
    """A job as it is on disk."""

    status: JobStatus
    history: History = BLANK


class JobStore:
    """The jobs folder. Made readable for its owner only, because jobs name footage and hold faces."""

    def __init__(self, root: Path) -> None:
        """Open or make the folder. Where the disk does not let it be made now, that is told and tried again later.

        Raises UserError (``jobs_folder``) for a path that can never be a folder.
        """
        self.root = root
        self._locks = JobLocks(root)
        self._spoiled: set[str] = set()
        self._device: int | None = None  # that the folder lies on; None while it was never there
        try:
            self._make_root()
        except OSError as error:
            sentence = f"The jobs folder {root} cannot be made: {in_words(error)}."
            if error.errno in NEVER_A_FOLDER or (error.errno == errno.EEXIST and _is_something_else(root)):
                raise UserError(ErrorCode.JOBS_FOLDER, sentence, "Choose another --jobs-dir.") from error
            log.error("%s Jobs are refused until it can.", sentence)

    def create(self, spec: Job, owner: str = "", token: str = "") -> JobStatus:
        """Put a new queued job on disk and own it.

        Raises UserError ``unknown_job`` where its parent is none, ``jobs_folder`` where it cannot be written: then
        nothing is left of it.
        """
        parent = self.load(spec.parent) if isinstance(spec, FollowingJob) else None
        now = datetime.now(UTC)
        within = now.microsecond >> 4  # four digits, so that ids of one second are in order as well
        job_id = f"{now:%Y%m%d-%H%M%S}-{within:04x}{token[:TOKEN_DIGITS] or secrets.token_hex(TOKEN_DIGITS // 2)}"
        footage = parent.footage if parent else spec.footage
        name = spec.name or (parent.name if parent else Path(footage).stem)
        created = now.isoformat(timespec="milliseconds")
        status = JobStatus(job_id, name, JobState.QUEUED, footage=footage, created=created, kind=spec.KIND, owner=owner)
        folder = self.root / job_id
        try:
            self._make_root()
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise _cannot_be_written(folder, error) from error
        try:
            if not self._locks.own(job_id):
                raise OSError(errno.EAGAIN, "another backend took its lock")
            write_atomic(folder / SPEC, _json(to_plain(spec) | {"token": token}))
            self.save(status)  # from now on there is a job
            _flush(folder)
        except BaseException as error:
            self._locks.release(job_id, over=True)
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise _cannot_be_written(folder, error) from error
            raise
        return status

    def submitted(self, token: str, spec: Job, owner: str = "") -> JobStatus | None:
        """The job that this client made with this token, None where there is none.

        Raises UserError (``token_taken``) where it asks for something else.
        """
        for job_id in self.names() if token else ():
            if not job_id.endswith(token[:TOKEN_DIGITS]):
                continue
            try:
                asked = read_json(self.root / job_id / SPEC, "job", MAX_REPORT_BYTES)
                if not isinstance(asked, Mapping) or asked.get("token") != token:
                    continue
                status, same = self.load(job_id), from_plain(Job, asked, "spec") == spec
            except (ProtocolError, UserError):
                continue  # a damaged one is nobody's
            if status.owner != owner:
                continue
            if same:
                return status
            sentence = f"The token of this job is that of the job “{status.name}”, which asks for something else."
            raise UserError(ErrorCode.TOKEN_TAKEN, sentence, "Make a token of its own for each job.")
        return None

    def folder(self, job_id: str) -> Path:
        """The folder of a job; raises UserError (``unknown_job``) for anything that is not one, paths included."""
        folder = self.root / job_id
        if not JOB_ID.fullmatch(job_id) or not self.is_there(job_id):
            raise UserError(
                ErrorCode.UNKNOWN_JOB, f"There is no job “{job_id[:60]}” here.", "The list of jobs shows them all."
            )
        return folder

    def results(self, job_id: str) -> dict[str, Path]:
        """The files that a job has left for whoever asked for it, by name."""
        entries = (entry for entry in self.folder(job_id).iterdir() if entry.name not in BOOKKEEPING)
        return {entry.name: entry for entry in entries if entry.is_file()}

    def proxies(self, job_id: str) -> dict[str, Path]:
        """The proxies that a job has left of its footage, by names such as “proxy/camera.mp4”."""
        folder = self.folder(job_id) / PROXY_FOLDER
        entries = folder.iterdir() if folder.is_dir() else ()
        return {f"{PROXY_FOLDER}/{entry.name}": entry for entry in entries if entry.is_file()}

    def save(self, status: JobStatus, history: History = BLANK) -> None:
        """Replace the state of a job; a finished one is no longer owned, and its partial results are deleted.

        Raises OSError; then the old state is there and the job is still owned.
        """
        write_atomic(self.root / status.job_id / STATE, _json(to_plain(status) | {"history": to_plain(history)}))
        if not status.finished:
            return
        for path in (self.root / status.job_id).glob(f"{PARTIAL}*"):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._locks.release(status.job_id, over=True)

    def mark_fetched(self, status: JobStatus) -> None:
        """Remember that somebody has got a finished job's result; a full disk is no reason to withhold it."""
        if status.fetched:
            return
        with contextlib.suppress(OSError):
            write_atomic(self.root / status.job_id / STATE, _json(to_plain(replace(status, fetched=True))))

    def load(self, job_id: str) -> JobStatus:
        """The state of a job as on disk; raises UserError (``unknown_job``, ``bad_job``)."""
        return self.record(job_id).status

    def record(self, job_id: str) -> Record:
        """All of a job's state as on disk; raises UserError (``unknown_job``, ``bad_job``)."""
        path = self.folder(job_id) / STATE
        try:
            data = read_json(path, "state", MAX_REPORT_BYTES)
            history = data.get("history", {}) if isinstance(data, Mapping) else {}
            found = Record(from_plain(JobStatus, data, "state"), from_plain(History, history, "history"))
        except (UserError, ProtocolError) as error:
            raise UserError(ErrorCode.BAD_JOB, f"The job file {path} is damaged: {error}") from error
        if found.status.job_id != job_id:
            raise UserError(ErrorCode.BAD_JOB, f"The job file {path} is that of another job.")
        return found

    def latest(self, limit: int) -> list[JobStatus]:
        """States of the newest jobs, newest first; a damaged one is left out."""
        found: list[JobStatus] = []
        for job_id in reversed(self.names()):
            if len(found) >= limit:
                break
            with contextlib.suppress(UserError):
                found.append(self.load(job_id))
        return found

    def unfinished(self) -> list[str]:
        """The ids of jobs that are not over, whoever owns them, oldest first; from any thread.

        Takes one look at each folder, 30 ms for 5,000.
        """
        return [job_id for job_id in self.names() if os.path.lexists(self.root / job_id / LOCK)]

    def needed(self) -> set[str]:
        """The ids of jobs that are not over, and of those that they start from; from any thread."""
        found = set(self.unfinished())
        for job_id in tuple(found):
            with contextlib.suppress(UserError):
                spec = read_spec(self.root / job_id)
                if isinstance(spec, FollowingJob):
                    found.add(spec.parent)
        return found

    def take_up(self, job_id: str) -> Record | None:
        """Own a job that is not over and that nobody owns, as it is on disk; None where there is no such job.

        What is left of a job that was never whole, or that was over already, is cleared away.
        """
        if job_id in self._locks:
            return None
        with contextlib.suppress(UserError):
            if self.load(job_id).finished:  # from before locks were removed, or its backend was killed just then
                self._locks.release(job_id, over=True)
                return None
        if not self._locks.try_own(job_id):
            return None
        try:
            record = self._record_or_rebuilt(job_id)
        except UserError as error:
            self._locks.release(job_id, over=False)
            self._clear_away(job_id, error)
            return None
        if record.status.finished:
            self._locks.release(job_id, over=True)
            return None
        self._spoiled.discard(job_id)
        remove_temporary_files(self.root / job_id)
        return record

    def let_go(self, job_id: str) -> None:
        """Give a job that is not over back, for another backend or a later one."""
        self._locks.release(job_id, over=False)

    def is_there(self, job_id: str) -> bool:
        """The folder of a job exists; no other cause than its deletion makes this False while ``root_is_there``."""
        try:
            return stat.S_ISDIR((self.root / job_id).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # locked away, or on a disk that does not answer: not deleted
            return True

    def root_is_there(self) -> bool:
        """The jobs folder exists, and on its disk: where that was unmounted, its place may be there still."""
        return _device_of(self.root) == self._device

    def probe(self) -> None:
        """Write ``PROBE_BYTES`` and delete them; raises OSError where there is no room or no right to."""
        self._make_root()
        path = self.root / ".probe"
        try:
            path.write_bytes(bytes(PROBE_BYTES))
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give all jobs back."""
        self._locks.release_all()

    def _make_root(self) -> None:
        """Make the jobs folder where there is none, but no second one where its disk is gone; raises OSError."""
        if self._device is not None:
            devices = (_device_of(path) for path in (self.root, *self.root.parents))
            if next((device for device in devices if device is not None), None) != self._device and not self.names():
                raise FileNotFoundError(errno.ENOENT, "its disk is gone", str(self.root))
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._device = _device_of(self.root)  # of the same jobs: a disk may have another number when it is back

    def names(self) -> list[str]:
        """The ids of all jobs, oldest first: they begin with the time."""
        try:
            with os.scandir(self.root) as entries:
                return sorted(entry.name for entry in entries if JOB_ID.fullmatch(entry.name))
        except OSError:
            return []

    def _record_or_rebuilt(self, job_id: str) -> Record:
        """The record of a job; where its state is damaged but not what it asks for, it begins anew."""
        try:
            return self.record(job_id)
        except UserError:
            folder = self.folder(job_id)
            read_bounded(folder / STATE, "state", MAX_REPORT_BYTES)  # raises where it is missing or may be read later
            spec = read_spec(folder)
            log.error("the state of job %s is damaged; it begins anew", job_id)
            name = spec.name or Path(spec.footage).stem or spec.KIND
            return Record(JobStatus(job_id, name, JobState.QUEUED, footage=spec.footage, kind=spec.KIND))  # its user's

    def _clear_away(self, job_id: str, error: UserError) -> None:
        """Delete what ``create`` left when its process was killed; leave alone, and tell once, what may be more."""
        folder = self.root / job_id
        with contextlib.suppress(OSError):
            if all(path.name.startswith(".") or path.name in (SPEC, LOCK) for path in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
                return
        if job_id not in self._spoiled:
            self._spoiled.add(job_id)
            log.error("job %s is left alone: %s", job_id, error.message)


def read_spec(folder: Path) -> Job:
    """The job that a job folder asks for; raises UserError (``bad_job``)."""
    path = folder / SPEC
    try:
        return from_plain(Job, read_json(path, "job", MAX_REPORT_BYTES), "spec")
    except (UserError, ProtocolError) as error:
        raise UserError(ErrorCode.BAD_JOB, f"The job file {path} is damaged: {error}") from error


def in_words(error: OSError) -> str:
    """What the system says of an error, without its number and file."""
    return (error.strerror or str(error)).removesuffix(".")


def _is_something_else(path: Path) -> bool:
    """There is something at a path, or on the way to it, that is no folder, nor a link to what may come."""
    try:
        return any(place.exists() and not place.is_dir() for place in (path, *path.parents))
    except OSError:  # locked away: who knows
        return False


def _device_of(path: Path) -> int | None:
    """The number of the disk that a file or folder lies on; None where it is not there."""
    try:
        return path.stat().st_dev
    except OSError:
        return None


def _cannot_be_written(folder: Path, error: OSError) -> UserError:
    sentence = f"The job cannot be written to {folder}: {in_words(error)}."
    return UserError(ErrorCode.JOBS_FOLDER, sentence, "Free some space or choose another --jobs-dir.")


def _flush(folder: Path) -> None:
    """Have a job on the disk itself, not in memory only: whoever is told that it is queued may rely on it."""
    for path in (folder / SPEC, folder / STATE):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    if os.name == "posix":
        entry = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
