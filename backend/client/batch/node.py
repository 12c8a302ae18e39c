"""What a machine of a Ray cluster does: track one clip in a process of its own, with a backend's own runner.

The same process tracks one clip after another, so that torch and the networks are loaded once. Every attempt works in a
new folder and hands over whole results; which of several attempts counts is for the machine that asked to say.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import secrets
import shutil
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.client.batch import shipping
from backend.client.batch.shipping import Shipment
from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.progress import JobProgress, never
from protocol.job import Job, TrackJob
from protocol.messages import Problem

RUNNER = "backend.pipeline.runners:run_job"
SCRATCH = "flowface-batch-"
TELL_SECONDS = 1.0  # between two words on the progress of a clip

Chunks = Sequence[Any]
"""References to objects of the cluster, each a part of a file as bytes."""


@dataclass(frozen=True)
class Order:
    """A clip to track. ``spec`` is its job as plain fields, ``shipments`` the files that it reads.

    ``results`` is the folder in which results go into new ones of their own, where this machine sees ``token`` in it;
    an empty token has footage and results sent whatever it sees.
    ``runner`` is module:function of what does the job, ``version`` that of the FlowFace that asks.
    """

    clip: str
    spec: Mapping[str, Any]
    shipments: tuple[Shipment, ...]
    results: str
    token: str
    runner: str
    version: str


@dataclass(frozen=True)
class Reply:
    """What has come of an order: a folder of results that both machines see, or files in chunks, or a problem.

    ``unseen`` says that this machine does not see the clip's footage, which has to be sent to it.
    """

    where: str
    seconds: float = 0.0
    folder: str = ""
    files: Mapping[str, Chunks] = field(default_factory=dict)
    problem: Problem | None = None
    log: str = ""
    unseen: bool = False


class Board:
    """An actor of the cluster that knows how far each clip is."""

    def __init__(self) -> None:
        self._news: dict[str, tuple[str, float, str]] = {}

    def tell(self, clip: str, stage: str, fraction: float, where: str) -> None:
        """Note where a clip stands."""
        self._news[clip] = stage, fraction, where

    def look(self) -> dict[str, tuple[str, float, str]]:
        """What was told since the last look: stage, fraction and machine by clip."""
        news, self._news = self._news, {}
        return news


def hello() -> str:
    """The version of FlowFace on this machine."""
    return importlib.metadata.version("flowface")


def track_clip(order: Order, sent: Mapping[str, Chunks], board: Any) -> Reply:
    """Do an order. ``sent`` are the chunks of the files that it reads, by their paths; empty where none were sent."""
    where, started = platform.node(), time.monotonic()

    def reply(**fields: Any) -> Reply:
        return Reply(where, round(time.monotonic() - started, 2), **fields)

    with _scratch() as scratch:
        folders = {}
        names: Mapping[str, str] = {}
        job = scratch / "job"
        try:
            spec = _spec(order)
            if not (order.token and shipping.seen_here(order.shipments)):
                if not sent:
                    return reply(unseen=True)
                folders = _receive(order.shipments, sent, scratch / "footage")
                names = shipping.originals(order.shipments, folders)
                spec = shipping.at_its_places(spec, order.shipments, folders)
            job.mkdir()
            _run(order, spec, job, _Teller(board, order.clip, where))
            shipping.as_there(job, names)
            shared = _hand_over(job, order)
            if shared:
                return reply(folder=shared)
            return reply(files={name: _put(path) for name, path in _results(job)})
        except UserError as error:
            return reply(problem=_problem(error, names))
        except Exception as error:
            from backend.server.explain import explain

            log = shipping.restored(traceback.format_exc(), names)
            told = explain(error, job)
            if told.code == ErrorCode.INTERNAL:
                told = UserError(told.code, told.message, "Please report it.")
            return reply(problem=_problem(told, names), log=log)


def _spec(order: Order) -> TrackJob:
    if hello() != order.version:
        raise UserError(
            ErrorCode.OTHER_VERSION,
            f"The machine {platform.node()} has FlowFace {hello()}, and this one {order.version}.",
            "Install the same version on every machine of the cluster.",
        )
    return TrackJob.from_plain(order.spec)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for one attempt; those of attempts whose process was killed go as well: their locks are free."""
    for folder in filter(_is_own, Path(tempfile.gettempdir()).glob(f"{SCRATCH}*")):
        lock = FileLock(folder / "lock", blocking=False)
        with contextlib.suppress(Timeout, OSError), lock:
            shutil.rmtree(folder, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f".{SCRATCH}"))
    with FileLock(made / "lock"):
        folder = made.rename(made.with_name(made.name[1:]))  # none that is not locked yet is taken for a stale one
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _is_own(folder: Path) -> bool:
    """A folder of this user's: others may put links in theirs, which a lock would follow and empty."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (sys.platform == "win32" or found.st_uid == os.geteuid())


def _run(order: Order, spec: Job, job: Path, teller: _Teller) -> None:
    runner, _ = _loaded(order.runner)
    runner(spec, job, on_progress=teller, should_cancel=never, on_partial=None)


@functools.cache
def _loaded(name: str) -> tuple[Any, str]:
    """The runner, once a process; torch and OpenBLAS read these variables when they are loaded."""
    from backend.server.worker import load_runner
    from backend.server.worker_process import ENVIRONMENT

    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    return load_runner(name)


class _Teller:
    """Progress for the board, now and then; a board that is gone is no reason to stop."""

    def __init__(self, board: Any, clip: str, where: str) -> None:
        self._board, self._clip, self._where = board, clip, where
        self._last = 0.0

    def __call__(self, progress: JobProgress) -> None:
        now = time.monotonic()
        if self._board is None or now - self._last < TELL_SECONDS:
            return
        self._last = now
        with contextlib.suppress(Exception):
            self._board.tell.remote(self._clip, progress.stage, float(progress.fraction), self._where)


def _receive(shipments: Sequence[Shipment], sent: Mapping[str, Chunks], root: Path) -> dict[str, str]:
    """Write the files that were sent; the folder of each shipment. A part is let go before the next one is taken."""
    import ray

    root.mkdir()
    folders = shipping.places(shipments, root)
    for shipment in shipments:
        for mark in shipment.files:
            path = Path(folders[shipment.asked], Path(mark.path).name)
            with path.open("wb") as file:
                for reference in sent[mark.path]:
                    file.write(ray.get(reference))
            if path.stat().st_size != mark.size:
                raise UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{mark.path} has changed since the batch was begun.")
    return folders


def _results(job: Path) -> list[tuple[str, Path]]:
    """The files that a job has left, by their paths in its folder."""
    from backend.server.jobs import BOOKKEEPING, PARTIAL

    return [
        (path.relative_to(job).as_posix(), path)
        for path in sorted(job.rglob("*"))
        if path.is_file() and path.name not in BOOKKEEPING and not path.name.startswith(PARTIAL)
    ]


def _hand_over(job: Path, order: Order) -> str:
    """Copy the results to a new folder that the asking machine sees as well; "" where there is none such."""
    root = Path(order.results)
    try:
        if not order.token or (root / order.token).read_text("utf-8") != order.token:
            return ""
    except OSError:
        return ""
    folder = root / f"{order.clip}.{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        for name, path in _results(job):
            (folder / name).parent.mkdir(exist_ok=True)
            write_atomic(folder / name, path.read_bytes(), public=True)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        sentence = f"{folder} cannot be written: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Free some space or choose another --out.") from error
    return str(folder)


def _put(path: Path) -> Chunks:
    import ray

    return [ray.put(part) for part in shipping.chunks(str(path))]


def _problem(error: UserError, names: Mapping[str, str]) -> Problem:
    message = shipping.restored(error.message, names)
    return Problem(error.code, message, shipping.restored(error.hint, names))
