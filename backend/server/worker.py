"""The process that does the work: ``python -m backend.server.worker MODULE:FUNCTION``.

A process of its own, not a thread, because a decoder that crashes, a machine that runs out of memory or a library that
will not be interrupted must cost one job and not the backend; and because ending a process is the one cancel that
always works. It is started before it is needed and stays, so that no job waits for torch and mediapipe to load.

It takes orders on stdin and tells events on stdout, in the lines of ``worker_link``. When stdin closes, its backend
is gone and so is it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import inspect
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, assert_never

import psutil  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from backend.errors import Cancelled, UserError
from backend.memory import give_back_freed_memory
from backend.progress import Attempt, JobProgress, OnPartial, OnProgress, ShouldCancel
from backend.server import worker_link as link
from backend.server.device import require_device
from backend.server.explain import explain
from backend.server.jobs import WORKER_LOCK, read_spec
from backend.server.plain import plain_lines
from backend.server.storage import folder_size
from protocol.codec import ProtocolError
from protocol.messages import Job, Problem

log = logging.getLogger(__name__)

PREDECESSOR_SECONDS = 60.0  # a worker notices the end of its backend at once unless it holds the interpreter
GROWN_BYTES = 64 << 20  # since the worker was ready, from which on it is worth 0.1 s to give some back
PASSING = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOSPC})
"""What a machine may lack while a worker starts, and have later."""

PROGRESS_INTERVAL = 0.05  # seconds: 20 updates a second look smooth, more only cost


class JobRunner(Protocol):
    """The work of one job, into ``folder``; ``backend.pipeline.runners.run_job`` is the real one.

    Where it takes an ``attempt``, it is told which one this is.
    """

    def __call__(
        self,
        spec: Job,
        folder: Path,
        *,
        on_progress: OnProgress,
        should_cancel: ShouldCancel,
        on_partial: OnPartial,
    ) -> object:
        """Do it, or raise UserError or Cancelled."""
        ...


class Worker:
    """Reads orders, runs one job at a time, writes events."""

    def __init__(self, orders: BinaryIO, events: BinaryIO) -> None:
        self._orders = orders
        self._events = events
        self._jobs: queue.Queue[link.RunJob] = queue.Queue()
        self._cancelled: set[str] = set()
        self._last_progress = ("", 0.0)
        self._writing = threading.Lock()

    def serve(self, runner_name: str) -> None:
        """Load the runner, say ready, and work until stdin closes."""
        threading.Thread(target=self._read_orders, daemon=True).start()
        threading.Thread(target=self._tell_alive, daemon=True).start()
        started = time.monotonic()
        try:
            require_device()
            runner, device = load_runner(runner_name)
        except Exception as error:
            traceback.print_exc()
            self._send(broken(error))
            return
        process = psutil.Process()
        ready = process.memory_info().rss
        self._send(link.Ready(round(time.monotonic() - started, 2), device))
        while True:
            event = self._run(runner, self._jobs.get())
            if process.memory_info().rss - ready > GROWN_BYTES:  # before the end is told: then it is looked at
                give_memory_back()
            self._send(event)

    def _tell_alive(self) -> None:
        while True:
            self._send(link.Alive(time.process_time()))
            time.sleep(link.ALIVE_SECONDS)

    def _read_orders(self) -> None:
        for line in self._orders:
            try:
                order = link.read_order(line)
            except ProtocolError as error:
                log.error("an order cannot be read: %s", error.message)
                continue
            match order:
                case link.RunJob():
                    self._jobs.put(order)
                case link.CancelJob(job):
                    self._cancelled.add(job)
                case _:
                    assert_never(order)
        os._exit(0)  # at once, whatever runs: nobody is left to hear about it

    def _run(self, runner: JobRunner, order: link.RunJob) -> link.Event:
        """Do a job; returns how it ended."""
        folder = Path(order.folder)
        job = folder.name
        try:
            with alone_in(folder):
                runner(
                    read_spec(folder),
                    folder,
                    on_progress=lambda progress: self._progress(job, progress),
                    should_cancel=lambda: job in self._cancelled,
                    on_partial=lambda file: self._send(link.PartialResult(job, file)),
                    **attempt_of(runner, order),
                )
        except Cancelled:
            return link.Cancelled(job, folder_size(folder))
        except Exception as error:
            problem = explain(error, folder)
            with contextlib.suppress(OSError):  # the disk may be what the error is about
                (folder / "log.txt").write_text("\n".join(plain_lines(traceback.format_exc())), encoding="utf-8")
            told = Problem(problem.code, problem.message, problem.hint)
            return link.Failed(job, told, folder_size(folder))
        return link.Done(job, folder_size(folder))

    def _progress(self, job: str, progress: JobProgress) -> None:
        stage, when = self._last_progress
        now = time.monotonic()
        if progress.stage == stage and now - when < PROGRESS_INTERVAL and progress.frames_done != progress.frames_total:
            return
        self._last_progress = (progress.stage, now)
        fraction = min(max(float(progress.fraction), 0.0), 1.0)
        frames = int(progress.frames_done), int(progress.frames_total)
        self._send(link.Progressed(job, progress.stage, fraction, *frames))

    def _send(self, event: link.Event) -> None:
        with self._writing:
            self._events.write(link.to_line(event))
            self._events.flush()


def load_runner(name: str) -> tuple[JobRunner, str]:
    """The function ``module:function`` and the device that its module's ``warm_up()``, where there is one, found."""
    module_name, function = name.split(":")
    module = importlib.import_module(module_name)
    warm_up: Callable[[], str] | None = getattr(module, "warm_up", None)
    return getattr(module, function), warm_up() if warm_up else ""


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Work in a job's folder as its only worker: one whose backend was killed may need a moment to notice.

    One that does not end (stopped by hand, hung in the kernel) is not waited for any longer: all files it writes are
    whole.
    """
    if not folder.is_dir():  # filelock would make it
        raise FileNotFoundError(errno.ENOENT, "the job's folder is gone", str(folder))
    path = folder / WORKER_LOCK
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=PREDECESSOR_SECONDS)
    except (Timeout, NotImplementedError):
        log.warning("another worker does not leave %s; going on beside it", folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            lock.release()


def attempt_of(runner: JobRunner, order: link.RunJob) -> dict[str, Any]:
    """``attempt`` by name, for a runner that takes it."""
    takes = inspect.signature(runner).parameters
    return {"attempt": Attempt(order.number, order.smaller)} if "attempt" in takes else {}


def give_memory_back() -> None:
    """Hand what a job has left unused to the system: freed pages, and the graphics card's."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    give_back_freed_memory()


def broken(error: Exception) -> link.Broken:
    """The event of a runner that could not be loaded."""
    if isinstance(error, UserError):
        return link.Broken(error.message, error.hint)
    passing = isinstance(error, MemoryError) or getattr(error, "errno", None) in PASSING
    return link.Broken(f"{type(error).__name__}: {error}", passing=passing)


def main() -> None:
    """Serve one backend on stdin and stdout."""
    for name in ("SIGINT", "SIGBREAK"):  # Ctrl-C and Ctrl-Break in a terminal reach us too, but the backend decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up between the events
    Worker(sys.stdin.buffer, events).serve(sys.argv[1])


if __name__ == "__main__":
    main()
