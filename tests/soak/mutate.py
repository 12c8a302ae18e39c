"""Messages that are wrong in every way: bytes, damaged messages, and well-formed ones that ask for nonsense."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np

from protocol import messages as m
from protocol.upload import UploadChunk, UploadStart, checksum

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 1e-308, 1e308, float("nan"), float("inf")),
    *(
        "",
        "\0",
        "\n\r\x1b[31m",
        "a" * 300,
        "ä" * 5000,
        "\ud7ff",
        "../../etc/passwd",
        "/dev/zero",
        "upload:/",
        b"",
        b"\xff" * 9,
    ),
    *([], [[]], {}, {"": {}}, [0] * 1000, {str(n): n for n in range(100)}, [[[[[[[[1]]]]]]]]),
)
"""Values that some field may not expect."""


def examples() -> list[m.Message]:
    """Requests as honest clients send them; none ends the backend, and none names footage that is there."""
    view = m.ViewSpec("/nowhere/a.mp4", camera=m.CameraSpec((640, 480), 600.0), face=m.FaceChoice("box", (1, 2, 3, 4)))
    data = np.arange(9, dtype=np.uint8)
    job = "20260101-000000-01234567"
    return [
        m.Hello("fuzz", "1"),
        m.Heads(),
        m.Submit(m.TrackJob((view, m.ViewSpec("/nowhere/b_%04d.png", "b", 0.5)), frames=(1, 9), name="f")),
        m.Submit(m.RefineJob(job, pins=(), name="r")),
        m.Submit(m.ExportJob(job, "csv")),
        m.Status(job, subscribe=True),
        m.Result(job, ("track.npz",)),
        m.Cancel(job),
        m.Jobs(),
        m.Storage(),
        m.Prune(1 << 40),
        UploadStart("0" * 64, 9),
        UploadChunk("0" * 64, 0, checksum(data.tobytes()), data),
    ]


class Mutator:
    """An endless stream of messages, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._packed = [m.pack(message, 7) for message in examples()]
        self._ways: tuple[Callable[[], list[bytes]], ...] = (
            self._noise,
            self._damaged,
            self._odd_field,
            self._odd_field,
            self._odd_field,
            self._parts,
        )

    def __iter__(self) -> Iterator[list[bytes]]:
        while True:
            yield self._random.choice(self._ways)()

    def _noise(self) -> list[bytes]:
        return [self._random.randbytes(self._random.randrange(200)) for _ in range(self._random.randrange(1, 4))]

    def _example(self) -> list[bytes]:
        return [bytes(frame) for frame in self._random.choice(self._packed)]

    def _damaged(self) -> list[bytes]:
        frames = self._example()
        head = bytearray(frames[0])
        for _ in range(self._random.randrange(1, 6)):
            place = self._random.randrange(len(head))
            way = self._random.randrange(3)
            if way == 0:
                head[place] = self._random.randrange(256)
            elif way == 1:
                del head[place : place + self._random.randrange(1, 9)]
                head = head or bytearray(b"\x80")
            else:
                head[place:place] = self._random.randbytes(self._random.randrange(1, 9))
        return [bytes(head), *frames[1:]]

    def _odd_field(self) -> list[bytes]:
        frames = self._example()
        fields = msgpack.unpackb(frames[0])
        for _ in range(self._random.randrange(1, 3)):
            self._change(fields)
        try:
            return [msgpack.packb(fields), *frames[1:]]
        except (ValueError, OverflowError, UnicodeEncodeError):
            return self._noise()

    def _change(self, fields: dict[str, Any]) -> None:
        """Put something odd somewhere in nested maps and lists."""
        place: Any = fields
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                return
            key = self._random.choice(keys)
            inner = place[key]
            if isinstance(inner, dict | list) and inner and self._random.random() < 0.8:
                place = inner
                continue
            if key != "request":
                place[key] = self._random.choice(ODD)
            return

    def _parts(self) -> list[bytes]:
        return [*self._example(), *(self._random.randbytes(8) for _ in range(self._random.randrange(1, 30)))]
