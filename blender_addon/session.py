"""The add-on's state while Blender runs: its link to the backend, the job in progress and what to tell the user.

Everything here runs on Blender's main thread and returns at once. Blender's data is referred to by name, never held:
after an undo old references are dead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .active_job import ActiveJob as ActiveJob
from .active_job import Home, Remains
from .active_job import Notice as Notice
from .backend_link import STILL_STOPPING as STILL_STOPPING
from .backend_link import UNREACHABLE, BackendLink
from .check import Check
from .client import Connection, ConnectionEvent
from .codes import ClientCode
from .export_task import ExportTask
from .job_list import JobList
from .vendor import messages as m

if TYPE_CHECKING:
    from .scene.known_cameras import KnownCameras

_LOST = "and the tracking of “{}” with it. Track it again."
LOST_PATIENCE = 30.0
"""Seconds that a job waits for its backend to answer again: a machine that slept is back much sooner."""


class Session(BackendLink):
    """One per running Blender."""

    def __init__(self) -> None:
        super().__init__()
        self.job: ActiveJob | None = None
        self.waiting: list[ActiveJob] = []  # to be followed after it, in this order
        self.notice: Notice | None = None
        self.jobs = JobList(self._send)
        self.exporting: ExportTask | None = None
        self.live_preview = True  # partial takes are wanted
        self.keep_bytes: int | None = None  # that jobs may take on the backend's disk; None: all are kept
        self.check: Check | None = None  # the last that was asked for
        self._cameras: dict[str, KnownCameras] = {}  # of jobs that are not built, as long as this Blender runs

    def start_backend(
        self, environment: str, endpoint: str, log_file: Path | None, further: Sequence[str] = ()
    ) -> None:
        """Start a backend, with ``further`` options of ``flowface serve``; raises CannotStart."""
        if not self.owns_backend and self.connection is not Connection.CONNECTED:
            super().start_backend(environment, endpoint, log_file, further)
            self.notice = None

    def disconnect(self) -> None:
        """Close the connection; jobs go on in the backend."""
        super().disconnect()
        if self.exporting is not None:
            self.exporting.give_up("The connection was closed before the export was written.")

    def stop_backend(self, *, wait: bool = False) -> None:
        """Stop the backend that this add-on started.

        A job that it was working on ends here and now, whatever news of it may come.
        """
        if self.process is None:
            return
        super().stop_backend()
        job, rest = self.job, self._drop_waiting()
        if job is not None and job.done and job.take is None:
            self._end(f"The backend was stopped; the result of “{job.name}” is kept in the list of jobs.{rest}")
        elif job is not None and job.take is None:
            self._end(f"The backend was stopped, {_LOST.format(job.name)}{rest}")
        elif rest:
            self.notice = Notice(f"The backend was stopped.{rest}", is_error=True)
        if wait:
            self.wait_for_stop()

    def let_go(self, *, finish: bool) -> Remains:
        """Close the connection and end what this add-on started; what is left of it for another session.

        With ``finish``, a backend of one's own goes on with its unfinished jobs, whoever's. Waits for an end.
        """
        job, remains = self.job, Remains()
        unfinished = (job is not None and not job.done) or any(not listed.finished for listed in self.jobs.jobs)
        if finish and unfinished and self.owns_backend:
            remains.process, self.process = self.process, None
        if job is None:
            pass
        elif job.take is None and self.owns_backend:  # and is stopped with it
            words = "the result of “{}” is kept in the list of jobs." if job.done else _LOST
            remains.notice = Notice(f"The add-on was switched off, {words.format(job.name)}", is_error=not job.done)
        elif job.submitted and job.status is None:
            remains.notice = Notice(job.let_go)
        else:
            remains.job, job.lost_at = job, None
        remains.waiting = [] if self.owns_backend else [other for other in self.waiting if other.status is not None]
        self.job, self.waiting = None, []
        if self.check is not None:
            self.check.stop()
        self.disconnect()
        self.stop_backend(wait=True)
        return remains

    # jobs

    def track(
        self,
        spec: m.Job,
        home: Home,
        *,
        match_scene: bool,
        known_cameras: KnownCameras | None = None,
        into: str = "",
    ) -> None:
        """Track a take; it is submitted as soon as the backend answers, and followed after those before it.

        ``into`` is the name of the take that it is made of, where it is a refinement.
        """
        self.notice = None
        job = ActiveJob(spec.name, home, match_scene, spec, known_cameras, into=into)
        if self.job is not None:
            self.waiting.append(job)
            if self.connection is Connection.CONNECTED:
                self._submit(job)
            return
        self.job = job
        if self.stopping and not self.owns_backend:
            self._fail(STILL_STOPPING)
        elif self.connection is Connection.CONNECTED:
            self._submit(job)
        elif self.connection is Connection.REFUSED or not self.owns_backend:
            self._fail(self.connection_sentence)

    def take_up(self, status: m.JobStatus, home: Home, *, match_scene: bool) -> None:
        """Follow a job of the list to its end and build its take, or fetch and build one that is done."""
        self.notice = None
        known = self._cameras.get(status.job_id)
        self.job = ActiveJob(status.name, home, match_scene, None, known, submitted=True)
        self._follow(self.job, m.Status(status.job_id, subscribe=True))

    def cancel(self) -> None:
        """Cancel the job. A result that is there already is kept, and a job that nobody can reach is let go."""
        job = self.job
        if job is None:
            return
        if job.done:
            self._end(f"“{job.name}” is kept: build it from the list of jobs.")
        elif not job.submitted or (job.status is not None and job.status.finished):
            self._end("Cancelled.")
        elif self.connection is not Connection.CONNECTED:
            self._end(job.let_go)
        else:
            job.cancelling = True
            if job.status is not None:
                self._follow(job, m.Cancel(job.status.job_id))

    def cancel_waiting(self, index: int) -> None:
        """Drop the job at a place of those that wait; the backend does not track it any more."""
        job = self.waiting.pop(index)
        if job.status is not None and not job.status.finished:
            self._send(m.Cancel(job.status.job_id), self._on_listed)
        else:
            job.cancelling = True  # where it was just submitted: cancelled as soon as the backend has it

    @property
    def followed(self) -> list[ActiveJob]:
        """All jobs of this Blender, the one in progress first."""
        return [job for job in (self.job, *self.waiting) if job is not None]

    @property
    def cannot_refine(self) -> str:
        """What a backend that answers cannot do, in a sentence; "" where it can, or none answers yet."""
        if self.connection is not Connection.CONNECTED or m.RefineJob.KIND in self.kinds:
            return ""
        return "This backend cannot refine takes: install the add-on's version of it"

    def is_tracking(self, spec: m.Job) -> bool:
        """True where just this is being tracked, or waits for that, already."""
        return any(job.spec == spec for job in self.followed)

    def cancel_listed(self, job_id: str) -> None:
        """Ask the backend to stop a job of the list, which may be another client's."""
        self._send(m.Cancel(job_id), self._on_listed)

    def take_built(self, text: str) -> None:
        """The job's scene has been built."""
        built = self.job.status.job_id if self.job is not None and self.job.status is not None else ""
        self._cameras.pop(built, None)
        self.job, self.notice = None, Notice(text, built=built)
        self.ask_jobs()
        self.ask_storage()

    def export(self, job_id: str, format: str, path: Path, face: int = 1) -> None:
        """Have a tracked take written as a file for other tools and save it as ``path``; a notice tells the end.

        ``face`` is the one to write of a job that tracked several, counted from 1.
        """
        self.notice = None
        self.exporting = ExportTask(m.ExportJob(job_id, format, face), path, self._send, self._on_exported)
        self.exporting.start()

    def _on_exported(self, text: str, is_error: bool) -> None:
        self.exporting = None
        self.notice = Notice(text, is_error)

    def ask_jobs(self) -> None:
        """Ask the backend which jobs it has."""
        if self.connection is Connection.CONNECTED:
            self.jobs.ask()

    def poll(self, budget: float = 0.01) -> bool:
        """Handle what the client received, in at most ``budget`` seconds and without ever waiting.

        Returns whether anything changed that a user sees.
        """
        changed = super().poll(budget)
        if self.connection is Connection.CONNECTED:
            self.jobs.ask_when_due()
        return self._watch_lost() or self._take_next() or changed

    def _take_next(self) -> bool:
        """Follow the first of the jobs that wait where nothing else is followed."""
        if self.job is not None or not self.waiting:
            return False
        self.job = job = self.waiting.pop(0)
        if job.done and job.status is not None:
            self._ask_result(job, job.status)
        return True

    def _drop_waiting(self) -> str:
        """Let all jobs go that wait; a sentence that says so, after a space, "" where there is none."""
        names = ", ".join(f"“{job.name}”" for job in self.waiting)
        self.waiting = []
        return f" Nobody waits for {names} any more; the list of jobs says what becomes of it." if names else ""

    def _on_process_ended(self, why: str) -> None:
        job, why = self.job, why or UNREACHABLE
        if job is None:
            self.notice = Notice(why, is_error=True)
        elif not job.done:
            rest = self._drop_waiting()
            self._fail(f"{why} “{job.name}” was not tracked to its end: track it again.{rest}")
        elif job.take is None:
            self._fail(f"{why} The result of “{job.name}” is kept in the list of jobs.{self._drop_waiting()}")

    def _watch_lost(self) -> bool:
        """Let a job go whose backend, which somebody else started, does not come back."""
        job = self.job
        if job is None or job.take is not None or not job.submitted:
            return False
        if self.connection is Connection.CONNECTED:
            job.lost_at = None
        elif not self.owns_backend:
            job.lost_at = job.lost_at or time.monotonic()
            if time.monotonic() - job.lost_at > LOST_PATIENCE:
                self._fail(f"The backend does not answer any more. {job.let_go}{self._drop_waiting()}")
                return True
        return False

    def _on_connection(self, event: ConnectionEvent) -> None:
        if event.state is not Connection.CONNECTED and self.exporting is not None:
            self.exporting.give_up(event.sentence)  # progress that was subscribed to no longer comes
        job = self.job
        if event.state is Connection.REFUSED and job is not None and job.take is None:
            self._fail(f"{event.sentence}{self._drop_waiting()}")
        if event.state is not Connection.CONNECTED:
            return
        self.jobs.expect_news()
        self.ask_jobs()
        self.ask_storage(self.keep_bytes)
        for job in self.followed:
            if job.status is not None:  # the connection had been lost: pick the job up again
                self._follow(job, m.Status(job.status.job_id, subscribe=True))
            elif not job.submitted:
                self._submit(job)

    def _submit(self, job: ActiveJob) -> None:
        if job.spec is not None:
            job.submitted = True
            self._follow(job, m.Submit(job.spec))

    def _follow(self, job: ActiveJob, message: m.Message) -> None:
        """Ask something about a job whose answer says where it stands."""
        self._send(message, partial(self._on_status, job))

    def _on_status(self, job: ActiveJob, message: m.Message) -> None:
        status, followed = getattr(message, "job", None), job is self.job or job in self.waiting
        if isinstance(status, m.JobStatus):
            self.jobs.update(status)
        if not followed:
            if job.cancelling and job.status is None and isinstance(status, m.JobStatus):
                job.status = status  # dropped before the backend had it
                self._send(m.Cancel(status.job_id), self._on_listed)
            return
        if isinstance(message, m.Error):
            if message.code == ClientCode.CONNECTION_LOST and job.status is not None:
                return  # _on_connected, _watch_process or _watch_lost will know more
            self._fail(f"{message.message} {message.hint}".strip(), job)
            return
        if not isinstance(status, m.JobStatus) or (job.status is not None and status.job_id != job.status.job_id):
            return
        first, was_done = job.status is None, job.status is not None and job.status.finished
        job.status = status
        if first:
            self._on_taken(job, status)
        if status.finished and not was_done:
            self._on_finished(job, status)
        elif not status.finished and status.partial > job.partials and self.live_preview:
            job.partials = status.partial
            self._send(m.Result(status.job_id, partial=True), partial(self._on_partial, job))

    @staticmethod
    def _on_partial(job: ActiveJob, message: m.Message) -> None:
        """Keep a partial take to be shown; an answer that came too late for that, or an error, is nobody's concern."""
        if isinstance(message, m.ResultReply) and message.take is not None and not message.job.finished:
            job.partial = message.take

    def _on_taken(self, job: ActiveJob, status: m.JobStatus) -> None:
        if job.known_cameras is not None:
            self._cameras[status.job_id] = job.known_cameras
        if job.cancelling:
            self._follow(job, m.Cancel(status.job_id))
        if self.jobs.find(status.job_id) is None:
            self.ask_jobs()

    def _on_listed(self, message: m.Message) -> None:
        if isinstance(message, m.StatusReply):
            self.jobs.update(message.job)
        elif isinstance(message, m.Error):
            self.notice = Notice(f"{message.message} {message.hint}".strip(), is_error=True)

    def _on_finished(self, job: ActiveJob, status: m.JobStatus) -> None:
        if status.state is m.JobState.DONE and not job.cancelling:
            if job is self.job:
                self._ask_result(job, status)
        elif status.state is m.JobState.DONE:
            self._end(f"“{job.name}” was done before it could be cancelled: its result is kept in the list of jobs.")
        elif status.state is m.JobState.CANCELLED:
            self._end("Cancelled." if job is self.job else f"“{job.name}” was cancelled.", job)
        else:
            self._fail(str(status.problem) if status.problem else f"The job was {status.state}.", job)

    def _ask_result(self, job: ActiveJob, status: m.JobStatus) -> None:
        self._send(m.Result(status.job_id), partial(self._on_result, job))

    def _on_result(self, job: ActiveJob, message: m.Message) -> None:
        if job is not self.job:
            return
        if isinstance(message, m.ResultReply) and message.take is not None:
            job.take = message.take
            self.jobs.update(replace(message.job, fetched=True))
        elif isinstance(message, m.Error):
            self._fail(f"{message.message} {message.hint}".strip())

    def tell_news(self) -> bool:
        """Tell of results that came while nobody was there, where nothing else is being told; True where it did."""
        text = self.jobs.news() if self.job is None and self.notice is None else ""
        if text:
            self.notice = Notice(text)
        return bool(text)

    def _end(self, text: str, job: ActiveJob | None = None, *, is_error: bool = False) -> None:
        """Follow a job no longer, by default the present one, and tell why."""
        if job is None or job is self.job:
            self.job = None
        else:
            self.waiting.remove(job)
        self.notice = Notice(text, is_error=is_error)
        self.ask_jobs()

    def _fail(self, text: str, job: ActiveJob | None = None) -> None:
        self._end(text, job, is_error=True)


_current: Session | None = None
_remains = Remains()


def current() -> Session:
    """The session of this Blender; made on first use."""
    global _current, _remains
    if _current is None:
        _current = Session()
        _current.job, _current.process, _current.notice = _remains.job, _remains.process, _remains.notice
        _current.waiting = _remains.waiting
        _remains = Remains()
    return _current


def end(*, finish: bool = False) -> None:
    """Close the session, if there is one; ``finish``: a backend of its own goes on with an unfinished job."""
    global _current, _remains
    session, _current = _current, None
    if session is not None:
        _remains = session.let_go(finish=finish)
