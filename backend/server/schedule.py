"""The order of jobs: one runs at a time, the others queue, and what becomes of them when something stops.

Nothing that a job, a worker, the disk or a user with a file manager does ends the backend: a job goes on, waits and
says for what, or fails with a sentence. Its state is on disk before it starts.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import assert_never

import zmq

from backend.errors import ErrorCode, UserError
from backend.server import worker_link as link
from backend.server.device import AUTO
from backend.server.disk_pause import DiskPause
from backend.server.explain import DISK_CODES
from backend.server.history import MAX_SMALLER, Death, History
from backend.server.jobs import JobStore, Record
from backend.server.ledger import Ledger, deleted_by_hand
from backend.server.queue_news import QueueNews
from backend.server.refusals import require_room
from backend.server.retention import KEEP_ALL, Retention
from backend.server.run import Run
from backend.server.upkeep import Upkeep
from backend.server.worker_keeper import WorkerKeeper
from backend.server.worker_process import WorkerProcess
from protocol.messages import Job, JobState, JobStatus, Problem, WorkerState

log = logging.getLogger(__name__)

EVENTS = "inproc://worker-events"
CANCEL_GRACE = 0.7  # seconds in which a job may stop by itself before its process is ended
SAVE_INTERVAL = 1.0  # seconds between writes of a running job's progress
TICK = 0.25  # seconds
AT_START, AT_ONCE = 500, 50
"""How many jobs are looked into before serving begins, and then in a tick: each takes 0.2 ms."""
GOES_ON = "goes on after the backend stopped"
LEFT = "goes on with the next backend"


class Scheduler:
    """Owns the worker process and the queue; ``on_change`` gets every new state of a job."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        store: JobStore,
        runner: str,
        on_change: Callable[[JobStatus], None],
        device: str = AUTO,
        retention: Retention = KEEP_ALL,
        *,
        adopt: bool = True,
    ) -> None:
        """Take up the jobs that an earlier backend left, in their order, and start the worker.

        Without ``adopt`` only those that somebody asks for: the backend of one client has no time for others' jobs.
        """
        self.events: zmq.Socket[bytes] = context.socket(zmq.PULL)
        self.events.bind(EVENTS)
        self._store = store
        self._on_change = on_change
        self._queue: deque[str] = deque()
        self._run: Run | None = None
        self._ledger = Ledger(store, on_change)
        self._news = QueueNews(self._tell_place)
        self._pause = DiskPause(store)
        self._errors: set[str] = set()
        self.worker = WorkerKeeper(lambda serial: WorkerProcess(runner, context, EVENTS, serial, device))
        self._adopt = adopt
        left = store.unfinished() if adopt else []
        self._candidates = dict.fromkeys(left[:-AT_START])  # more only where old backends left the locks of all jobs
        self._guarded(lambda: self._take_up(left[-AT_START:]))
        self.worker.start_when_due()
        self._upkeep = Upkeep(store, retention)

    def submit(self, spec: Job, owner: str = "", token: str = "") -> JobStatus:
        """Put a client's job on disk and in the queue, and start it where nothing else runs; once for each token.

        Raises UserError ``unknown_job``, ``jobs_folder``, ``token_taken``, ``busy``: then there is no new job.
        """
        known = self._store.submitted(token, spec, owner)
        if known is not None:
            self._take_up([known.job_id])
            return self.status(known.job_id)
        require_room(len(self._queue), self._ledger.count_of(owner), owner)
        status = self._store.create(spec, owner, token)
        self._ledger.add(Record(status))
        self._queue.append(status.job_id)
        log.info("job %s queued: %s", status.job_id, status.footage)
        self.worker.ask_again()
        self._start_next()
        return self.status(status.job_id)

    def status(self, job_id: str) -> JobStatus:
        """The state of a job, from memory while it is alive; raises UserError for an unknown one."""
        return self._status(job_id, self._queue.index(job_id) if job_id in self._queue else None)

    def _status(self, job_id: str, place: int | None) -> JobStatus:
        """``status`` of a job at ``place`` of the queue, None where it does not wait."""
        status = self._ledger.status(job_id)
        if self._run is not None and status.job_id == self._run.job_id:
            return dataclasses.replace(status, seconds_elapsed=self._run.elapsed)
        if place is not None:
            ahead = place + (self._run is not None)
            problem = status.problem or self._pause.problem or self.worker.problem
            stage = status.stage or ("loading the tracker" if self.worker.state is WorkerState.STARTING else "waiting")
            return dataclasses.replace(status, stage=stage, problem=problem, queue_position=ahead)
        return status

    def live(self, limit: int) -> tuple[JobStatus, ...]:
        """The states of the newest ``limit`` jobs that wait or run here."""
        places = {job_id: place for place, job_id in enumerate(self._queue)}
        return tuple(self._status(job_id, places.get(job_id)) for job_id in self._ledger.newest(limit))

    def is_live(self, job_id: str) -> bool:
        """Whether a job waits or runs here."""
        return job_id in self._ledger

    @property
    def idle(self) -> bool:
        """True where no job runs or waits."""
        return self._run is None and not self._queue

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many jobs run."""
        return int(self._run is not None)

    def partial_file(self, job_id: str) -> Path | None:
        """The track of what is known of a running job's take by now; None where there is none."""
        if self._run is None or job_id != self._run.job_id or self._run.partial_file is None:
            return None
        return self._store.folder(job_id) / self._run.partial_file

    def cancel(self, job_id: str) -> JobStatus:
        """Stop a job: a queued one at once, a running one within ``CANCEL_GRACE``; a finished one stays as it is."""
        if job_id not in self._ledger and not self.status(job_id).finished:
            self._take_up([job_id])
        if job_id in self._queue:
            self._queue.remove(job_id)
            self._ledger.finish(job_id, JobState.CANCELLED)
            self._news.changed(self._queue)
        elif self._run is not None and job_id == self._run.job_id and self._run.cancel_deadline is None:
            log.info("job %s is being cancelled", job_id)
            self._run.cancel_deadline = time.monotonic() + CANCEL_GRACE
            self.worker.cancel(job_id)
            record = self._ledger[job_id]  # on disk, lest a backend that is killed now takes it up again
            self._ledger.put(record.status, dataclasses.replace(record.history, cancelling=True))
        status = self.status(job_id)
        if not status.finished and job_id not in self._ledger:
            raise UserError(
                ErrorCode.NOT_MINE, f"The job “{status.name}” is run by another backend.", "Cancel it there."
            )
        return status

    def want(self, job_id: str) -> None:
        """Somebody follows this job: where it lost its backend, it is taken up at once."""
        if job_id not in self._ledger:
            self._take_up([job_id])

    def poll_timeout(self) -> float:
        """Seconds after which ``tick`` must be called."""
        if self._run is None or self._run.cancel_deadline is None:
            return TICK
        return max(0.0, min(TICK, self._run.cancel_deadline - time.monotonic()))

    def tick(self) -> None:
        """Do what is due: write what could not be written, watch the worker, take up jobs that lost their backend."""
        self._guarded(self._tick)

    def handle_event(self, frames: list[bytes]) -> None:
        """Take one event of the worker; those of a worker that was replaced are dropped."""
        self._guarded(lambda: self._handle(frames))

    def close(self) -> None:
        """End the worker; jobs that are not over stay queued on disk for the next backend."""
        self.worker.end()
        self._upkeep.stop()
        if self._run is not None and self._run.cancel_deadline is not None:
            self._finish_run(JobState.CANCELLED)
        unfinished = ([self._run.job_id] if self._run else []) + list(self._queue)
        for job_id in unfinished:
            self._ledger.let_go(job_id, LEFT)
        self._store.close()
        self.events.close(linger=0)

    def _guarded(self, part: Callable[[], None]) -> None:
        """An error of our own costs its moment, not the backend with all jobs; each is told once."""
        try:
            part()
        except Exception as error:
            if repr(error) not in self._errors:
                self._errors.add(repr(error))
                log.exception("an error in the scheduler; the backend goes on")

    def _tick(self) -> None:
        self._ledger.retry()
        if self._run and self._run.cancel_deadline is not None and time.monotonic() >= self._run.cancel_deadline:
            log.info("job %s did not stop by itself; its process is ended", self._run.job_id)
            self.worker.end()
            self._finish_run(JobState.CANCELLED)
            self.worker.replace()
        if death := self.worker.tick():
            self._worker_died(death)
        while self.worker.hopeless and self._queue:  # the next submit tries again
            self._ledger.finish(self._queue.popleft(), JobState.FAILED, self.worker.problem)
        self._take_up_found()
        self._start_next()
        self._news.tick()
        if self.idle:
            self.worker.slim_down(waited_for=False)

    def _handle(self, frames: list[bytes]) -> None:
        event = self.worker.receive(frames)
        match event:
            case None:
                pass
            case Death():
                self._worker_died(event)
            case link.Progressed():
                self._progressed(event)
            case link.PartialResult(job, file):
                self._partly_known(job, file)
            case link.Done(job, size):
                self._job_ended(job, JobState.DONE, None, size)
            case link.Cancelled(job, size):
                self._job_ended(job, JobState.CANCELLED, None, size)
            case link.Failed(job, problem, size):
                self._job_ended(job, JobState.FAILED, problem, size)
            case link.Ready() | link.Broken() | link.Alive() | link.Exited():
                pass
            case _:
                assert_never(event)
        self._start_next()

    def _take_up_found(self) -> None:
        """Look into some of the jobs that may have lost their backend; where no worker starts, others may do better."""
        found = self._upkeep.found()
        if not self._adopt or self.worker.hopeless:
            return
        self._candidates |= dict.fromkeys(found)
        some = list(itertools.islice(self._candidates, AT_ONCE))
        self._take_up(some)
        for job_id in some:
            del self._candidates[job_id]

    def _take_up(self, job_ids: Iterable[str]) -> None:
        """Own those of these jobs that are not over and that nobody owns."""
        patient: list[str] = []
        for job_id in job_ids:
            record = None if job_id in self._ledger else self._store.take_up(job_id)
            if record is None:
                continue
            status, history = record.status, record.history
            if status.state is JobState.RUNNING:
                history = history.after_loss(status.fraction)
            log.warning("job %s lost its backend while it was %s and is taken up", job_id, status.state)
            self._ledger.add(Record(status, history))
            if history.cancelling:
                self._ledger.finish(job_id, JobState.CANCELLED)
            elif history.verdict:
                self._ledger.finish(job_id, JobState.FAILED, history.verdict)
            else:
                (patient if history.steps_back else self._queue).append(job_id)
                status = dataclasses.replace(status, state=JobState.QUEUED, stage=GOES_ON, partial=0, problem=None)
                self._ledger.put(status, history)
        self._queue.extend(patient)

    def _start_next(self) -> None:
        while self._run is None and self._queue and self.worker.state is WorkerState.READY:
            if self._pause.goes_on():
                return
            job_id = self._queue.popleft()
            if self._store.is_there(job_id):
                self._start(job_id)
            elif self._store.root_is_there():
                self._ledger.finish(job_id, JobState.FAILED, deleted_by_hand(str(self._store.root / job_id)))
            else:
                self._queue.appendleft(job_id)
                self._wait_for_disk(f"The jobs folder {self._store.root} is gone.")

    def _start(self, job_id: str) -> None:
        record = self._ledger[job_id]
        queued, number = record.status, record.status.attempts + 1
        started = dataclasses.replace(queued, state=JobState.RUNNING, stage="starting", attempts=number, problem=None)
        self._run = Run(job_id, time.monotonic(), time.monotonic())
        if not self._ledger.put(started):  # a state that is not on disk is no state: nobody would know how often it ran
            self._run = None
            self._queue.appendleft(job_id)
            self._ledger.put(queued, save=False)
            self._wait_for_disk(f"The jobs folder {self._store.root} cannot be written.")
            return
        self.worker.run(self._store.root / job_id, number, record.history.smaller)
        log.info("job %s started%s", job_id, f", try {number}" if number > 1 else "")
        self._news.changed(self._queue)

    def _wait_for_disk(self, sentence: str) -> None:
        self._pause.begin(sentence)
        self._news.changed(self._queue)

    def _tell_place(self, job_id: str) -> None:
        if job_id in self._ledger:
            self._on_change(self.status(job_id))

    def _progressed(self, event: link.Progressed) -> None:
        run = self._run
        if run is None or event.job != run.job_id:
            return
        elapsed, fraction = run.elapsed, event.fraction
        status = dataclasses.replace(
            self._ledger[run.job_id].status,
            stage=event.stage,
            fraction=fraction,
            frames_done=event.frames_done,
            frames_total=event.frames_total,
            seconds_elapsed=elapsed,
            seconds_remaining=elapsed * (1 - fraction) / fraction if fraction > 0.02 else None,
        )
        save = time.monotonic() - run.saved > SAVE_INTERVAL
        if save:
            run.saved = time.monotonic()
        self._ledger.put(status, save=save)

    def _partly_known(self, job_id: str, file: str) -> None:
        if self._run is None or job_id != self._run.job_id:
            return
        self._run.partial_file = file
        status = self._ledger[job_id].status
        self._ledger.put(dataclasses.replace(status, partial=status.partial + 1))

    def _job_ended(self, job_id: str, state: JobState, problem: Problem | None, size: int) -> None:
        self.worker.job_ended()
        if self._run is None or job_id != self._run.job_id:
            return
        cancelled = self._run.cancel_deadline is not None
        if problem is None or cancelled:
            self._finish_run(state if problem is None else JobState.CANCELLED, None, size)
        elif problem.code in DISK_CODES:
            self._again(self._ledger[job_id].history, "waits for the disk")
            self._wait_for_disk(problem.message)
        elif problem.code == ErrorCode.OUT_OF_MEMORY:
            self._ran_out_of_memory(problem, size)
        else:
            self._finish_run(state, problem, size)
        if self._queue:
            self.worker.slim_down(waited_for=True)

    def _ran_out_of_memory(self, problem: Problem, size: int) -> None:
        assert self._run
        history = self._ledger[self._run.job_id].history.after_exhaustion()
        if history is None:
            tried = f"{problem.message} It was tried with less {MAX_SMALLER} times."
            self._finish_run(JobState.FAILED, dataclasses.replace(problem, message=tried), size)
        else:
            self._again(history, "the memory was not enough: goes on with less")
        self.worker.replace()  # what it had taken by then may be in pieces that nobody can use

    def _worker_died(self, death: Death) -> None:
        if self._run is None:
            return
        record = self._ledger[self._run.job_id]
        history = record.history.after_death(death, record.status.stage, record.status.fraction)
        if self._run.cancel_deadline is not None:
            self._finish_run(JobState.CANCELLED)
        elif history.verdict:
            self._finish_run(JobState.FAILED, history.verdict)
        else:
            smaller = " with less memory" if history.smaller > record.history.smaller else ""
            self._again(history, f"the tracking process {death.words}: goes on{smaller} in a new one")

    def _again(self, history: History, stage: str) -> None:
        """Put the running job back in front of the queue."""
        assert self._run
        job_id, self._run = self._run.job_id, None
        status = self._ledger[job_id].status
        log.warning("job %s: %s", job_id, stage)
        self._queue.appendleft(job_id)
        status = dataclasses.replace(status, state=JobState.QUEUED, stage=stage, partial=0, seconds_remaining=None)
        self._ledger.put(status, history)

    def _finish_run(self, state: JobState, problem: Problem | None = None, size: int = 0) -> None:
        assert self._run
        run, self._run = self._run, None
        status = self._ledger[run.job_id].status
        self._ledger.put(dataclasses.replace(status, seconds_elapsed=run.elapsed), save=False)
        self._ledger.finish(run.job_id, state, problem, size)
        self._upkeep.tidy_soon()
