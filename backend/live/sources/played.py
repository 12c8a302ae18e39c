"""A video that plays as if it were a camera: each picture comes at its own time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.footage import open_footage
from backend.live.sources.newest import Arriving, NewestPicture


def play_video(path: Path, *, loop: bool = False, speed: float = 1.0) -> NewestPicture:
    """Play a video once, or over and over where ``loop``; ``speed`` 2 shows twice as many pictures a second.

    An image stands for the sequence that it is part of, as wherever footage is named; the source's name tells which.

    Its pictures keep their own times whatever the speed; those of a further round go on from the last one's, as they do
    where it is played ``again``.

    Raises:
        UserError: what ``open_footage`` raises; ``footage_no_video`` for a still.
    """
    footage = open_footage(path)
    info = footage.info
    if info.kind == "still":
        what = f"{info.path} is a single picture, and nothing in it moves."
        raise UserError(ErrorCode.FOOTAGE_NO_VIDEO, what, "Name a video, or a camera with --camera.")

    def stream(stop: threading.Event) -> Iterator[Arriving]:
        began, before = time.perf_counter(), 0.0
        while True:
            moment = before
            for frame in footage:
                moment = before + frame.time
                if stop.wait(max(0.0, began + moment / speed - time.perf_counter())):
                    return
                yield moment, frame.image
            if not loop or stop.is_set():
                return
            before = moment + 1 / info.frame_rate

    name = f"{info.files[0].name} to {info.files[-1].name}" if len(info.files) > 1 else path.name
    return NewestPicture(name, stream, gap=1 / info.frame_rate)
