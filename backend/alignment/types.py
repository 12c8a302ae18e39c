"""The Aligner contract and the Alignment data type, where alignment and fitting meet (DESIGN §3, §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FaceBox:
    """An upright box around a face, pixels: left, top, width, height, and the detector's score in 0…1.

    ``roll`` is how far the face in it is turned in the image, radians, clockwise as seen.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0
    roll: float = 0.0

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where N surface points of a head lie in one image.

    ``landmarks`` names the point set in ``HeadModel.landmarks``; ``mu (N,2)`` float32 are image positions in pixels
    ((0,0) is the top-left corner of the image, (0.5,0.5) the centre of its first pixel), ``sigma (N,)`` float32 the
    standard deviation of a circular Gaussian in pixels, ``valid (N,)`` bool which points to use at all.
    ``lids_closed (2,)`` bool: which eyes, the subject's left and right, are seen closed; None where nobody looked.
    """

    landmarks: str
    mu: NDArray[np.float32]
    sigma: NDArray[np.float32]
    valid: NDArray[np.bool_]
    box: FaceBox
    lids_closed: NDArray[np.bool_] | None = None


class Aligner(Protocol):
    """Anything that finds a head's surface points in images."""

    name: str
    landmarks: str

    def align(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """Align the face in each RGB image (H,W,3); ``boxes`` says where each face is, None where there is none."""
        ...


@dataclass(frozen=True, eq=False)
class TakeAlignment:
    """Where N surface points lie in the T frames of one view.

    Pixels as in ``Alignment``. Frames without a face have ``found`` False, no valid point, ``mu`` 0 and ``sigma`` 1.
    """

    landmarks: str  # point set in HeadModel.landmarks
    aligner: str
    numbers: NDArray[np.int64]  # (T,) footage frame numbers
    times: NDArray[np.float64]  # (T,) seconds
    scene_frames: NDArray[np.float64]  # (T,)
    mu: NDArray[np.float32]  # (T,N,2)
    sigma: NDArray[np.float32]  # (T,N)
    valid: NDArray[np.bool_]  # (T,N)
    found: NDArray[np.bool_]  # (T,)
    image_size: tuple[int, int]  # width, height
    faces_seen: int  # most faces seen in any one image that was searched as a whole
    lids_closed: NDArray[np.bool_]  # (T,2) eyes (left, right) seen closed; False where nobody looked
    seconds: Mapping[str, float] = field(default_factory=dict)  # busy time of "decode" and "align"; they overlap


def overlap(a: FaceBox, b: FaceBox) -> float:
    """Intersection over union of two boxes, 0…1."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a.area + b.area - width * height)
