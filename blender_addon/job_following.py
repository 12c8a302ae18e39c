"""Jobs that this Blender waits for, from the press of a button until their takes are fetched.

A job outlives the connection, its backend and this add-on's knowledge of both: the backend keeps it on disk, and the
next one there goes on with it. So whatever is lost on the way is asked for again as soon as a backend answers; a job
whose submission was never answered is submitted again under the same token, of which there is one job at most.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from .active_job import ActiveJob, Notice
from .backend_link import STOPPED, BackendLink
from .client import Connection, ConnectionEvent
from .codes import UNHEARD
from .fetched_proxies import Saving, names_of
from .job_list import JobList
from .sent_files import SentFiles
from .uploading import Upload
from .vendor import messages as m
from .vendor import take as contract

if TYPE_CHECKING:
    from .scene.known_cameras import KnownCameras


class JobFollowing(BackendLink):
    """The job in progress and those after it, over one connection after another."""

    def __init__(self) -> None:
        super().__init__()
        self.job: ActiveJob | None = None
        self.waiting: list[ActiveJob] = []  # to be followed after it, in this order
        self.notice: Notice | None = None
        self.jobs = JobList(self._send)
        self.sent = SentFiles(None)
        self.live_preview = True  # partial takes are wanted
        self._cameras: dict[str, KnownCameras] = {}  # of jobs that are not built, as long as this Blender runs

    @property
    def followed(self) -> list[ActiveJob]:
        """All jobs of this Blender, the one in progress first."""
        return [job for job in (self.job, *self.waiting) if job is not None]

    @property
    def away(self) -> str:
        """What a job waits for whose backend does not answer, in a sentence."""
        if self.coming_back:
            return STOPPED
        if self.connection is Connection.REFUSED:
            return "The backend cannot be used now; the job goes on when it can"
        return "The backend does not answer; the job goes on when it runs again"

    def poll(self, budget: float = 0.01) -> bool:
        """Handle what the client received, in at most ``budget`` seconds and without ever waiting.

        Returns whether anything changed that a user sees.
        """
        changed = super().poll(budget)
        if self.connection is Connection.CONNECTED:
            for job in self.followed:
                if job.unheard:
                    self._pick_up(job)
            self.jobs.ask_when_due()
        for job in self.followed:
            if job.upload is not None and not job.submitted:
                changed = self._send_footage(job, job.upload) or changed
            if job.saving is not None and job.saving.done:
                job.take, job.saving = self.sent.localised(job.saving.take, job.saving.paths), None
                changed = True
        return self._take_next() or changed

    @property
    def sending(self) -> bool:
        """True while footage is on its way to a backend on another machine."""
        return any(job.upload is not None and not job.submitted for job in self.followed)

    def _send_footage(self, job: ActiveJob, upload: Upload) -> bool:
        if upload.problem:
            self._fail(upload.problem, job)
        elif self.connection is Connection.CONNECTED:
            upload.step(self._send)
            if upload.job is not None:
                self._pick_up(job)
        return upload.moved or upload.ended

    def ask_jobs(self) -> None:
        """Ask the backend which jobs it has."""
        if self.connection is Connection.CONNECTED:
            self.jobs.ask()

    def _take_next(self) -> bool:
        """Follow the first of the jobs that wait where nothing else is followed."""
        if self.job is not None or not self.waiting:
            return False
        self.job = job = self.waiting.pop(0)
        if job.done and job.status is not None:
            self._ask_result(job, job.status)
        return True

    def _has_work(self) -> bool:
        return bool(self.followed) or any(not listed.finished for listed in self.jobs.jobs)

    def _on_connection(self, event: ConnectionEvent) -> None:
        if event.state is Connection.REFUSED and self.job is not None and not self.job.submitted:
            self._fail(event.sentence)
        if event.state is Connection.CONNECTED:
            for job in self.followed:
                job.unheard = True
                if job.upload is not None:
                    job.upload.connected()
            self.jobs.expect_news()
            self.ask_jobs()

    def _pick_up(self, job: ActiveJob) -> None:
        """Submit a job, or go on following one that the backend has, or may have."""
        job.unheard = False
        if job.take is not None:
            return
        if job.done and job.status is not None:
            if job is self.job:
                self._ask_result(job, job.status)
        elif job.job_id:
            self._follow(job, m.Status(job.job_id, subscribe=True))
            if job.cancelling:
                self._follow(job, m.Cancel(job.job_id))
        elif job.spec is not None:
            self._submit(job, job.spec)

    def _submit(self, job: ActiveJob, spec: m.Job) -> None:
        """Submit a job; to a backend on another machine, its footage first (``_send_footage`` goes on)."""
        if not self.reads_paths and isinstance(spec, m.TrackJob):
            if job.upload is None:
                job.upload = Upload(spec, self.sent)
            if job.upload.job is None:
                return
            spec = job.upload.job
        job.submitted = True
        self._follow(job, m.Submit(spec, token=job.token))

    def _follow(self, job: ActiveJob, message: m.Message) -> None:
        """Ask something about a job whose answer says where it stands."""
        self._send(message, partial(self._on_status, job))

    def _on_status(self, job: ActiveJob, message: m.Message) -> None:
        status, followed = getattr(message, "job", None), job is self.job or job in self.waiting
        if isinstance(status, m.JobStatus):
            self.jobs.update(status)
        if not followed:
            if job.cancelling and not job.job_id and isinstance(status, m.JobStatus):
                job.job_id = status.job_id  # dropped before the backend had it
                self._send(m.Cancel(status.job_id), self._on_listed)
            return
        if isinstance(message, m.Error):
            if message.code in UNHEARD:
                job.unheard = True
            else:
                self._fail(f"{message.message} {message.hint}".strip(), job)
            return
        if not isinstance(status, m.JobStatus) or (job.job_id and status.job_id != job.job_id):
            return
        first, was_done = job.status is None, job.status is not None and job.status.finished
        job.status, job.job_id = status, status.job_id
        job.partials = min(job.partials, status.partial)  # one that goes on makes them anew
        if first:
            self._on_taken(job, status)
        if status.finished and not was_done:
            self._on_finished(job, status)
        elif not status.finished and status.partial > job.partials and self.live_preview:
            job.partials = status.partial
            self._send(m.Result(status.job_id, partial=True), partial(self._on_partial, job))

    def _on_partial(self, job: ActiveJob, message: m.Message) -> None:
        """Keep a partial take to be shown; an answer that came too late for that, or an error, is nobody's concern."""
        if isinstance(message, m.ResultReply) and message.take is not None and not message.job.finished:
            job.partial = message.take if self.reads_paths else self.sent.localised(message.take, {})

    def _on_taken(self, job: ActiveJob, status: m.JobStatus) -> None:
        if job.known_cameras is not None:
            self._cameras[status.job_id] = job.known_cameras
        if job.cancelling:
            self._follow(job, m.Cancel(status.job_id))
        self.ask_storage()

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
            self._bring(job, message.job, message.take)
            self.jobs.update(replace(message.job, fetched=True))
        elif isinstance(message, m.Error) and message.code in UNHEARD:
            job.unheard = True
        elif isinstance(message, m.Error):
            self._fail(f"{message.message} {message.hint}".strip())

    def _bring(self, job: ActiveJob, status: m.JobStatus, take: contract.TakeResult) -> None:
        """Have a take built; of one from another machine, its proxies are fetched before that."""
        if self.reads_paths:
            job.take = take
            return
        names = names_of(take) if self.sent.proxies(status.job_id) is not None else ()
        if names:
            self._send(m.Result(status.job_id, files=names), partial(self._on_proxies, job, take))
        else:
            job.take = self.sent.localised(take, {})

    def _on_proxies(self, job: ActiveJob, take: contract.TakeResult, message: m.Message) -> None:
        folder = self.sent.proxies(job.job_id)
        if isinstance(message, m.Error) and message.code in UNHEARD:
            job.unheard = True
        elif isinstance(message, m.ResultReply) and folder is not None:
            job.saving = Saving(folder, message.files, take)
        else:
            job.take = self.sent.localised(take, {})

    def _end(self, text: str, job: ActiveJob | None = None, *, is_error: bool = False) -> None:
        """Follow a job no longer, by default the present one, and tell why."""
        ended = job or self.job
        if ended is not None and ended.upload is not None:
            ended.upload.cancel()
        if job is None or job is self.job:
            self.job = None
        else:
            self.waiting.remove(job)
        self.notice = Notice(text, is_error=is_error)
        self.ask_jobs()

    def _fail(self, text: str, job: ActiveJob | None = None) -> None:
        self._end(text, job, is_error=True)
