"""The process that reads for the serving loop: ``python -m backend.server.reader JOBS_DIR``.

A process of its own, because a file may be damaged in ways that take minutes, gigabytes or the process that reads it.
It takes orders on stdin and answers them on stdout, one after the other, in the blocks of ``reading_link``; before it
reads a file it says so. When stdin closes, its backend is gone and so is it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, assert_never

from backend.errors import ErrorCode, UserError
from backend.server import reading_link as link
from backend.server.jobs import JobStore
from backend.server.lists import JobLists
from backend.server.removal import remove_job
from backend.server.storage import prune, storage
from protocol import messages as m
from protocol.codec import ProtocolError

log = logging.getLogger(__name__)

MAX_DATA_BYTES = 3 << 30
"""Memory that the process may ask for. It has 133 MB when everything is loaded; a head may have bases of 512 MB, which
become twice that as float32 beside the file's own, and a track's arrays may take 1 GB."""


ALIVE_SECONDS = 1.0  # between signs of life


class Files:
    """The files that are read: the backend is told of each before it is, and none is read that ended a reader."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._avoided: set[link.FileState] = set()
        self._told = 0.0

    def avoid(self, files: tuple[link.FileState, ...]) -> None:
        """Read none of these while they are as they are."""
        self._avoided.update(files)

    def open(self, path: Path) -> None:
        """Call before a file is read; raises UserError (``bad_file``) where it must not be."""
        file = link.FileState.of(path)
        if file in self._avoided:
            sentence = f"{path} is not read: an earlier try took too long, or the process that read it did not survive."
            raise UserError(ErrorCode.BAD_FILE, sentence, "Replace the file or remove it.")
        self._tell(file)

    def alive(self) -> None:
        """Call often where something takes long that is no fault of a file: the backend then waits on."""
        if time.monotonic() - self._told > ALIVE_SECONDS:
            self._tell(link.FileState(""))

    def _tell(self, file: link.FileState) -> None:
        self._told = time.monotonic()
        link.write_block(self._answers, link.NOTE, link.note(file))


class Reader:
    """Carries out orders."""

    def __init__(self, jobs_dir: Path, answers: BinaryIO) -> None:
        self._answers = answers
        self._files = Files(answers)
        self._store = JobStore(jobs_dir)
        self._lists = JobLists(self._store, self._files.open)

    def carry_out(self, line: bytes) -> None:
        """Carry out the order of a line and write its answer."""
        asked = link.read_order_line(line)
        order, request, protocol = asked.order, asked.request, asked.protocol
        if isinstance(order, link.Avoid):
            self._files.avoid(order.files)
            return
        cut = isinstance(order, link.ReadResult) and order.cut
        try:
            frames = m.pack(self._answer(order), request, protocol, cut=cut)
        except (UserError, ProtocolError) as error:
            frames = m.pack(m.Error(error.code, error.message, error.hint), request, protocol)
        except MemoryError:
            sentence = f"This takes more than the {MAX_DATA_BYTES >> 30} GB of memory that reading may take."
            frames = m.pack(m.Error(ErrorCode.OUT_OF_MEMORY, sentence), request, protocol)
        except Exception as error:
            log.exception("an order could not be carried out")
            sentence = f"The backend failed to answer because of an error of its own ({type(error).__name__})."
            frames = m.pack(
                m.Error(ErrorCode.INTERNAL, sentence, "Its log says more; please report it."), request, protocol
            )
        link.write_block(self._answers, asked.number, frames)

    def _answer(self, order: link.Order) -> m.Message:
        match order:
            case link.ReadJobs(limit, live, owner):
                return m.JobList(self._lists.latest(limit, live, owner))
            case link.ReadHeads(aligners, exports, weights):
                from backend.server.head_list import head_list

                return head_list(aligners, exports, self._files.open, weights=weights)
            case link.ReadResult():
                from backend.server.result import read_result

                return read_result(self._store, order, self._files.open)
            case link.ReadStorage():
                return storage(self._store, alive=self._files.alive)
            case link.PruneJobs(max_bytes):
                return prune(self._store, max_bytes, self._files.alive)
            case link.RemoveJob(job_id):
                remove_job(self._store, job_id)
                return m.Removed(job_id)
            case link.Avoid():
                raise AssertionError("it has no answer")
            case _:
                assert_never(order)


def limit_memory() -> None:
    """Have the system refuse more than ``MAX_DATA_BYTES``, where it can: a file that wants more is then refused too.

    On Linux that is the limit of data, which counts what is asked for and neither libraries nor mapped files.
    """
    if sys.platform == "win32":
        return
    import resource

    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    hard = resource.getrlimit(kind)[1]
    allowed = MAX_DATA_BYTES if hard == resource.RLIM_INFINITY else min(MAX_DATA_BYTES, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS has no such limit
        resource.setrlimit(kind, (allowed, hard))


def main() -> None:
    """Serve one backend on stdin and stdout."""
    for name in ("SIGINT", "SIGBREAK"):  # Ctrl-C and Ctrl-Break in a terminal reach us too, but the backend decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s reading: %(message)s")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up between the answers
    limit_memory()
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    reader = Reader(Path(sys.argv[1]), answers)
    while True:
        try:
            reader.carry_out(orders.get())
        except OSError:  # nobody listens any more
            os._exit(0)


def _read_orders(orders: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        orders.put(line)
    os._exit(0)  # at once, whatever runs: nobody is left to hear about it


if __name__ == "__main__":
    main()
