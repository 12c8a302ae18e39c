"""The add-on's state while Blender runs: its link to the backend, the job in progress and what to tell the user.

Everything here runs on Blender's main thread and returns at once. Blender's data is referred to by name, never held:
after an undo old references are dead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .active_job import ActiveJob as ActiveJob
from .active_job import Home, Remains
from .active_job import Notice as Notice
from .backend_link import STILL_STOPPING as STILL_STOPPING
from .backend_link import UNREACHABLE
from .check import Check
from .client import Connection, ConnectionEvent
from .export_task import ExportTask
from .job_following import JobFollowing
from .live_process import Capture
from .vendor import messages as m

if TYPE_CHECKING:
    from .scene.known_cameras import KnownCameras

_GOES_ON = "“{}” goes on when the backend is started again."


class Session(JobFollowing):
    """One per running Blender."""

    def __init__(self) -> None:
        super().__init__()
        self.exporting: ExportTask | None = None
        self.transferring = False  # shape keys are on their way (``transferring``)
        self.keep_bytes: int | None = None  # that jobs may take on the backend's disk; None: all are kept
        self.limits = ""  # of what is kept of jobs by a backend that this add-on starts, in words
        self.check: Check | None = None  # the last that was asked for
        self.capture: Capture | None = None  # the live session, also one that is over and says why

    @contextlib.contextmanager
    def quiet(self) -> Iterator[bool]:
        """No thread of a connection touches a Python object meanwhile, where it says True (see ``Client.parked``)."""
        with super().quiet() as still, self.capture.parked() if self.capture else contextlib.nullcontext(True) as also:
            yield still and also

    def start_backend(
        self, environment: str, endpoint: str, log_file: Path | None, further: Sequence[str] = ()
    ) -> None:
        """Start a backend, with ``further`` options of ``flowface serve``; raises CannotStart."""
        if not self.owns_backend and self.connection is not Connection.CONNECTED:
            self.notice = None
            super().start_backend(environment, endpoint, log_file, further)

    def disconnect(self) -> None:
        """Close the connection; jobs go on in the backend."""
        super().disconnect()
        if self.exporting is not None:
            self.exporting.give_up("The connection was closed before the export was written.")

    def stop_backend(self, *, wait: bool = False) -> None:
        """Stop the backend that this add-on started; the jobs that it has are kept on disk and still waited for."""
        if self.process is None and self.restart_at is None:
            return
        super().stop_backend()
        job = self.job
        if job is not None and job.take is None:
            if job.submitted:
                self.notice = Notice(f"The backend was stopped. {_GOES_ON.format(job.name)}")
            else:
                self._end(f"The backend was stopped before it had “{job.name}”: track it again.")
        if wait:
            self.wait_for_stop()

    def let_go(self, *, finish: bool) -> Remains:
        """Close the connection and end what this add-on started; what is left of it for another session.

        With ``finish``, a backend of one's own goes on with its unfinished jobs, whoever's. Waits for an end.
        """
        remains, ends = Remains(), self.owns_backend
        for job in self.followed:
            if job.upload is not None and not job.submitted:
                job.upload.cancel()
                remains.notice = Notice(f"The add-on was switched off while “{job.name}” was sent: track it again.")
        if finish and self._has_work() and self.owns_backend:
            remains.process, remains.launch, self.process, ends = self.process, self._launch, None, False
        kept = [job for job in self.followed if job.submitted or job.take is not None or not (ends or job.upload)]
        if ends and kept and kept[0].take is None:
            remains.notice = Notice(f"The add-on was switched off. {_GOES_ON.format(kept[0].name)}")
        remains.jobs = kept
        self.job, self.waiting = None, []
        if self.check is not None:
            self.check.stop()
        if self.capture is not None:
            self.capture.finish()
        self.capture = None
        self.disconnect()
        self.stop_backend(wait=True)
        return remains

    def resume(self, remains: Remains) -> None:
        """Go on with what another session has left."""
        self.job, self.waiting = next(iter(remains.jobs), None), remains.jobs[1:]
        self.process, self._launch, self.notice = remains.process, remains.launch, remains.notice

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
                self._pick_up(job)
            return
        self.job = job
        if self.stopping and not self.owns_backend:
            self._fail(STILL_STOPPING)
        elif self.connection is Connection.CONNECTED:
            self._pick_up(job)
        elif self.connection is Connection.REFUSED or not self.coming_back:
            self._fail(self.connection_sentence)

    def take_up(self, status: m.JobStatus, home: Home, *, match_scene: bool) -> None:
        """Follow a job of the list to its end and build its take, or fetch and build one that is done."""
        self.notice = None
        known = self._cameras.get(status.job_id)
        self.job = ActiveJob(status.name, home, match_scene, None, known, submitted=True, job_id=status.job_id)
        self._pick_up(self.job)

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
            if job.job_id:
                self._follow(job, m.Cancel(job.job_id))

    def cancel_waiting(self, index: int) -> None:
        """Drop the job at a place of those that wait; the backend does not track it any more."""
        job = self.waiting.pop(index)
        if job.upload is not None:
            job.upload.cancel()
        if job.status is not None and not job.status.finished:
            self._send(m.Cancel(job.status.job_id), self._on_listed)
        else:
            job.cancelling = True  # where it was just submitted: cancelled as soon as the backend has it

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

    def remove_listed(self, job_id: str) -> None:
        """Have the backend delete a job of the list, with its result."""
        self.jobs.remove(job_id, self._on_removed)

    def _on_removed(self, message: m.Message) -> None:
        self._on_listed(message)
        self.ask_storage()

    def take_built(self, text: str) -> None:
        """The job's scene has been built."""
        built = self.job.status.job_id if self.job is not None and self.job.status is not None else ""
        self._cameras.pop(built, None)
        self.job, self.notice = None, Notice(text, built=built)
        self.ask_jobs()
        self.ask_storage()

    def export(self, job_id: str, format: str, path: Path, face: int = 1) -> None:
        """Have a tracked take written for other tools, as the file or the new folder ``path``; a notice tells the end.

        ``face`` is the one to write of a job that tracked several, counted from 1.
        """
        self.notice = None
        folder = any(info.name == format and info.folder for info in self.exports)
        job = m.ExportJob(job_id, format, face)
        self.exporting = ExportTask(job, path, self._send, self._on_exported, folder=folder)
        self.exporting.start()

    def _on_exported(self, text: str, is_error: bool) -> None:
        self.exporting = None
        self.notice = Notice(text, is_error)

    def poll(self, budget: float = 0.01) -> bool:
        """Handle what the client received, in at most ``budget`` seconds and without ever waiting.

        Returns whether anything changed that a user sees.
        """
        changed = super().poll(budget)
        if self.exporting is not None and self.connection is not Connection.CONNECTED and not self.coming_back:
            self.exporting.give_up(self.connection_sentence)
            return True
        return changed

    def _has_work(self) -> bool:
        return super()._has_work() or self.exporting is not None or self.transferring

    def _on_process_ended(self, why: str) -> None:
        job, why = self.job, why or UNREACHABLE
        self.waiting = [other for other in self.waiting if other.submitted]
        if job is None or job.take is not None:
            self.notice = Notice(why, is_error=True)
        elif job.submitted:
            self.notice = Notice(f"{why} {_GOES_ON.format(job.name)}", is_error=True)
        else:
            self._fail(f"{why} “{job.name}” was not tracked.")

    def _on_connection(self, event: ConnectionEvent) -> None:
        super()._on_connection(event)
        if event.state is Connection.CONNECTED:
            self.ask_storage(self.keep_bytes)
            if self.exporting is not None:
                self.exporting.start()

    def tell_news(self) -> bool:
        """Tell of results that came while nobody was there, where nothing else is being told; True where it did."""
        text = self.jobs.news() if self.job is None and self.notice is None else ""
        if text:
            self.notice = Notice(text)
        return bool(text)


_current: Session | None = None
_remains = Remains()


def current() -> Session:
    """The session of this Blender; made on first use."""
    global _current, _remains
    if _current is None:
        _current = Session()
        _current.resume(_remains)
        _remains = Remains()
    return _current


def end(*, finish: bool = False) -> None:
    """Close the session, if there is one; ``finish``: a backend of its own goes on with an unfinished job."""
    global _current, _remains
    session, _current = _current, None
    if session is not None:
        _remains = session.let_go(finish=finish)
