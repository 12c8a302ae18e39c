"""The order of jobs: one runs at a time, the others queue, and what becomes of them when something stops."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import zmq

from backend.errors import ErrorCode, UserError
from backend.server import worker_link as link
from backend.server.device import AUTO
from backend.server.jobs import INTERRUPTED, JobStore
from backend.server.worker_process import WorkerProcess
from protocol.codec import ProtocolError
from protocol.messages import Job, JobState, JobStatus, Problem, WorkerState

log = logging.getLogger(__name__)

EVENTS = "inproc://worker-events"
CANCEL_GRACE = 0.7  # seconds in which a job may stop by itself before its process is ended
SAVE_INTERVAL = 1.0  # seconds between writes of a running job's progress


class Scheduler:
    """Owns the worker process and the queue; ``on_change`` gets every new state of a job."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        store: JobStore,
        runner: str,
        on_change: Callable[[JobStatus], None],
        device: str = AUTO,
    ) -> None:
        self.events: zmq.Socket[bytes] = context.socket(zmq.PULL)
        self.events.bind(EVENTS)
        self._context = context
        self._store = store
        self._runner = runner
        self._on_change = on_change
        self._device = device
        self._queue: deque[str] = deque()
        self._live: dict[str, JobStatus] = {}
        self._running: str | None = None
        self._started = 0.0
        self._saved = 0.0
        self._cancel_deadline: float | None = None
        self._partial_file: str | None = None  # of the running job
        self._serial = 0
        self._broken: link.Broken | None = None
        self.worker = self._new_worker()

    def submit(self, spec: Job, owner: str = "") -> JobStatus:
        """Put a job of a client on disk and in the queue, and start it where nothing else runs."""
        status = self._store.create(spec, owner)
        self._live[status.job_id] = status
        self._queue.append(status.job_id)
        log.info("job %s queued: %s", status.job_id, status.footage)
        if self.worker.state is WorkerState.GONE:
            self.worker = self._new_worker()
        self._start_next()
        return self.status(status.job_id)

    def status(self, job_id: str) -> JobStatus:
        """The state of a job, from memory while it is alive; raises UserError for an unknown one."""
        status = self._live.get(job_id) or self._store.load(job_id)
        if status.job_id == self._running:
            return dataclasses.replace(status, seconds_elapsed=time.monotonic() - self._started)
        if job_id in self._queue:
            ahead = self._queue.index(job_id) + (self._running is not None)
            stage = "loading the tracker" if self.worker.state is WorkerState.STARTING else "waiting"
            return dataclasses.replace(status, stage=stage, queue_position=ahead)
        return status

    def live(self, limit: int) -> tuple[JobStatus, ...]:
        """The states of the newest ``limit`` jobs that wait or run here."""
        return tuple(self.status(job_id) for job_id in sorted(self._live)[-limit:])

    def is_live(self, job_id: str) -> bool:
        """Whether a job waits or runs here."""
        return job_id in self._live

    @property
    def idle(self) -> bool:
        """True where no job runs or waits."""
        return self._running is None and not self._queue

    def partial_file(self, job_id: str) -> Path | None:
        """The track of what is known of a running job's take by now; None where there is none."""
        if job_id != self._running or self._partial_file is None:
            return None
        return self._store.folder(job_id) / self._partial_file

    def cancel(self, job_id: str) -> JobStatus:
        """Stop a job: a queued one at once, a running one within ``CANCEL_GRACE``; a finished one stays as it is."""
        if job_id in self._queue:
            self._queue.remove(job_id)
            self._finish(job_id, JobState.CANCELLED)
            self._tell_queue()
        elif job_id == self._running and self._cancel_deadline is None:
            log.info("job %s is being cancelled", job_id)
            self._cancel_deadline = time.monotonic() + CANCEL_GRACE
            self.worker.cancel(job_id)
        status = self.status(job_id)
        if not status.finished and job_id not in self._live:
            raise UserError(
                ErrorCode.NOT_MINE, f"The job “{status.name}” is run by another backend.", "Cancel it there."
            )
        return status

    def poll_timeout(self) -> float:
        """Seconds after which ``tick`` must be called."""
        return 0.25 if self._cancel_deadline is None else max(0.0, min(0.25, self._cancel_deadline - time.monotonic()))

    def tick(self) -> None:
        """End the process of a job that was told to stop and did not."""
        if self._cancel_deadline is None or time.monotonic() < self._cancel_deadline:
            return
        log.info("job %s did not stop by itself; its process is ended", self._running)
        self.worker.kill()
        self._finish_running(JobState.CANCELLED)
        self.worker = self._new_worker()

    def handle_event(self, frames: list[bytes]) -> None:
        """Take one event of the worker; those of a worker that was replaced are dropped."""
        if int(frames[0]) != self._serial or self.worker.state is WorkerState.GONE:
            return
        try:
            event = link.read_event(frames[1])
        except ProtocolError as error:
            log.error("the worker said what cannot be read: %s", error.message)
            return
        match event:
            case link.Ready(seconds, device):
                self.worker.state, self.worker.device = WorkerState.READY, device
                log.info("worker %d ready after %.1f s on %s", self.worker.pid, seconds, device)
                self._start_next()
            case link.Broken():
                self._broken = event
            case link.Exited():
                self._worker_exited()
            case link.Progressed():
                self._progressed(event)
            case link.PartialResult(job, file):
                self._partly_known(job, file)
            case link.Done(job):
                self._job_ended(job, JobState.DONE)
            case link.Cancelled(job):
                self._job_ended(job, JobState.CANCELLED)
            case link.Failed(job, problem):
                self._job_ended(job, JobState.FAILED, problem)
            case _:
                assert_never(event)

    def close(self) -> None:
        """End the worker; jobs that were not finished are interrupted."""
        self.worker.kill()
        unfinished = ([self._running] if self._running else []) + list(self._queue)
        for job_id in unfinished:
            self._finish(job_id, JobState.INTERRUPTED, INTERRUPTED)
        self.events.close(linger=0)

    def _new_worker(self) -> WorkerProcess:
        self._serial += 1
        self._broken = None
        return WorkerProcess(self._runner, self._context, EVENTS, self._serial, self._device)

    def _start_next(self) -> None:
        if self._running or not self._queue or self.worker.state is not WorkerState.READY:
            return
        job_id = self._queue.popleft()
        self._running, self._started = job_id, time.monotonic()
        self._update(dataclasses.replace(self._live[job_id], state=JobState.RUNNING, stage="starting"))
        self.worker.run(self._store.folder(job_id))
        log.info("job %s started", job_id)
        self._tell_queue()

    def _tell_queue(self) -> None:
        for job_id in self._queue:
            self._on_change(self.status(job_id))

    def _progressed(self, event: link.Progressed) -> None:
        if self._running is None or event.job != self._running:
            return
        elapsed, fraction = time.monotonic() - self._started, event.fraction
        status = dataclasses.replace(
            self._live[self._running],
            stage=event.stage,
            fraction=fraction,
            frames_done=event.frames_done,
            frames_total=event.frames_total,
            seconds_elapsed=elapsed,
            seconds_remaining=elapsed * (1 - fraction) / fraction if fraction > 0.02 else None,
        )
        self._update(status, save=time.monotonic() - self._saved > SAVE_INTERVAL)

    def _partly_known(self, job_id: str, file: str) -> None:
        if self._running is None or job_id != self._running:
            return
        self._partial_file = file
        status = self._live[job_id]
        self._update(dataclasses.replace(status, partial=status.partial + 1))

    def _job_ended(self, job_id: str, state: JobState, problem: Problem | None = None) -> None:
        self.worker.state = WorkerState.READY
        if job_id == self._running:
            self._finish_running(state, problem)
        self._start_next()

    def _worker_exited(self) -> None:
        words, was = self.worker.exit_in_words(), self.worker.state
        self.worker.kill()
        log.warning("the worker %s while it was %s", words, was)
        if was is WorkerState.STARTING:
            why = self._broken or link.Broken(f"it {words}")
            problem = Problem(
                ErrorCode.WORKER_BROKEN,
                f"The tracking process would not start: {why.message.removesuffix('.')}.",
                why.hint or "Install FlowFace's packages again.",
            )
            while self._queue:  # a new attempt would end the same way; the next submit makes one
                self._finish(self._queue.popleft(), JobState.FAILED, problem)
            return
        if self._running:
            stage = self._live[self._running].stage
            state = JobState.FAILED if self._cancel_deadline is None else JobState.CANCELLED
            problem = Problem(
                ErrorCode.WORKER_DIED,
                f"The tracking process {words} during “{stage}”; the machine may have run out of memory.",
                "Track fewer frames at a time; if it happens again, report it with the backend's log.",
            )
            self._finish_running(state, problem if state is JobState.FAILED else None)
        self.worker = self._new_worker()

    def _finish_running(self, state: JobState, problem: Problem | None = None) -> None:
        assert self._running
        job_id, self._running, self._cancel_deadline = self._running, None, None
        elapsed = time.monotonic() - self._started
        self._live[job_id] = dataclasses.replace(self._live[job_id], seconds_elapsed=elapsed, partial=0)
        self._partial_file = None
        self._finish(job_id, state, problem)

    def _finish(self, job_id: str, state: JobState, problem: Problem | None = None) -> None:
        status = dataclasses.replace(self._live.pop(job_id), state=state, problem=problem, seconds_remaining=None)
        if state is JobState.DONE:
            status = dataclasses.replace(status, stage="done", fraction=1.0)
        log.info("job %s %s%s", job_id, state, f": {problem.message}" if problem else "")
        self._save(status)
        self._on_change(status)

    def _update(self, status: JobStatus, save: bool = True) -> None:
        self._live[status.job_id] = status
        if save:
            self._saved = time.monotonic()
            self._save(status)
        self._on_change(status)

    def _save(self, status: JobStatus) -> None:
        try:
            self._store.save(status)
        except OSError as error:  # a full disk must not end the backend
            log.error("the state of job %s cannot be written: %s", status.job_id, error)
