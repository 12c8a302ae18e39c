"""A private backend: started by a client, started again where it dies, and ended with the client's work."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.server.process import ending_signal, own_group
from backend.server.ready import RunningServer, parse_ready_line

log = logging.getLogger(__name__)

START_TIMEOUT = 60.0  # seconds; on a cold disk Python alone can need ten
RESTART_DELAYS = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Seconds before each start after one that died; after as many in a row there is no use in another. All of them lie
within the patience of a client (``connection.PATIENCE``)."""
STEADY_SECONDS = 30.0  # a backend that ran for so long has not died of its start
LOG_LINES = 200
ANY_PORT = "tcp://127.0.0.1:*"


@contextlib.contextmanager
def private_server(jobs_dir: Path | None = None, *arguments: str) -> Iterator[str]:
    """A backend of one's own on a free port, as its endpoint; it ends with the block, or with this process.

    Where it dies within the block, another takes its place: the same port, the same jobs. Its log is kept and shown
    only where it does not start. ``arguments`` are further options of ``flowface serve``.

    Raises:
        UserError: ``backend_start``.
    """
    options = ["--private", "--parent-pid", str(os.getpid()), *arguments]
    if jobs_dir is not None:
        options += ["--jobs-dir", str(jobs_dir)]
    keeper = _Keeper(options)
    try:
        yield keeper.start()
    finally:
        keeper.stop()


class _Keeper:
    """Starts the backend, and a thread that starts it again where it ends before ``stop``."""

    def __init__(self, options: Sequence[str]) -> None:
        self._options = options
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._run: _Run | None = None

    def start(self) -> str:
        """Start it and return its endpoint; raises UserError ``backend_start``."""
        self._run = _Run(self._options, ANY_PORT)
        endpoint = self._run.wait_until_ready().endpoint
        self._thread = threading.Thread(target=self._keep, args=(self._run, endpoint), daemon=True)
        self._thread.start()
        return endpoint

    def stop(self) -> None:
        """End it for good."""
        self._stopping.set()
        if self._run is not None:
            self._run.stop()  # whichever it is: the thread then sees its end, and starts no other
        if self._thread is not None:
            self._thread.join()

    def _keep(self, run: _Run, endpoint: str) -> None:
        deaths = 0
        while True:
            started = time.monotonic()
            run.wait()
            deaths = 0 if time.monotonic() - started > STEADY_SECONDS else deaths
            if deaths == len(RESTART_DELAYS) or self._stopping.wait(RESTART_DELAYS[deaths]):
                return
            deaths += 1
            try:
                run = self._run = _Run(self._options, endpoint)
            except OSError as error:  # no room for one more process: for now
                log.warning("the private backend cannot be started again yet: %s", error.strerror)
                continue
            if self._stopping.is_set():
                run.stop()


class _Run:
    """One process of a backend, started on construction; raises OSError where the machine has no room for it."""

    def __init__(self, options: Sequence[str], endpoint: str) -> None:
        # Its own group: Ctrl-C in the terminal must reach the client, which cancels its job and then stops the backend.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backend.server", "--endpoint", endpoint, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **own_group(sys.platform),
        )
        self._log: deque[bytes] = deque(maxlen=LOG_LINES)
        self._first: list[bytes] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._listener = threading.Thread(target=self._read_ready_line, daemon=True)
        self._reader.start()
        self._listener.start()

    def wait_until_ready(self) -> RunningServer:
        """What it says of itself; raises UserError ``backend_start`` with its last words where it does not."""
        self._listener.join(START_TIMEOUT)
        try:
            return parse_ready_line(b"".join(self._first).decode("utf-8", "replace"))
        except ValueError:
            self.stop(kindly=False)
        last = b"".join(self._log).decode("utf-8", "replace").strip().splitlines()
        why = f": {last[-1]}" if last else "."
        raise UserError(ErrorCode.BACKEND_START, f"The backend did not start{why}", "Run “flowface serve” to see why.")

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()
        self._close()

    def stop(self, *, kindly: bool = True) -> None:
        """End it, kindly at first, and wait until it has gone."""
        if kindly:
            with contextlib.suppress(OSError):  # Windows: without a console there is no such signal
                self._process.send_signal(ending_signal(sys.platform))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        """Close the pipes, once their last words are read; a worker that outlives its backend may hold them a while."""
        for thread, pipe in ((self._reader, self._process.stderr), (self._listener, self._process.stdout)):
            thread.join(timeout=1)
            if pipe is not None and not thread.is_alive():
                pipe.close()

    def _read_log(self) -> None:
        assert self._process.stderr
        self._log.extend(self._process.stderr)

    def _read_ready_line(self) -> None:
        assert self._process.stdout
        self._first.append(self._process.stdout.readline())
