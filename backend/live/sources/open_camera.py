"""The pictures of a camera, through OpenCV on Linux and through FFmpeg by name elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.live.sources.cameras import FORMATS, Camera
from backend.live.sources.newest import Arriving, NewestPicture

WIDTH, HEIGHT, RATE = 640, 480, 30
"""What a camera is asked for; it gives what it can. The networks look at 256², so more pixels tell little more."""
SILENCE = 3.0
"""Seconds without a picture after which a camera counts as unplugged."""


def open_camera(camera: Camera) -> NewestPicture:
    """Open a camera. Raises UserError ``camera_unreadable`` where it cannot be opened; later, where it breaks down."""
    if sys.platform.startswith("linux"):
        capture = _opened(camera)
        return NewestPicture(camera.name, lambda stop: _captured(camera, capture, stop))
    container = _opened_by_name(camera)
    return NewestPicture(camera.name, lambda stop: _demuxed(camera, container, stop))


def _opened(camera: Camera) -> Any:
    import cv2

    capture = cv2.VideoCapture(camera.device, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise _unreadable(camera, "cannot be opened")
    # Uncompressed pictures of cheap cameras come at 5 to 10 a second where USB 2 has to carry them.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
    capture.set(cv2.CAP_PROP_FPS, RATE)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _captured(camera: Camera, capture: Any, stop: threading.Event) -> Iterator[Arriving]:
    import cv2

    first: float | None = None
    last = time.perf_counter()
    try:
        while not stop.is_set():
            there, picture = capture.read()
            now = time.perf_counter()
            if there:
                first, last = now if first is None else first, now
                yield now - first, _rgb(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            elif now - last > SILENCE:
                raise _unreadable(camera, "gives no pictures")
            else:
                stop.wait(0.01)
    finally:
        capture.release()


def _opened_by_name(camera: Camera) -> Any:
    import av

    kind = FORMATS[sys.platform]
    name = f"video={camera.device}" if kind == "dshow" else camera.device
    wanted = {"video_size": f"{WIDTH}x{HEIGHT}", "framerate": str(RATE)}
    for options in (wanted, {}):  # a camera without that size gives its own
        try:
            return av.open(name, format=kind, options=options)
        except (OSError, ValueError) as error:
            reason = error
    raise _unreadable(camera, f"cannot be opened ({reason})") from reason


def _demuxed(camera: Camera, container: Any, stop: threading.Event) -> Iterator[Arriving]:
    first: float | None = None
    try:
        for frame in container.decode(video=0):
            if stop.is_set():
                return
            now = time.perf_counter()
            first = now if first is None else first
            yield now - first, _rgb(frame.to_ndarray(format="rgb24"))
    except (OSError, ValueError) as error:
        raise _unreadable(camera, f"gives no pictures ({error})") from error
    finally:
        container.close()
    raise _unreadable(camera, "gives no pictures")


def _rgb(picture: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture, np.uint8)


def _unreadable(camera: Camera, what: str) -> UserError:
    hint = "It may have been unplugged, another program may use it, or this user may not be allowed to."
    return UserError(ErrorCode.CAMERA_UNREADABLE, f"The camera “{camera.name}” {what}.", hint)
