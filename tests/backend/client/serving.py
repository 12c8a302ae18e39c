"""A backend with ``runners`` for its work, as a process that can be killed: ``python -m … JOBS ENDPOINT``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from backend.server.app import Server
from tests.backend.server.conftest import REPOSITORY


class Serving:
    """The process, started anew on the same port and jobs by ``start``."""

    def __init__(self, jobs: Path) -> None:
        self.jobs, self.endpoint = jobs, "tcp://127.0.0.1:*"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "tests.backend.client.serving", str(self.jobs), self.endpoint]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.endpoint = self.process.stdout.readline().strip()

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process and self.process.stdout
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def pause(self) -> None:
        """Have it hang: connected, and answering nothing."""
        assert self.process
        os.kill(self.process.pid, signal.SIGSTOP)


@contextlib.contextmanager
def serving(jobs: Path) -> Iterator[Serving]:
    """One that runs, and is gone at the end."""
    found = Serving(jobs)
    found.start()
    try:
        yield found
    finally:
        found.kill()


if __name__ == "__main__":
    server = Server(Path(sys.argv[1]), sys.argv[2], runner="tests.backend.server.runners:run")
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    print(server.endpoint, flush=True)
    server.run()
