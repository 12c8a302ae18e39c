"""What Blender shows instead of footage that it cannot play as tracked: a picture for every frame of the scene."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from backend.errors import Cancelled
from backend.footage.encode import Picture, encode_for_scrubbing
from backend.footage.prefetch import prefetch
from backend.footage.types import MAX_FRAMES, Footage, FootageInfo
from protocol.shown import HeldPictures, hold, span

MAX_HELD = 50_000
"""Frames that only hold an earlier picture, in one proxy: half an hour of them."""
_AT_ONCE = 250  # frames of a held picture between two looks at whether the job was cancelled
_STAMP = "comment"
_VERSION = 1
_PLAIN_RATES = tuple(float(rate) for rate in range(1, 241)) + tuple(rate / 1.001 for rate in (24, 30, 48, 60, 120))


class TooLong(Exception):  # noqa: N818 - its text is the end of a sentence for the user
    """The reason for which a proxy would have more frames than are made."""


def held_pictures(scene_frames: NDArray[np.float64], numbers: NDArray[np.int64]) -> HeldPictures:
    """``hold``, of no more frames than a proxy may have; raises ``TooLong``."""
    first, last = span(scene_frames, numbers)
    pictures, count = np.count_nonzero(numbers >= 0), last - first + 1
    if last > MAX_FRAMES or count > MAX_HELD + pictures:
        raise TooLong(f"its {pictures} pictures are spread over {count} frames of the scene")
    return hold(scene_frames, numbers)


def write_proxy(
    path: Path,
    footage: Footage,
    pictures: HeldPictures,
    frame_rate: float,
    *,
    on_progress: Callable[[int, int], None],
    should_cancel: Callable[[], bool],
) -> None:
    """Write a proxy: an H.264 video of one picture for each scene frame, of a still a PNG; upright, of square pixels.

    Every few pictures can be decoded by themselves, and none needs a later one. ``frame_rate`` is for other players;
    Blender counts frames. The file appears only when it is whole; one that was made of the same footage for the same
    frames is used again. ``on_progress`` gets scene frames done and in all.

    Raises:
        UserError: what reading the footage raises.
        Cancelled: ``should_cancel`` said so.
        OSError, FFmpegError: the file cannot be written.
    """
    stamp = _stamp(footage.info, pictures)
    if _stamp_of(path) == stamp:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}{path.suffix}")
    try:
        if footage.info.kind == "still":
            _write_still(temporary, footage, stamp)
        else:
            shown = _shown(footage, pictures.numbers, on_progress, should_cancel)
            with closing(shown):
                encode_for_scrubbing(temporary, shown, _plain(frame_rate), {_STAMP: stamp})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _shown(
    footage: Footage,
    numbers: NDArray[np.int64],
    on_progress: Callable[[int, int], None],
    should_cancel: Callable[[], bool],
) -> Generator[tuple[Picture, int]]:
    """The pictures with the number of scene frames that each is shown on; one that is not there is as the one before.

    What precedes the first picture that is there shows that.
    """
    done, total = 0, len(numbers)
    previous: Picture | None = None

    def show(picture: Picture, until: int) -> Iterator[tuple[Picture, int]]:
        nonlocal done
        while done < until:
            if should_cancel():
                raise Cancelled
            count = min(until - done, _AT_ONCE)
            yield picture, count
            done += count
            on_progress(done, total)

    with closing(prefetch(footage)) as frames:
        for frame in frames:
            if previous is not None:
                yield from show(previous, int(np.searchsorted(numbers, frame.number)))
            previous = frame.image
            if frame.number >= numbers[-1]:
                break
    if previous is not None:
        yield from show(previous, total)


def _write_still(path: Path, footage: Footage, stamp: str) -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text(_STAMP, stamp)
    for frame in footage:
        Image.fromarray(frame.image).save(path, "PNG", pnginfo=said)
        return


def _plain(frame_rate: float) -> float:
    """The nearest rate that every container and player takes."""
    return min(_PLAIN_RATES, key=lambda rate: abs(rate - frame_rate))


def _stamp(info: FootageInfo, pictures: HeldPictures) -> str:
    """A hash of what a proxy is made of: the files as they are now, and which of their pictures are shown where."""
    files = [(str(file), *_state(file)) for file in info.files or (info.path,)]
    facts = [_VERSION, files, info.width, info.height, info.rotation, info.mirrored, pictures.first]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(pictures.numbers.tobytes())
    return digest.hexdigest()


def _state(file: Path) -> tuple[int, int]:
    try:
        state = file.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _stamp_of(path: Path) -> str | None:
    """The stamp in a proxy; None where there is none that can be read."""
    try:
        if path.suffix == ".png":
            with Image.open(path) as image:
                return str(image.info.get(_STAMP, ""))
        with av.open(str(path)) as container:
            return container.metadata.get(_STAMP)
    except (FFmpegError, OSError, ValueError):
        return None
