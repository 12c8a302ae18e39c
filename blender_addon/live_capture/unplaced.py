"""Live recordings that no scene has taken in: another file was opened, or their head was deleted, while they were made.

Each lies in a file of its own until a user discards it: ``MAGIC``, a line of JSON that says what it is, and behind it
the messages of the session: its take, what it says of the recording, and the poses. A message is the number of its
frames (32 bits), and each frame its length in bytes (64 bits) and those.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from ..live_client import MAX_KEPT, Recorded
from ..vendor import codec, live, messages
from ..vendor import take as contract

FOLDER = "recordings"
SUFFIX = ".flowface-recording"
MAGIC = b"FlowFace recording 1\n"
MAX_HEADER = 1 << 16
DAMAGED = "The recording {} cannot be read: {}."


class Unreadable(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which a recording cannot be read again."""


@dataclass(frozen=True)
class Unplaced:
    """A recording that waits: what drove it, how long it is, and the .blend that was open ("" one never saved)."""

    source: str
    blend: str
    seconds: float
    poses: int
    full: bool = False
    path: Path = field(default=Path())

    @property
    def words(self) -> str:
        """Such as “3.2 s from HD Webcam, recorded in shot.blend”."""
        where = f"recorded in {Path(self.blend).name}" if self.blend else "recorded in a file that was never saved"
        return f"{self.seconds:.1f} s from {self.source}, {where}"


class Recordings:
    """Those in a folder, to which nobody else writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: tuple[Unplaced, ...] | None = None  # a panel asks whenever it is drawn

    def save(self, recorded: Recorded, take: contract.TakeResult, source: str, blend: str) -> Unplaced:
        """Write a recording of the head of ``take``; raises OSError."""
        self._waiting = None
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = time.strftime("live-%Y%m%d-%H%M%S")
        names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
        path = next(path for name in names if not (path := self._folder / f"{name}{SUFFIX}").exists())
        told = Unplaced(source, blend, recorded.told.seconds, len(recorded.poses), recorded.full, path)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                _write(file, told, (live.LiveTake(take), recorded.told, *recorded.poses))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return told

    def waiting(self) -> tuple[Unplaced, ...]:
        """The recordings that wait, oldest first; those that cannot be read are left out."""
        if self._waiting is None:
            found = []
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                with contextlib.suppress(OSError, ValueError, TypeError), path.open("rb") as file:
                    found.append(_header(file, path))
            self._waiting = tuple(found)
        return self._waiting

    def discard(self, path: Path) -> None:
        """Delete a recording; raises OSError."""
        self._waiting = None
        path.unlink(missing_ok=True)


def read(path: Path) -> tuple[Unplaced, contract.TakeResult, Recorded]:
    """A recording and the take whose head it is of. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            told = _header(file, path)
            found = list(_messages(file, 2 + min(told.poses, MAX_KEPT)))
    except OSError as error:
        raise Unreadable(DAMAGED.format(path, error.strerror)) from error
    except (codec.ProtocolError, ValueError, TypeError, struct.error) as error:
        raise Unreadable(DAMAGED.format(path, error)) from error
    take, recording, *rest = found
    poses = tuple(pose for pose in rest if isinstance(pose, live.LivePose))
    if not isinstance(take, live.LiveTake) or not isinstance(recording, live.LiveRecording) or len(poses) < len(rest):
        raise Unreadable(DAMAGED.format(path, "it holds something else"))
    return told, take.take, Recorded(recording, poses, told.full)


def _write(file: IO[bytes], told: Unplaced, told_of: Iterable[messages.Message]) -> None:
    header = {name: value for name, value in asdict(told).items() if name != "path"}
    file.write(MAGIC + json.dumps(header).encode() + b"\n")
    for message in told_of:
        frames = live.pack_live(message)
        file.write(struct.pack("<I", len(frames)))
        for frame in frames:
            own = memoryview(frame).cast("B")
            file.write(struct.pack("<Q", len(own)))
            file.write(own)


def _header(file: IO[bytes], path: Path) -> Unplaced:
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("it is no recording of FlowFace's")
    told = Unplaced(**json.loads(file.readline(MAX_HEADER)), path=path)
    return Unplaced(str(told.source), str(told.blend), float(told.seconds), int(told.poses), bool(told.full), path)


def _messages(file: IO[bytes], count: int) -> Iterator[messages.Message]:
    size = os.fstat(file.fileno()).st_size
    for _ in range(count):
        (frames,) = struct.unpack("<I", file.read(4))
        if frames > codec.MAX_PARTS + 1:
            raise ValueError("it is damaged")
        yield live.unpack_live([_frame(file, size) for _ in range(frames)])


def _frame(file: IO[bytes], at_most: int) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    content = file.read(length) if length <= at_most else b""
    if len(content) != length:
        raise ValueError("it is not whole")
    return content
