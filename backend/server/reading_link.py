"""The messages of a backend and its reading processes: orders one way, answers the other.

Orders are JSON lines. What comes back are blocks: twelve bytes with the order's number and how many frames follow, the
size of each in eight bytes, and the frames of a message of the protocol as they go to the client. The number 0 is no
order's: such a block is a note, one frame with the JSON of the ``FileState`` that is read from now on.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, get_args

from protocol.codec import Frame, ProtocolError
from protocol.codes import ProtocolCode
from protocol.fields import from_plain, to_plain
from protocol.messages import AlignerInfo, ExportInfo, JobStatus
from protocol.version import PROTOCOL_VERSION

NOTE = 0
"""The number of blocks that answer nothing."""
MAPPED_BYTES = 1 << 18
"""Frames from this size on get memory of their own, which goes back to the system with them: from the heap, 300 MB of
parts of 1 MB stayed with the backend for good."""
_HEAD, _SIZE = struct.Struct("<QI"), struct.Struct("<Q")


@dataclass(frozen=True)
class FileState:
    """A file as it is now: another by the same name has another time or size. 0 for one that cannot be looked at."""

    path: str
    modified_ns: int = 0
    size: int = 0

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The state of a file; raises nothing."""
        try:
            state = path.stat()
        except (OSError, ValueError):
            return cls(str(path))
        return cls(str(path), state.st_mtime_ns, state.st_size)


@dataclass(frozen=True)
class ReadHeads:
    """Order: the heads there are, to be told together with these aligners and exports, which are in no files.

    ``weights`` asks for adapted weights, too, which tell of the user's footage and are no guest's to use.
    """

    aligners: tuple[AlignerInfo, ...] = ()
    exports: tuple[ExportInfo, ...] = ()
    weights: bool = False


@dataclass(frozen=True)
class ReadJobs:
    """Order: the latest ``limit`` jobs, of which ``live`` are known better than they are on disk.

    ``owner`` sees its own only; None is this user, who sees all.
    """

    limit: int
    live: tuple[JobStatus, ...] = ()
    owner: str | None = None


@dataclass(frozen=True)
class ReadResult:
    """Order: what a job has left, as ``protocol.messages.Result`` asks for it.

    ``partial_file`` is the path of its latest partial take, "" where the whole one is asked for.
    """

    status: JobStatus
    files: tuple[str, ...] = ()
    all_files: bool = False
    partial_file: str = ""
    cut: bool = False


@dataclass(frozen=True)
class ReadStorage:
    """Order: how much the jobs folder holds."""


@dataclass(frozen=True)
class PruneJobs:
    """Order: delete the oldest jobs until the rest takes at most ``max_bytes``."""

    max_bytes: int


@dataclass(frozen=True)
class RemoveJob:
    """Order: delete this job."""

    job_id: str


@dataclass(frozen=True)
class Avoid:
    """Order without an answer: whoever read one of these files did not live to answer."""

    files: tuple[FileState, ...]


Order = ReadHeads | ReadJobs | ReadResult | ReadStorage | PruneJobs | RemoveJob | Avoid
_ORDERS: dict[str, type[Any]] = {cls.__name__: cls for cls in get_args(Order)}


@dataclass(frozen=True)
class Asked:
    """An order as it is numbered here (from 1), and what it answers: a client's request, in the version it speaks."""

    order: Order
    number: int = NOTE
    request: int = 0
    protocol: int = PROTOCOL_VERSION


def order_line(asked: Asked) -> bytes:
    """The line of an order."""
    order = {"type": type(asked.order).__name__, **to_plain(asked.order)}
    numbers = {"number": asked.number, "request": asked.request, "protocol": asked.protocol}
    return json.dumps({**numbers, "order": order}).encode() + b"\n"


def read_order_line(line: bytes) -> Asked:
    """The order of a line; raises ProtocolError (``bad_line``, ``bad_field``)."""
    match json.loads(line):
        case {
            "number": int() as number,
            "request": int() as request,
            "protocol": int() as protocol,
            "order": {"type": str() as kind, **fields},
        } if kind in _ORDERS:
            return Asked(from_plain(_ORDERS[kind], fields, kind), number, request, protocol)
    raise ProtocolError(ProtocolCode.BAD_LINE, f"A line is no order: {line[:120]!r}.")


def write_block(stream: BinaryIO, number: int, frames: Sequence[Frame]) -> None:
    """Write a block; nothing is copied. Raises OSError where nobody reads."""
    views = [memoryview(frame).cast("B") for frame in frames]
    stream.write(_HEAD.pack(number, len(views)) + b"".join(_SIZE.pack(view.nbytes) for view in views))
    for view in views:
        stream.write(view)
    stream.flush()


def note(file: FileState) -> list[Frame]:
    """The frames of a note."""
    return [json.dumps(to_plain(file)).encode()]


def read_block(stream: BinaryIO) -> tuple[int, list[Frame]] | None:
    """The next block; None at the end, in the middle of one as well."""
    head = _exactly(stream, _HEAD.size)
    if head is None:
        return None
    number, count = _HEAD.unpack(head)
    sizes = _exactly(stream, count * _SIZE.size)
    frames: list[Frame] = []
    for (size,) in _SIZE.iter_unpack(sizes or b""):
        frame = _exactly(stream, size)
        if frame is None:
            return None
        frames.append(frame)
    return None if sizes is None else (number, frames)


def read_note(frames: Sequence[Frame]) -> FileState:
    """The file of a note."""
    return from_plain(FileState, json.loads(bytes(frames[0])), "note")


def _exactly(stream: BinaryIO, size: int) -> memoryview | None:
    """The next bytes of a stream, None where it ends before."""
    view = memoryview(mmap.mmap(-1, size) if size >= MAPPED_BYTES else bytearray(size))
    place = 0
    while place < size:
        count = stream.readinto(view[place:])  # type: ignore[attr-defined]
        if not count:
            return None
        place += count
    return view
