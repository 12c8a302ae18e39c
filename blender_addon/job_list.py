"""The backend's latest takes, whoever asked for them: those that run, and those whose result waits to be built."""

from __future__ import annotations

import time
from collections.abc import Callable

from .vendor import messages as m

Handler = Callable[[m.Message], None]

SHOWN = 30
"""Jobs that are asked for: the oldest of them is days old."""
REFRESH_SECONDS = 2.0
"""Between two questions while a job of the list is not finished; the progress of other clients' jobs is not pushed."""


class JobList:
    """What the backend told last; newest first. Asks without waiting, through ``send`` (as ``Session``'s)."""

    def __init__(self, send: Callable[[m.Message, Handler], None]) -> None:
        self.jobs: tuple[m.JobStatus, ...] = ()
        self.unfolded = ""  # the job whose details are shown
        self._send = send
        self._asked_at = 0.0
        self._news: tuple[m.JobStatus, ...] = ()  # found on a new connection and not told yet
        self._news_expected = False

    def ask(self) -> None:
        """Ask for the list; it is replaced when the answer comes."""
        self._asked_at = time.monotonic()
        self._send(m.Jobs(SHOWN), self._on_list)

    def ask_when_due(self) -> None:
        """Ask again where something in the list goes on."""
        if time.monotonic() - self._asked_at > REFRESH_SECONDS and any(not job.finished for job in self.jobs):
            self.ask()

    def update(self, status: m.JobStatus) -> None:
        """Take over what was pushed about one job; one that is new here comes first."""
        if self.find(status.job_id) is None and _is_shown(status):
            self.jobs = (status, *self.jobs)
        self.jobs = tuple(status if job.job_id == status.job_id else job for job in self.jobs)

    def remove(self, job_id: str, on_end: Handler) -> None:
        """Have a job deleted; it leaves the list when it is, and ``on_end`` gets the answer."""

        def hear(message: m.Message) -> None:
            if isinstance(message, m.Removed):
                self.jobs = tuple(job for job in self.jobs if job.job_id != job_id)
            on_end(message)

        self._send(m.Remove(job_id), hear)

    def find(self, job_id: str) -> m.JobStatus | None:
        """The job with this id."""
        return next((job for job in self.jobs if job.job_id == job_id), None)

    @property
    def waiting(self) -> tuple[m.JobStatus, ...]:
        """Jobs that are done and whose result nobody has fetched yet."""
        return tuple(job for job in self.jobs if job.state is m.JobState.DONE and not job.fetched)

    def news(self) -> str:
        """A sentence about results that came while nobody was there, once after each ``expect_news``; else ""."""
        waiting, self._news = self._news, ()
        if not waiting:
            return ""
        if len(waiting) == 1:
            return f"“{waiting[0].name}” was tracked meanwhile: build it from the list of jobs."
        names = ", ".join(f"“{job.name}”" for job in waiting[:3])
        more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
        return f"{names}{more} were tracked meanwhile: build them from the list of jobs."

    def expect_news(self) -> None:
        """A new connection: what came before it is worth telling."""
        self._news_expected = True

    def _on_list(self, message: m.Message) -> None:
        if isinstance(message, m.JobList):
            self.jobs = tuple(filter(_is_shown, message.jobs))
            if self._news_expected:
                self._news_expected, self._news = False, self.waiting


def _is_shown(job: m.JobStatus) -> bool:
    """True for a job that leaves a take."""
    return job.kind in m.JOBS and m.JOBS[job.kind].GIVES_TAKE
