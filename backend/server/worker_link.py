"""The messages of a backend and its worker process: orders one way, events the other, one JSON line each.

A new order or event is one class, named in ``Order`` or ``Event``; both ends then have to match it. Arrays do not
travel here: they lie in files of the job's folder, which an event names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, get_args

from backend.server.jobs import PARTIAL
from protocol.codec import ProtocolError
from protocol.codes import ProtocolCode
from protocol.fields import from_plain, to_plain
from protocol.messages import Problem

MAX_SHOWN = 120  # letters of a damaged line that are worth repeating
ALIVE_SECONDS = 5.0


@dataclass(frozen=True)
class RunJob:
    """Order: do the job of this folder, for the ``number``-th time, in ``smaller`` steps less memory."""

    folder: str
    number: int = 1
    smaller: int = 0


@dataclass(frozen=True)
class CancelJob:
    """Order: stop this job, whether it runs or waits."""

    job: str


@dataclass(frozen=True)
class Ready:
    """Event: the runner is loaded, which took so many seconds; fits run on ``device``."""

    seconds: float
    device: str


@dataclass(frozen=True)
class Broken:
    """Event: the runner cannot be loaded; the worker ends. ``hint`` says what to do where that is known.

    ``passing``: the machine lacks something now (memory, handles, room on the disk) that it may have later.
    """

    message: str
    hint: str = ""
    passing: bool = False


@dataclass(frozen=True)
class Progressed:
    """Event: where a job is; fields as those of ``backend.progress.JobProgress``."""

    job: str
    stage: str
    fraction: float
    frames_done: int
    frames_total: int


@dataclass(frozen=True)
class PartialResult:
    """Event: ``file`` in the job's folder holds, as a track, what is known of the take by now.

    Its name begins with ``PARTIAL``; the backend deletes it when the job ends.
    """

    job: str
    file: str

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where ``file`` cannot be such a file."""
        if PurePath(self.file).name != self.file or not self.file.startswith(PARTIAL) or "\0" in self.file:
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“PartialResult.file” must be the name of a file, {PARTIAL}….")


@dataclass(frozen=True)
class Alive:
    """Event, every ``ALIVE_SECONDS``: the process answers, and has used so many seconds of processors by now."""

    processor_seconds: float


@dataclass(frozen=True)
class Done:
    """Event: the job's result is in its folder, which takes ``size`` bytes."""

    job: str
    size: int = 0


@dataclass(frozen=True)
class Failed:
    """Event: the job ended without a result; its folder takes ``size`` bytes."""

    job: str
    problem: Problem
    size: int = 0


@dataclass(frozen=True)
class Cancelled:
    """Event: the job heeded ``CancelJob``; its folder takes ``size`` bytes."""

    job: str
    size: int = 0


@dataclass(frozen=True)
class Exited:
    """Event: the worker has ended. Never a line: the end of its output means it."""


Order = RunJob | CancelJob
Event = Ready | Broken | Alive | Progressed | PartialResult | Done | Failed | Cancelled | Exited

_ORDERS: dict[str, type[Any]] = {cls.__name__: cls for cls in get_args(Order)}
_EVENTS: dict[str, type[Any]] = {cls.__name__: cls for cls in get_args(Event) if cls is not Exited}


def to_line(message: Order | Event) -> bytes:
    """The line of an order or event, line feed included; b"" for ``Exited``."""
    if isinstance(message, Exited):
        return b""
    return json.dumps({"type": type(message).__name__, **to_plain(message)}).encode() + b"\n"


def read_order(line: bytes) -> Order:
    """The order of a line; raises ProtocolError (``bad_line``, ``bad_field``) for anything else."""
    order: Order = _read(line, _ORDERS)
    return order


def read_event(line: bytes) -> Event:
    """The event of a line, ``Exited`` for b""; raises ProtocolError (``bad_line``, ``bad_field``) for anything else."""
    event: Event = _read(line, _EVENTS) if line else Exited()
    return event


def _read(line: bytes, known: dict[str, type[Any]]) -> Any:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(ProtocolCode.BAD_LINE, f"A line is not JSON: {line[:MAX_SHOWN]!r}.") from error
    kind = data.get("type") if isinstance(data, dict) else None
    cls = known.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ProtocolError(ProtocolCode.BAD_LINE, f"A line is of no known type: {line[:MAX_SHOWN]!r}.")
    return from_plain(cls, data, cls.__name__)
