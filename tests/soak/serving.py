"""How long an honest client waits while others ask for what is slow: ``python -m tests.soak.serving``.

Beside it others ask for heads with bad files among them, fetch a result of hundreds of megabytes, list 5,000 jobs and
have them deleted. Prints the worst answer to a greeting and to a list during each, and the memory that the server took.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import psutil
import zmq

from backend.client.connection import Client
from backend.client.handshake import authenticate
from backend.head_model.library import user_heads_dir
from backend.server.jobs import SPEC, STATE, JobStore
from protocol import messages as m
from protocol.fields import to_plain
from protocol.keys import own_access
from tests.soak.kills import WALK, supervised

MEGABYTE = 1 << 20
EVERY = 0.01  # seconds between greetings
ANSWER_MS = 250.0  # what an honest client may have to wait


class Honest:
    """A client in a process of its own that says hello, and another that asks for the list, again and again."""

    def __init__(self, endpoint: str) -> None:
        self._stop = multiprocessing.Event()
        self._ends, theirs = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(target=_ask_on, args=(endpoint, self._stop, theirs), daemon=True)
        self._process.start()

    def worst(self) -> dict[str, float]:
        """Stop; the longest waits in milliseconds by what was asked, and how often it was."""
        self._stop.set()
        figures: dict[str, float] = self._ends.recv()
        self._process.join()
        return figures


def _ask_on(endpoint: str, stop: Event, ends: object) -> None:
    worst: dict[str, list[float]] = {"hello": [], "jobs": []}
    threads = [threading.Thread(target=_ask, args=(endpoint, kind, stop, worst[kind])) for kind in worst]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends.send({kind: max(waits, default=0.0) for kind, waits in worst.items()} | {"asked": len(worst["hello"])})  # type: ignore[attr-defined]


def _ask(endpoint: str, kind: str, stop: Event, waits: list[float]) -> None:
    message: m.Message = m.Hello("soak") if kind == "hello" else m.Jobs(50)
    with asking(endpoint) as socket:
        number = 0
        while not stop.is_set():
            number += 1
            started = time.perf_counter()
            socket.send_multipart(m.pack(message, number))
            socket.recv_multipart()
            waits.append((time.perf_counter() - started) * 1000)
            time.sleep(EVERY if kind == "hello" else 10 * EVERY)


@contextlib.contextmanager
def asking(endpoint: str) -> Iterator[zmq.Socket[bytes]]:
    """A bare socket of this user's at a backend."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    authenticate(socket, own_access())
    socket.connect(endpoint)
    yield socket
    context.destroy(linger=0)


def bad_heads() -> None:
    """A head of a megabyte that unpacks to three gigabytes, one nested 100,000 deep, a pipe, and noise."""
    folder = user_heads_dir()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "noise.npz").write_bytes(os.urandom(MEGABYTE))
    np.savez_compressed(folder / "nested.npz", header=np.frombuffer(b"[" * 100_000, np.uint8))
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.npz")
    with (
        zipfile.ZipFile(folder / "huge.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("template.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (3 << 30,)})
        for _ in range(3 << 10):
            member.write(bytes(MEGABYTE))


def old_jobs(root: Path, count: int) -> None:
    """Finished jobs whose results somebody has fetched, with five files each."""
    root.mkdir(parents=True, exist_ok=True)
    spec = json.dumps(to_plain(m.TrackJob((m.ViewSpec("/clip.mp4"),))))
    for number in range(count):
        folder = root / f"20250101-000000-{number:08x}"
        folder.mkdir()
        status = m.JobStatus(folder.name, f"old {number}", state=m.JobState.DONE, fetched=True)
        (folder / STATE).write_text(json.dumps(to_plain(status)))
        (folder / SPEC).write_text(spec)
        for name in ("track.npz", "alignments.npz", "report.json"):
            (folder / name).write_bytes(bytes(1000))


def large_result(root: Path, size: int) -> str:
    """A finished job without a take, with a file of so many bytes; its id."""
    store = JobStore(root)
    parent = store.names()[0]
    job = store.create(m.ExportJob(parent, "csv", name="large"))
    with (store.folder(job.job_id) / "take.csv").open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(MEGABYTE))
    store.save(m.JobStatus(job.job_id, job.name, state=m.JobState.DONE, kind=job.kind))
    store.close()
    return job.job_id


def stalled(endpoint: str, job_id: str, times: int) -> None:
    """Ask for a large result so often and take nothing of it, for a while; then leave."""
    with asking(endpoint) as socket:
        socket.rcvhwm = 1
        for number in range(times):
            socket.send_multipart(m.pack(m.Result(job_id, all_files=True), number + 1))
        time.sleep(10)


class Measured:
    """A backend under watch."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        with Client(endpoint) as client:
            self._server = psutil.Process(client.welcome.pid)
            client.jobs()
        self.within = True

    def during(self, what: str, work: Callable[[], object]) -> None:
        """Do something slow and print what others had to wait meanwhile."""
        honest, peak, over = Honest(self.endpoint), [self._rss()], threading.Event()
        time.sleep(1)

        def watch() -> None:
            while not over.wait(0.05):
                peak.append(self._rss())

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        worst = honest.worst()
        over.set()
        watcher.join()
        self.within = self.within and worst["hello"] <= ANSWER_MS
        print(
            f"{what:<44} {seconds:6.1f} s  hello {worst['hello']:6.0f} ms  list {worst['jobs']:6.0f} ms  "
            f"of {worst['asked']:.0f}  server {peak[0] >> 20} → {max(peak) >> 20} MB{_said(result)}",
            flush=True,
        )

    def _rss(self) -> int:
        return int(self._server.memory_info().rss)


def _said(result: object) -> str:
    return f"  ({result})" if isinstance(result, str) else ""


def main() -> None:
    """Prepare, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="file for what the backend says")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FLOWFACE_STATE_DIR"], os.environ["XDG_DATA_HOME"] = f"{folder}/state", f"{folder}/data"
        place = Path(folder)
        bad_heads()
        old_jobs(place / "jobs", options.jobs)
        large = large_result(place / "jobs", options.megabytes << 20)
        with supervised(place / "jobs", WALK, options.log) as backend:
            measured = Measured(backend.endpoint)
            with Client(backend.endpoint) as client:
                measured.during("nothing", lambda: time.sleep(5))
                measured.during("heads, bad ones among them", lambda: f"{len(client.heads().heads)} heads")
                measured.during("heads again", lambda: client.heads() and "")
                for _ in range(2):
                    measured.during(
                        f"a result of {options.megabytes} MB", lambda: _size(client.result(large, all_files=True))
                    )
                measured.during("ten of them for one that takes none", lambda: stalled(backend.endpoint, large, 10))
                measured.during("a result for another after that", lambda: _size(client.result(large, all_files=True)))
                measured.during(f"200 of {options.jobs} jobs listed", lambda: f"{len(client.jobs(200))} jobs")
                measured.during("the jobs folder measured", lambda: client._ask(m.Storage(), m.StorageReply) and "")
                measured.during("all pruned", lambda: f"{client._ask(m.Prune(0), m.StorageReply).deleted} deleted")
    print(f"hello within {ANSWER_MS:.0f} ms: {measured.within}")


def _size(reply: m.ResultReply) -> str:
    return f"{sum(data.nbytes for data in reply.files.values()) >> 20} MB came"


if __name__ == "__main__":
    main()
