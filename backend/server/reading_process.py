"""The backend's end of one reading process."""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zmq

from backend.server import reading_link as link
from backend.server.process import exit_in_words, own_group, step_back
from backend.server.worker_process import ENVIRONMENT
from protocol.codec import Frame

log = logging.getLogger(__name__)

ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # reading computes little, and the cores are the worker's


@dataclass(frozen=True, eq=False)
class Came:
    """A block that came from a process; ``frames`` is None at the end of the process."""

    process: ReadingProcess
    number: int
    frames: list[Frame] | None


class Inbox:
    """What came from the processes, in order. ``ready`` is the socket to wait at; ``take`` empties it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self.ready: zmq.Socket[bytes] = context.socket(zmq.PULL)
        self.ready.rcvhwm = 0  # whoever wakes us never waits
        self.ready.bind(address)
        self._context, self._address = context, address
        self._came: deque[Came] = deque()

    def take(self) -> Iterator[Came]:
        """Everything that came by now."""
        while self.ready.poll(0):
            self.ready.recv()
        while self._came:
            yield self._came.popleft()

    def waker(self) -> zmq.Socket[bytes]:
        """A socket of the calling thread's for ``put``."""
        wake = self._context.socket(zmq.PUSH)
        wake.linger, wake.sndhwm = 0, 0
        wake.connect(self._address)
        return wake

    def put(self, came: Came, wake: zmq.Socket[bytes]) -> None:
        """Put something in; from any thread."""
        self._came.append(came)
        wake.send(b"")


class ReadingProcess:
    """One process for one order at a time; answers arrive in the ``inbox``."""

    def __init__(self, jobs_dir: Path, inbox: Inbox, avoid: tuple[link.FileState, ...], *, background: bool) -> None:
        """Start it, to keep away from the files ``avoid``, in the ``background`` where nobody waits at a screen for it;
        raises OSError where the system starts no process."""
        command = [sys.executable, "-m", "backend.server.reader", str(jobs_dir.absolute())]
        environment = {**ENVIRONMENT, **ONE_THREAD, **os.environ}
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            **own_group(sys.platform),
        )
        if background:
            step_back(self._process.pid)
        self._orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._relay = threading.Thread(target=self._relay_and_reap, args=(inbox,), daemon=True)
        self._relay.start()
        threading.Thread(target=self._write_orders, daemon=True).start()
        if avoid:
            self.order(link.Asked(link.Avoid(avoid)))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def order(self, asked: link.Asked) -> None:
        """Have an order carried out, without waiting; its block, or the end of the process, follows."""
        self._orders.put(link.order_line(asked))

    def kill(self) -> None:
        """End it whatever it does, without waiting for its end: it may hang in a file system."""
        self._process.kill()

    def exit_in_words(self) -> str:
        """The end of the process, which has ended, in words."""
        return exit_in_words(self._process.wait(), sys.platform)

    def close(self, seconds: float) -> None:
        """End it, and wait so long for its end."""
        self.kill()
        self._relay.join(seconds)

    def _write_orders(self) -> None:
        pipe = cast(BinaryIO, self._process.stdin)
        while line := memoryview(self._orders.get()):
            try:
                while line:
                    line = line[pipe.write(line) :]
            except (OSError, ValueError):  # it is gone, which the end of its output says; EINVAL on Windows
                return

    def _relay_and_reap(self, inbox: Inbox) -> None:
        stream = cast(BinaryIO, self._process.stdout)
        with inbox.waker() as wake:
            try:
                while block := link.read_block(stream):
                    inbox.put(Came(self, *block), wake)
                    del block  # it may be large, and the next one may be long in coming
            except (OSError, MemoryError) as error:
                log.error("what a reading process says cannot be taken: %s", error)
                self.kill()
            self._process.wait()
            self._orders.put(b"")
            for pipe in (self._process.stdin, stream):
                if pipe:
                    try:
                        pipe.close()
                    except OSError:  # an order that it never read; EINVAL on Windows
                        continue
            inbox.put(Came(self, link.NOTE, None), wake)
