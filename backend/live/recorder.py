"""The very pictures of a recording as a video, written beside the session by a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import put_in_place
from backend.footage import FootageFrame, FootageInfo
from backend.live.types import LivePicture

WAITING = 45
"""Pictures that may wait for the encoder: 1.5 seconds, or 41 MB of 640 × 480."""


@dataclass(frozen=True)
class Written:
    """A recording's video: its path, pictures, their rate, the first one's ``LivePicture.time``, and how many pictures
    found no room because disk or encoder could not follow."""

    path: Path
    frames: int
    frame_rate: float
    first_time: float
    lost: int
    times: tuple[float, ...]

    def numbers(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """(T,) the number, from 1, of the picture of each of ``times`` (T,), -1 where it was lost."""
        own = np.array(self.times)
        at = np.clip(np.searchsorted(own, times - 1e-6), 0, len(own) - 1)
        return np.where(np.abs(own[at] - times) < 1e-5, at + 1, -1)


class Recorder:
    """Writes pictures with their times; the file is there once it is whole."""

    def __init__(self, path: Path, frame_rate: float) -> None:
        """``path`` ends in .mp4; ``frame_rate`` is about what is expected."""
        self._path, self._rate = path, frame_rate
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        self._waiting: queue.Queue[LivePicture | None] = queue.Queue(maxsize=WAITING)
        self._times: list[float] = []
        self._error: Exception | None = None
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def add(self, picture: LivePicture) -> bool:
        """Take a picture; False where there is no room for it. Never waits."""
        try:
            self._waiting.put_nowait(picture)
        except queue.Full:
            self.lost += 1
            return False
        return True

    @property
    def failed(self) -> bool:
        """True where the file cannot be written any more; ``finish`` says why."""
        return self._error is not None

    def finish(self) -> Written | None:
        """Write what waits and close the file; None where there was no picture.

        Raises UserError ``output_unwritable`` where the file could not be written.
        """
        while self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()
        if self._error is not None or not self._times:
            with suppress(OSError):
                self._part.unlink()
            if self._error is None:
                return None
            sentence = f"The recording could not be written to {self._path}: {self._error}."
            raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Free some room, or choose another folder.")
        put_in_place(self._part, self._path)
        span = self._times[-1] - self._times[0]
        rate = (len(self._times) - 1) / span if span > 0 else self._rate
        return Written(self._path, len(self._times), rate, self._times[0], self.lost, tuple(self._times))

    def _run(self) -> None:
        from backend.footage.encode import encode

        try:
            first = self._waiting.get()
            if first is None:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            encode(self._part, self._frames(first), _info(self._path, first.picture, self._rate))
        except Exception as error:  # FFmpegError is none of OSError only
            self._error = error

    def _frames(self, first: LivePicture) -> Iterator[tuple[FootageFrame, NDArray[np.uint8]]]:
        picture: LivePicture | None = first
        while picture is not None:
            height, width = (side // 2 * 2 for side in picture.picture.shape[:2])
            number = len(self._times) + 1
            self._times.append(picture.time)
            image = picture.picture[:height, :width]
            yield FootageFrame(number, picture.time, float(number), picture.picture), np.ascontiguousarray(image)
            picture = self._waiting.get()


def unused_name(folder: Path) -> Path:
    """A name for a recording of now that no file in the folder has."""
    stem = time.strftime("live-%Y%m%d-%H%M%S")
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
    return next(path for name in names if not (path := folder / f"{name}.mp4").exists())


def _info(path: Path, picture: NDArray[np.uint8], frame_rate: float) -> FootageInfo:
    height, width = picture.shape[:2]
    return FootageInfo(
        path=path,
        kind="video",
        width=width,
        height=height,
        frame_count=0,
        first_frame=1,
        last_frame=0,
        frame_rate=frame_rate,
        duration=0.0,
        rotation=0,
        stored_width=width,
        stored_height=height,
        pixel_aspect=1.0,
        variable_rate=True,  # a camera's pictures come when they come
        codec="h264",
        pixel_format="yuv420p",
    )
