"""The process that does the work: ``python -m backend.server.worker MODULE:FUNCTION``.

A process of its own, not a thread, because a decoder that crashes, a machine that runs out of memory or a library that
will not be interrupted must cost one job and not the backend; and because ending a process is the one cancel that
always works. It is started before it is needed and stays, so that no job waits for torch and mediapipe to load.

It takes orders on stdin and tells events on stdout, in the lines of ``worker_link``. When stdin closes, its backend
is gone and so is it.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, assert_never

from backend.errors import Cancelled, ErrorCode, UserError
from backend.progress import JobProgress, OnPartial, OnProgress, ShouldCancel
from backend.reading import told_by_system
from backend.server import worker_link as link
from backend.server.device import require_device
from backend.server.jobs import read_spec
from protocol.codec import ProtocolError
from protocol.messages import Job, Problem

log = logging.getLogger(__name__)

PROGRESS_INTERVAL = 0.05  # seconds: 20 updates a second look smooth, more only cost


class JobRunner(Protocol):
    """The work of one job, into ``folder``; ``backend.pipeline.runners.run_job`` is the real one."""

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
        self._jobs: queue.Queue[Path] = queue.Queue()
        self._cancelled: set[str] = set()
        self._last_progress = ("", 0.0)

    def serve(self, runner_name: str) -> None:
        """Load the runner, say ready, and work until stdin closes."""
        threading.Thread(target=self._read_orders, daemon=True).start()
        started = time.monotonic()
        try:
            require_device()
            runner, device = load_runner(runner_name)
        except Exception as error:
            traceback.print_exc()
            self._send(broken(error))
            return
        self._send(link.Ready(round(time.monotonic() - started, 2), device))
        while True:
            self._run(runner, self._jobs.get())

    def _read_orders(self) -> None:
        for line in self._orders:
            try:
                order = link.read_order(line)
            except ProtocolError as error:
                log.error("an order cannot be read: %s", error.message)
                continue
            match order:
                case link.RunJob(folder):
                    self._jobs.put(Path(folder))
                case link.CancelJob(job):
                    self._cancelled.add(job)
                case _:
                    assert_never(order)
        os._exit(0)  # at once, whatever runs: nobody is left to hear about it

    def _run(self, runner: JobRunner, folder: Path) -> None:
        job = folder.name
        try:
            runner(
                read_spec(folder),
                folder,
                on_progress=lambda progress: self._progress(job, progress),
                should_cancel=lambda: job in self._cancelled,
                on_partial=lambda file: self._send(link.PartialResult(job, file)),
            )
            self._send(link.Done(job))
        except Cancelled:
            self._send(link.Cancelled(job))
        except Exception as error:
            (folder / "log.txt").write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
            problem = explain(error, folder)
            self._send(link.Failed(job, Problem(problem.code, problem.message, problem.hint)))

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
        self._events.write(link.to_line(event))
        self._events.flush()


def load_runner(name: str) -> tuple[JobRunner, str]:
    """The function ``module:function`` and the device that its module's ``warm_up()``, where there is one, found."""
    module_name, function = name.split(":")
    module = importlib.import_module(module_name)
    warm_up: Callable[[], str] | None = getattr(module, "warm_up", None)
    return getattr(module, function), warm_up() if warm_up else ""


def broken(error: Exception) -> link.Broken:
    """The event of a runner that could not be loaded."""
    if isinstance(error, UserError):
        return link.Broken(error.message, error.hint)
    return link.Broken(f"{type(error).__name__}: {error}")


def explain(error: Exception, folder: Path) -> UserError:
    """An exception as something a user can read."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return UserError(
            ErrorCode.OUT_OF_MEMORY,
            "The machine ran out of memory while tracking.",
            "Track fewer frames at a time, or close other programs that use the memory or the graphics card.",
        )
    if isinstance(error, OSError) and (told := told_by_system(error)) is not None:
        return told
    return UserError(
        ErrorCode.INTERNAL,
        f"Tracking stopped because of an error in FlowFace itself ({type(error).__name__}).",
        f"Please report it together with {folder / 'log.txt'}.",
    )


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
