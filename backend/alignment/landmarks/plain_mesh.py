"""MediaPipe's networks as its own graph runs them, and how their points are joined: for renders, and as a baseline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop, cut
from backend.alignment.landmarks.detector import NEAR, Detector
from backend.alignment.landmarks.face_finder import roll_of
from backend.alignment.landmarks.face_mesh import SIZE, FaceMeshNetwork, box_around
from backend.observations import FaceBox

Edges = frozenset[tuple[int, int]]

TESSELATION = Path(__file__).with_name("tesselation.npz")
"""``edges (1322,2)``: pairs of neighbours as MediaPipe publishes them (``FACEMESH_TESSELATION``)."""
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Around the face's outline, from the forehead's middle to the subject's left (MediaPipe's ``FACEMESH_FACE_OVAL``)."""


class PlainFaceMesh(AbstractContextManager["PlainFaceMesh", None]):
    """The landmark network alone, on one crop a picture, its answer as it comes.

    ``still`` forgets each picture and looks where the detector says; else it looks where the last picture's face was,
    and asks the detector after a picture without one. With two ``looks`` each picture is looked at again where the
    first answer lies.
    """

    def __init__(self, *, still: bool = True, min_confidence: float = 0.5, looks: int = 1) -> None:
        self._detector, self._network = Detector(NEAR), FaceMeshNetwork()
        self._still, self._min_confidence, self._looks = still, min_confidence, looks
        self._next: Crop | None = None

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Points (478,3) of the face in an RGB image (H,W,3), in units of its sides (z of its width), or None."""
        following, self._next = self._next or self._detected(image), None
        found = None
        for _ in range(self._looks):
            if following is None:
                break
            crop = following
            points, presence = self._network([cut(image, crop)])
            if presence[0] < 0.5:
                return None
            placed = crop.points_to_image(points[0, :, :2])
            following = _crop_of(box_around(placed))
            height, width = image.shape[:2]
            found = np.column_stack([placed / (width, height), points[0, :, 2] * crop.side / SIZE / width])
        self._next = None if self._still else following
        return found

    def _detected(self, image: NDArray[np.uint8]) -> Crop | None:
        seen = self._detector(image, self._min_confidence)
        if not len(seen.scores):
            return None
        low, high = seen.boxes[0, :2], seen.boxes[0, 2:]
        right_eye, left_eye, mouth = seen.keypoints[0, (0, 1, 3)]
        x, y, width, height = map(float, (*low, *(high - low)))
        return _crop_of(FaceBox(x, y, width, height, float(seen.scores[0]), roll_of(right_eye, left_eye, mouth)))

    def __exit__(self, *_: object) -> None:
        self._detector.close()
        self._network.close()


def _crop_of(box: FaceBox) -> Crop:
    """The crop that MediaPipe's graph lays around a box."""
    return Crop(*box.centre, 1.5 * max(box.width, box.height), box.roll, size=SIZE)


def still_face_mesh() -> PlainFaceMesh:
    """The mesh for renders of heads, which look little like photographs: less must do, and is looked at twice.

    The detector's crops of renders differ from head to head: registered from them alone, a head's brows moved wrongly
    by 15 % of their motion, and by 9 % with a second look (the truth of ``tests/…/test_register.py``).
    """
    return PlainFaceMesh(min_confidence=0.3, looks=2)


@cache
def tesselation() -> Edges:
    """Pairs of neighbours among the 468 points of the surface, the lower number first."""
    with np.load(TESSELATION, allow_pickle=False) as data:
        return frozenset((int(a), int(b)) for a, b in data["edges"])


def face_oval() -> Edges:
    """Pairs of neighbours along the face's outline."""
    return frozenset(zip(OVAL, (*OVAL[1:], OVAL[0]), strict=True))
