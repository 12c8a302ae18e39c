"""The backend's end of the worker process."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import zmq

from backend.server import worker_link as link
from backend.server.device import environment
from backend.server.process import exit_in_words
from protocol.states import WorkerState

log = logging.getLogger(__name__)

ENVIRONMENT = {
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONUTF8": "1",
    # torch's threads wait for each other by spinning, which made a fit 20 times slower on a machine that was busy with
    # something else (Blender, say); sleeping ones do not. OpenBLAS does the same, and its matrices here are small.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Of the worker, where the user's own does not say otherwise."""


class WorkerProcess:
    """One worker; its events arrive as lines of ``worker_link`` on the inproc PULL socket ``address``.

    Each event follows this worker's ``serial``. Fits run on ``device`` (``device.DEVICES``).

    The owner advances ``state`` from the events that it receives.
    """

    def __init__(
        self, runner: str, context: zmq.Context[zmq.Socket[bytes]], address: str, serial: int, device: str
    ) -> None:
        self.serial = serial
        self.state = WorkerState.STARTING
        self.device = ""
        self._context = context
        self._address = address
        command = [sys.executable, "-m", "backend.server.worker", runner]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**ENVIRONMENT, **os.environ, **environment(device)},
        )
        self._reader = threading.Thread(target=self._relay, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def run(self, folder: Path) -> None:
        """Start a job; its events follow."""
        self.state = WorkerState.BUSY
        self._order(link.RunJob(str(folder)))

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop; it may not listen."""
        self._order(link.CancelJob(job_id))

    def kill(self) -> None:
        """End the process whatever it does, and wait until it has gone."""
        self.state = WorkerState.GONE
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:  # an order that it never read; EINVAL on Windows
                    continue

    def exit_in_words(self) -> str:
        """The end of the process, in words."""
        return exit_in_words(self._process.wait(), sys.platform)

    def _order(self, order: link.Order) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(link.to_line(order))
            self._process.stdin.flush()
        except OSError:  # a broken pipe is EINVAL on Windows
            log.debug("the worker is gone; its exit event will say so")

    def _relay(self) -> None:
        assert self._process.stdout
        with self._context.socket(zmq.PUSH) as events:
            events.linger = 0
            events.sndhwm = 0  # never block here: kill() waits for this thread
            events.connect(self._address)
            for line in self._process.stdout:
                events.send_multipart([str(self.serial).encode(), line])
            events.send_multipart([str(self.serial).encode(), link.to_line(link.Exited())])
