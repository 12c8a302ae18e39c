"""The backend's end of the worker process."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import zmq

from backend.openblas import SLEEPING
from backend.server import worker_link as link
from backend.server.device import environment
from backend.server.process import exit_in_words, own_group
from protocol.states import WorkerState

log = logging.getLogger(__name__)

ENVIRONMENT = {
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONUTF8": "1",
    **SLEEPING,
}
"""Of the worker, where the user's own does not say otherwise."""

KILL_SECONDS = 2.0
"""How long a killed process is waited for: one that hangs in the kernel (a dead network drive) may never end."""


class WorkerProcess:
    """One worker; its events arrive as lines of ``worker_link`` on the inproc PULL socket ``address``.

    Each event follows this worker's ``serial``. Fits run on ``device`` (``device.DEVICES``).

    The owner advances ``state`` from the events that it receives.
    """

    def __init__(
        self, runner: str, context: zmq.Context[zmq.Socket[bytes]], address: str, serial: int, device: str
    ) -> None:
        """Start it; raises OSError or ZMQError where the machine has no room for one more."""
        self.serial = serial
        self.state = WorkerState.STARTING
        self.device = ""
        events = context.socket(zmq.PUSH)
        try:
            events.linger = 0
            events.sndhwm = 0  # the reader never blocks: ``kill`` waits for it
            events.connect(address)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend.server.worker", runner],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**ENVIRONMENT, **os.environ, **environment(device)},
                **own_group(sys.platform),
            )
        except BaseException:
            events.close()
            raise
        self._reader = threading.Thread(target=self._relay, args=(events,), daemon=True)
        try:
            self._reader.start()
        except RuntimeError as error:  # no thread to be had
            self._process.kill()
            events.close()
            raise OSError(errno.EAGAIN, str(error)) from error

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def run(self, folder: Path, number: int, smaller: int) -> None:
        """Start a job, its ``number``-th try, with ``smaller`` steps less memory; its events follow."""
        self.state = WorkerState.BUSY
        self._order(link.RunJob(str(folder), number, smaller))

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop; it may not listen."""
        self._order(link.CancelJob(job_id))

    def kill(self) -> None:
        """End the process whatever it does; one that does not go within ``KILL_SECONDS`` is left to the system."""
        self.state = WorkerState.GONE
        self._process.kill()
        try:
            self._process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            log.error("the worker %d does not end; the system is left to end it", self.pid)
            return
        self._reader.join(KILL_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:  # an order that it never read; EINVAL on Windows
                    continue

    def resident_bytes(self) -> int:
        """The memory that the process holds; 0 where that cannot be told."""
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(self.pid).memory_info().rss)
        return 0

    def ended_by_kill(self) -> bool:
        """The process has ended, and by SIGKILL, which no process sends itself."""
        killed: int | None = getattr(signal, "SIGKILL", None)
        return killed is not None and self._process.poll() == -killed

    def exit_in_words(self) -> str:
        """The end of the process, in words."""
        try:
            return exit_in_words(self._process.wait(KILL_SECONDS), sys.platform)
        except subprocess.TimeoutExpired:  # its output was closed, and it hangs
            return "closed its output"

    def _order(self, order: link.Order) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(link.to_line(order))
            self._process.stdin.flush()
        except OSError:  # a broken pipe is EINVAL on Windows
            log.debug("the worker is gone; its exit event will say so")

    def _relay(self, events: zmq.Socket[bytes]) -> None:
        assert self._process.stdout
        serial = str(self.serial).encode()
        with events, contextlib.suppress(zmq.ZMQError, ValueError):  # the backend ends
            for line in self._process.stdout:
                events.send_multipart([serial, line])
            events.send_multipart([serial, link.to_line(link.Exited())])
