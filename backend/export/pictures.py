"""A take's pictures as its cameras would have taken them without a lens: what exports write beside a track."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import distort, lens_of
from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage.again import open_again
from backend.footage.prefetch import prefetch
from backend.progress import ShouldCancel, never
from backend.track.types import CameraTrack, Track

if TYPE_CHECKING:
    from backend.footage import Footage, FootageFrame

Window = tuple[float, float, int, int]
"""Left, top, width and height in pixels of the ideal picture: another part of the same image plane."""
_BAND = 256  # rows whose places are worked out at once, for the sake of memory
AHEAD = 3
"""Pictures that are decoded beforehand."""
READ_AGAIN = "This export reads the footage again: put it back where it was when it was tracked, or track it again."


@dataclass(frozen=True, eq=False)
class TakePicture:
    """What a camera saw at a frame of the take: ``image (H,W,3)`` uint8 RGB, of the camera's ``image_size``.

    It is the picture of the track's camera itself: a pinhole with square pixels, ``focal_px`` and ``principal_point``,
    the first pixel's centre at (0.5, 0.5). ``shown (H,W)`` is False where the lens showed nothing of it (black there).
    ``frame`` indexes the track.
    """

    frame: int
    image: NDArray[np.uint8]
    shown: NDArray[np.bool_]


def take_pictures(
    track: Track,
    view: int = 0,
    frames: NDArray[np.int64] | None = None,
    *,
    window: Window | None = None,
    should_cancel: ShouldCancel = never,
) -> Iterator[TakePicture]:
    """The pictures of one camera at ``frames (n,)`` of the track, ascending; all, where none are given.

    Frames of which the camera has no picture, or whose picture cannot be decoded any more, are left out. They are
    decoded one after the other, a few ahead: memory does not grow with the take. ``window`` gives another part of the
    image plane than the camera's own picture.

    Raises:
        UserError: what ``open_footage`` raises (``footage_missing`` …), with a hint; ``footage_sizes_differ`` where the
            footage has another size than it was tracked in.
        Cancelled: ``should_cancel`` said so between two pictures.
    """
    camera = track.cameras[view]
    wanted = np.arange(len(track.frames)) if frames is None else np.asarray(frames, np.int64)
    wanted = wanted[camera.footage_frames[wanted] >= 0]
    if not len(wanted):
        return
    numbers = camera.footage_frames[wanted]
    footage = _opened(camera).part((int(numbers.min()), int(numbers.max())))
    straightened = Undistortion(camera, window)
    with closing(prefetch(_of_numbers(footage, frozenset(numbers.tolist())), AHEAD)) as reading:
        for found in reading:
            if should_cancel():
                raise Cancelled
            image = straightened(found.image)
            for frame in wanted[numbers == found.number]:
                yield TakePicture(int(frame), image, straightened.shown)


def require_footage(track: Track, views: Iterable[int]) -> None:
    """Raise as ``take_pictures`` does where the footage of one of the cameras is not there any more.

    For exports that would find out about the last camera only once the others are written.
    """
    for view in views:
        if (track.cameras[view].footage_frames >= 0).any():
            _opened(track.cameras[view])


class Undistortion:
    """Takes the lens out of a camera's pictures; where there is none, whole pictures are given back as they are.

    A pixel's centre (x + 0.5, y + 0.5) of the ideal picture is looked up where ``distort`` says that the lens showed
    it, by cubic interpolation. The lens is that of the first frame, as in the fit (``lens_of``).
    """

    shown: NDArray[np.bool_]
    """(H,W) False where the lens shows nothing: beyond its field, or beyond the footage's border."""

    def __init__(self, camera: CameraTrack, window: Window | None = None) -> None:
        left, top, width, height = window or (0.0, 0.0, *camera.image_size)
        self._size, self._footage = camera.image_size, camera.footage
        self._places: NDArray[np.float32] | None = None
        self.shown = np.ones((height, width), bool)
        lens = lens_of(camera)
        if lens.ideal and window is None:
            return
        self._places = np.empty((height, width, 2), np.float32)
        for first in range(0, height, _BAND):
            rows = slice(first, min(first + _BAND, height))
            y, x = np.mgrid[rows, 0:width]
            centres = np.stack([x + (left + 0.5), y + (top + 0.5)], axis=-1)
            places = centres if lens.ideal else distort(centres, lens)
            with np.errstate(invalid="ignore"):
                self.shown[rows] = ((places >= 0) & (places <= np.array(self._size))).all(axis=-1)
            self._places[rows] = np.where(self.shown[rows, :, None], places - 0.5, -10.0)

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The ideal camera's picture. Raises UserError ``footage_sizes_differ``."""
        import cv2

        height, width = picture.shape[:2]
        if (width, height) != self._size:
            sentence = (
                f"{self._footage} has pictures of {width} × {height} pixels;"
                f" it was tracked with {self._size[0]} × {self._size[1]}."
            )
            raise UserError(ErrorCode.FOOTAGE_SIZES_DIFFER, sentence, READ_AGAIN)
        if self._places is None:
            return picture
        image = cv2.remap(picture, self._places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        image[~self.shown] = 0
        return np.asarray(image, np.uint8)


def _opened(camera: CameraTrack) -> Footage:
    try:
        return open_again(camera)
    except UserError as error:
        raise UserError(error.code, error.message, READ_AGAIN) from error


def _of_numbers(footage: Footage, numbers: frozenset[int]) -> Iterator[FootageFrame]:
    return (found for found in footage if found.number in numbers)
