"""The health of a backend: looked at in a thread of its own, so that a disk that hangs keeps nobody waiting."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import zmq

from backend.server.schedule import Scheduler
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.health import Health
from protocol.keys import own_access
from protocol.version import OLDEST_VERSION, PROTOCOL_VERSION

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
HANGING_SECONDS = 60.0
"""A look at the jobs folder takes milliseconds, of a network drive that wakes up seconds."""
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class _Look:
    problem: str = ""
    bytes_free: int | None = None
    backend_bytes: int = 0
    worker_bytes: int = 0


class HealthWatch:
    """Looks at the jobs folder and at memory every ``LOOK_SECONDS``, from its making to ``stop``."""

    def __init__(self, jobs_dir: Path, scheduler: Scheduler) -> None:
        self._jobs_dir, self._scheduler = jobs_dir, scheduler
        self._started = self._looked = time.monotonic()
        self._latest = _Look()
        self._stop = threading.Event()
        threading.Thread(target=self._work, name="health", daemon=True).start()

    def now(self) -> Health:
        """The health by now; at once."""
        look, waited = self._latest, time.monotonic() - self._looked
        problem = look.problem
        if waited > HANGING_SECONDS:
            problem = f"The disk of the jobs folder {self._jobs_dir} has not answered for {waited:.0f} s."
        return Health(
            uptime_seconds=round(time.monotonic() - self._started, 1),
            jobs_queued=self._scheduler.waiting,
            jobs_running=self._scheduler.running,
            jobs_folder=str(self._jobs_dir),
            folder_problem=problem,
            bytes_free=look.bytes_free,
            worker_restarts=self._scheduler.worker.restarts,
            backend_bytes=look.backend_bytes,
            worker_bytes=look.worker_bytes,
            oldest_protocol=OLDEST_VERSION,
            newest_protocol=PROTOCOL_VERSION,
        )

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _work(self) -> None:
        while True:
            problem, free = look_at(self._jobs_dir)
            worker = self._scheduler.worker.pid
            self._latest = _Look(problem, free, held_bytes(os.getpid()), held_bytes(worker) if worker else 0)
            self._looked = time.monotonic()
            if self._stop.wait(LOOK_SECONDS):
                return


def look_at(jobs_dir: Path) -> tuple[str, int | None]:
    """Why nothing can be written to the folder ("" where it can), and how many bytes are free, None where unknown."""
    free = None
    try:
        free = shutil.disk_usage(jobs_dir).free
        with tempfile.TemporaryFile(dir=jobs_dir) as file:
            file.write(b"\0")
    except OSError as error:
        why = (error.strerror or str(error)).removesuffix(".")
        return f"Nothing can be written to the jobs folder {jobs_dir}: {why}.", free
    return "", free


def held_bytes(pid: int) -> int:
    """The memory that a process holds; 0 where that cannot be told."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def ask(endpoint: str, seconds: float = ANSWER_SECONDS) -> m.Welcome | None:
    """What this user's backend at an address says of itself; None where none answers in time."""
    with contextlib.suppress(ProtocolError), zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        access = own_access()
        dealer.linger = 0
        dealer.ipv6 = "[" in endpoint
        dealer.curve_serverkey, dealer.curve_secretkey = access.backend.encode(), access.secret.encode()
        dealer.curve_publickey = zmq.curve_public(access.secret.encode())
        dealer.connect(endpoint)
        dealer.send_multipart(m.pack(m.Hello("check"), 1))
        if dealer.poll(int(seconds * 1000)):
            answer, _ = m.unpack(dealer.recv_multipart(), client_name="check")
            return answer if isinstance(answer, m.Welcome) else None
    return None


def in_words(endpoint: str, welcome: m.Welcome) -> str:
    """One sentence about a backend that runs."""
    health = welcome.health
    if health is None:
        return f"A backend {welcome.backend_version} runs at {endpoint}; its tracker is {welcome.worker}."
    jobs = f"{health.jobs_running} running, {health.jobs_queued} waiting"
    restarts = f", restarted {_times(health.worker_restarts)}" if health.worker_restarts else ""
    return (
        f"A backend {welcome.backend_version} runs at {endpoint} since {_span(health.uptime_seconds)}, protocol "
        f"{health.oldest_protocol} to {health.newest_protocol}; jobs: {jobs}; it holds "
        f"{health.backend_bytes >> 20} MB, its tracker ({welcome.worker}{restarts}) {health.worker_bytes >> 20} MB."
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
