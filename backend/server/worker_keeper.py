"""There is a worker: started, started again when it dies, watched while it works, and no larger than it need be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import zmq

from backend.errors import ErrorCode
from backend.server import worker_link as link
from backend.server.history import Death
from backend.server.worker_process import WorkerProcess
from protocol.codec import ProtocolError
from protocol.messages import Problem
from protocol.states import WorkerState

log = logging.getLogger(__name__)

START_SECONDS = 180.0
"""A worker that is not ready by then is started again: torch and its models load in 4 s, from a cold network drive
in a minute."""
SILENT_SECONDS = 120.0
"""A worker tells that it lives every 5 s from a thread of its own. One that does not for this long is stopped, swapped
out or holds the interpreter in a loop below Python; the longest single call there takes seconds."""
IDLE_SECONDS = 600.0
"""A job without progress whose worker uses no processor either waits for what does not come: a dead network drive, or a
lock that nobody will release. Drives wake from sleep in seconds; ten minutes are beyond the time-out of any mount."""
STUCK_SECONDS = 7200.0
"""A job without progress for this long runs in a circle: the longest step without a word, an iteration of a fit to
an hour of footage, takes minutes."""
IDLE_SHARE = 0.01  # of one processor, below which a worker counts as idle; its heartbeat alone takes 0.0001

DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before a worker is started, after so many ended in a row."""
MAX_STARTS = 5
"""Workers in a row that never got ready after which there is no use in more: 7.5 s of delays, and their starts."""

LARGE_BYTES = 256 << 20
LARGE_SHARE = 0.25
"""A worker that holds both so many bytes and this share more than when it was ready is started anew once no job waits.
What the first jobs load for all later ones must fit in: on the CPU a worker is ready with 664 MB, and holds 799 after a
photograph and 856 after 100 frames of 720p, of the 1,117 it had at most. What a large take leaves beyond must not."""
IN_BETWEEN = 4
"""How many times as much it may have grown while jobs wait: they would have to wait for a start of some seconds."""
REST_SECONDS = 2.0  # without a job before that: a client's next job follows its last within less

Received: TypeAlias = link.Event | Death | None


