"""What old jobs cost: ``python -m tests.backend.server.times [JOBS]`` for a folder of so many.

The first start looks into the locks that backends left before they removed them; every later one finds none.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import zmq

from backend.server.jobs import JobStore
from backend.server.retention import Keeper, Retention
from backend.server.schedule import Scheduler
from protocol.states import JobState
from tests.backend.server.conftest import spec


def main() -> None:
    """Make the jobs and time what a backend does with them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with TemporaryDirectory() as folder:
        store = JobStore(Path(folder))
        for number in range(count):
            status = store.create(spec("quick", str(number)))
            store.save(replace(status, state=JobState.DONE))
            (store.root / status.job_id / "track.npz").write_bytes(bytes(1000))
        start(store, "a start")
        for job_id in store.names():
            (store.root / job_id / "lock").touch()
        start(store, "the first start after an update, with the locks of old")
        store.create(spec("quick"))
        store.close()
        start(store, "a start that takes up one job")
        with timed("a submit with a token, refused or not"):
            store.submitted("0123" * 8, spec("quick"))
        with timed("the list of the latest 50"):
            store.latest(50)
        keeper = Keeper(store, Retention(1e12, timedelta(days=30)), lambda: False)
        with timed("the first look at sizes and ages, in its thread"):
            keeper.tidy()
        with timed("a later look"):
            keeper.tidy()


def start(store: JobStore, what: str) -> None:
    """Time a scheduler from nothing until it is ready to serve; its worker loads beside."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with timed(what):
        scheduler = Scheduler(context, store, "tests.backend.server.runners:run", lambda _: None)
    scheduler.events.close()
    scheduler.worker.end()
    context.destroy(linger=0)
    store.close()


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long it took, by the clock and of this process's processor time."""
    began, used = time.perf_counter(), time.process_time()
    yield
    wall, cpu = 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - used)
    print(f"{what}: {wall:.0f} ms, of the processor {cpu:.0f}", flush=True)


if __name__ == "__main__":
    main()
