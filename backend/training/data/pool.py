"""A pool of shards that a process in the background fills while the training already draws from it.

Shard k holds samples k·per_shard to (k+1)·per_shard − 1 of a source, each drawn from a generator of its own that is
seeded with the pool's seed and the sample's number: a pool is the same whoever fills it, in whichever order.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.training.data.shards import Shard, write_shard
from backend.training.samples import Sample

POLL = 0.5  # seconds


class Source(Protocol):
    """A maker of any number of samples."""

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample of that number; everything random about it comes from ``rng``."""
        ...


MakeSource = Callable[[], AbstractContextManager[Source]]
"""Opens a source; must be picklable, as it is called in another process."""


@dataclass(frozen=True)
class PoolSpec:
    """The contents of a pool; a folder filled by another spec is refused. ``content`` says what the source draws."""

    seed: int
    per_shard: int
    content: str


class Pool:
    """A folder of shards. Raises UserError ``other_pool`` where ``folder`` holds samples of another spec."""

    def __init__(self, folder: Path, spec: PoolSpec) -> None:
        self.folder, self.spec = folder, spec
        self._open: dict[int, Shard] = {}
        folder.mkdir(parents=True, exist_ok=True)
        about = folder / "pool.json"
        if not about.exists():
            write_atomic(about, json.dumps(asdict(spec)).encode(), public=True)
        known = json.loads(about.read_text(encoding="utf-8"))
        if known != asdict(spec):
            raise UserError(
                ErrorCode.OTHER_POOL,
                f"{folder} holds samples made with {known}, but this run needs {asdict(spec)}.",
                "Name another folder for the pool.",
            )

    def path(self, number: int) -> Path:
        return shard_path(self.folder, number)

    def ready(self, number: int) -> bool:
        """True where that shard is there."""
        return self.path(number).is_dir()

    def holds(self, shards: int) -> bool:
        """True where the first ``shards`` of them are there."""
        return all(self.ready(number) for number in range(shards))

    def shard(self, number: int, wait: Callable[[], None] | None = None) -> Shard:
        """That shard, waited for if it is not there yet; ``wait`` is called again and again meanwhile and may raise."""
        if number not in self._open:
            while not self.ready(number):
                if wait is not None:
                    wait()
                time.sleep(POLL)
            self._open[number] = Shard(self.path(number))
        return self._open[number]


def shard_path(folder: Path, number: int) -> Path:
    """The folder of shard ``number`` of a pool in ``folder``."""
    return folder / f"shard-{number:05d}"


def fill(folder: Path, spec: PoolSpec, make_source: MakeSource, shards: int, alive: Callable[[], None]) -> None:
    """Render what of the first ``shards`` shards is missing. Several processes may fill one pool at once.

    ``alive`` is called before every sample and may raise to stop.
    """
    pool = Pool(folder, spec)
    with contextlib.ExitStack() as stack:
        source: Source | None = None
        while missing := [number for number in range(shards) if not pool.ready(number)]:
            rendered = False
            for number in missing:
                with _claimed(pool.path(number)) as mine:
                    if not mine or pool.ready(number):
                        continue
                    source = source or stack.enter_context(make_source())
                    write_shard(pool.path(number), list(_samples(spec, source, number, alive)))
                    rendered = True
                    break  # from the first one missing again: the training waits for low numbers
            if not rendered:
                alive()
                time.sleep(POLL)


def _samples(spec: PoolSpec, source: Source, number: int, alive: Callable[[], None]) -> Iterator[Sample]:
    for index in range(number * spec.per_shard, (number + 1) * spec.per_shard):
        alive()
        yield source.sample(index, np.random.default_rng([spec.seed, index]))


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """True where this process may make ``path``; the claim ends with the process, however that ends."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class Background(AbstractContextManager["Background", None]):
    """Jobs done one after the other in a process of its own, at low priority, that ends with this one.

    Each is picklable and is given a function to call often, which raises once the work is not wanted any more. Where
    there is nothing to do there is no process, whose start takes seconds of a core from the training's.
    """

    def __init__(self, jobs: Sequence[Callable[[Callable[[], None]], None]]) -> None:
        self._process: SpawnProcess | None = None
        if jobs:
            context = multiprocessing.get_context("spawn")
            self._process = context.Process(target=_work, args=(list(jobs),), daemon=True)
            self._process.start()

    def check(self) -> None:
        """Raises UserError ``render_failed`` if the process died of an error."""
        if self._process is not None and self._process.exitcode not in (None, 0):
            raise UserError(
                ErrorCode.RENDER_FAILED,
                f"The process that makes training pictures ended with code {self._process.exitcode}.",
                "What it said stands above.",
            )

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it; what is half done is dropped."""
        if self._process is None:
            return
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()


def _work(jobs: Sequence[Callable[[Callable[[], None]], None]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the parent decides what ends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half written is cleared away
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(5)
    parent = multiprocessing.parent_process()

    def alive() -> None:
        if parent is None or not parent.is_alive():
            raise SystemExit(1)

    try:
        for job in jobs:
            job(alive)
    except UserError as error:
        print(f"flowface: {error}", file=sys.stderr)
        raise SystemExit(2) from error