class WorkerKeeper:
    """Owns the worker process. ``make`` starts one under a serial number, or raises OSError or ZMQError."""

    def __init__(self, make: Callable[[int], WorkerProcess]) -> None:
        self._make = make
        self.process: WorkerProcess | None = None
        self.problem: Problem | None = None  # why there is none at present
        self.hopeless = False  # and it is of no use to wait for one
        self._serial = 0
        self._ends = 0  # in a row, without a job that ended
        self._starts = 0  # in a row, of workers that were never ready
        self._start_at = 0.0
        self._since = self._heard = self._moved = self._ticked = time.monotonic()
        self._processor_seconds = self._processor_mark = 0.0
        self._ready_bytes = 0
        self._kills: int | None = None
        self._broken: link.Broken | None = None

    @property
    def state(self) -> WorkerState:
        """What the worker does; GONE where there is none."""
        return WorkerState.GONE if self.process is None else self.process.state

    @property
    def device(self) -> str:
        """The device of fits, "" until the worker has looked."""
        return "" if self.process is None else self.process.device

    @property
    def pid(self) -> int:
        """The worker's process id, 0 where there is none."""
        return 0 if self.process is None else self.process.pid

    @property
    def restarts(self) -> int:
        """How many workers were started after the first one."""
        return max(0, self._serial - 1)

    def ask_again(self) -> None:
        """Somebody wants a worker: where there was no use in waiting, try once more, at once."""
        if self.hopeless:
            self.hopeless, self._starts, self._start_at = False, 0, 0.0
        self.start_when_due()

    def start_when_due(self) -> None:
        """Start a worker where there is none and it is time for one."""
        if self.process is not None or self.hopeless or time.monotonic() < self._start_at:
            return
        self._serial += 1
        self._broken = None
        self._since = self._heard = time.monotonic()
        self._kills = kills_for_memory()
        try:
            self.process = self._make(self._serial)
        except (OSError, zmq.ZMQError) as error:
            words = (error.strerror or str(error)).removesuffix(".")
            lasting = isinstance(error, FileNotFoundError | PermissionError)
            self._not_started(words, "" if lasting else "Close other programs.", lasting=lasting, passing=not lasting)
        else:
            self.problem = None

    def run(self, folder: Path, number: int, smaller: int) -> None:
        """Start a job on a worker that is ready."""
        assert self.process
        now = time.monotonic()
        self._moved = self._heard = now
        self._processor_mark = self._processor_seconds
        self._kills = kills_for_memory()
        self.process.run(folder, number, smaller)

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop; it may not listen."""
        if self.process is not None:
            self.process.cancel(job_id)

    def job_ended(self) -> None:
        """The worker told the end of a job: it is ready for the next."""
        self._ends = 0
        self._since = time.monotonic()
        if self.process is not None:
            self.process.state = WorkerState.READY

    def replace(self) -> None:
        """End the worker and start another at once."""
        self.end()
        self._start_at = 0.0
        self.start_when_due()

    def end(self) -> None:
        """End the worker; none follows until ``start_when_due``."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def receive(self, frames: list[bytes]) -> Received:
        """An event of the worker, or its end while it ran a job; None for what is no business of others."""
        process = self.process
        if process is None or int(frames[0]) != process.serial:
            return None  # of one that was replaced
        try:
            event = link.read_event(frames[1])
        except ProtocolError as error:
            log.error("the worker said what cannot be read: %s", error.message)
            return None
        self._heard = time.monotonic()
        match event:
            case link.Ready(seconds, device):
                process.state, process.device, self._starts = WorkerState.READY, device, 0
                self._ready_bytes = process.resident_bytes()
                self._since = self._heard
                log.info("worker %d ready after %.1f s on %s", process.pid, seconds, device)
                return event
            case link.Broken():
                self._broken = event
                return None
            case link.Alive(processor_seconds):
                self._processor_seconds = processor_seconds
                return None
            case link.Exited():
                return self._died(process.exit_in_words())
            case link.Progressed() | link.PartialResult():
                self._moved = self._heard
                self._processor_mark = self._processor_seconds
        return event

    def tick(self) -> Death | None:
        """Start a worker that is due; end one that does not answer: its end, where it ran a job."""
        now = time.monotonic()
        if now - self._ticked > link.ALIVE_SECONDS:  # this process, or the machine, was stopped: nobody could answer
            gap = now - self._ticked
            self._since, self._heard, self._moved = self._since + gap, self._heard + gap, self._moved + gap
        self._ticked = now
        self.start_when_due()
        match self.state:
            case WorkerState.STARTING if now - self._since > START_SECONDS:
                return self._died(f"was not ready after {START_SECONDS:.0f} s and was ended")
            case WorkerState.READY | WorkerState.BUSY if now - self._heard > SILENT_SECONDS:
                return self._died(f"did not answer for {SILENT_SECONDS:.0f} s and was ended")
            case WorkerState.BUSY if now - self._moved > self._patience(now):
                return self._died(f"made no progress for {(now - self._moved) / 60:.0f} minutes and was ended")
        return None

    def slim_down(self, *, waited_for: bool) -> None:
        """Start a worker that has grown anew, one that is ``waited_for`` only where it has grown very much."""
        if self.process is None or self.state is not WorkerState.READY or not self._ready_bytes:
            return
        if not waited_for and time.monotonic() - self._since < REST_SECONDS:
            return
        self._since = time.monotonic()  # look again in a while
        held = self.process.resident_bytes()
        if is_large(held, self._ready_bytes, IN_BETWEEN if waited_for else 1):
            held, ready = held >> 20, self._ready_bytes >> 20
            log.info("the worker holds %d MB, %d MB when it was ready: it is started anew", held, ready)
            self.replace()

    def _patience(self, now: float) -> float:
        """Seconds without progress that are too many, by what the worker does meanwhile."""
        used, passed = self._processor_seconds - self._processor_mark, now - self._moved
        return IDLE_SECONDS if used < IDLE_SHARE * passed else STUCK_SECONDS

    def _died(self, words: str) -> Death | None:
        process, was = self.process, self.state
        assert process
        killed = process.ended_by_kill()
        self.end()
        log.warning("the worker %s while it was %s", words, was)
        if was is WorkerState.STARTING:
            why = self._broken or link.Broken(f"it {words}")
            lasting = self._broken is not None and not why.passing
            self._not_started(why.message.removesuffix("."), why.hint, lasting=lasting, passing=why.passing)
            return None
        self._start_later()
        if was is not WorkerState.BUSY:
            return None
        kills = kills_for_memory()
        return Death(words, killed, killed and (kills is None or kills != self._kills))

    def _not_started(self, why: str, hint: str, *, lasting: bool, passing: bool) -> None:
        """``lasting``: the next would not start either. ``passing``: it will, once the machine has room again."""
        sentence = f"The tracking process would not start: {why}."
        if self.problem is None or self.problem.message != sentence:
            log.error("%s", sentence)
        self.problem = Problem(ErrorCode.WORKER_BROKEN, sentence, hint or "Install FlowFace's packages again.")
        self._starts += 1
        self.hopeless = lasting or (self._starts >= MAX_STARTS and not passing)
        self._start_later()

    def _start_later(self) -> None:
        delay = DELAYS[min(self._ends, len(DELAYS) - 1)]
        self._ends += 1
        self._start_at = time.monotonic() + delay
        self.start_when_due()


def is_large(held: int, ready: int, times: int = 1) -> bool:
    """A worker that holds so many bytes is started anew, where it held ``ready`` when it was."""
    return held - ready > times * max(LARGE_BYTES, LARGE_SHARE * ready)


def kills_for_memory() -> int | None:
    """How many processes the system has ended for want of memory since it started; None where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
