"""Finds the faces of an image, at any size and wherever they stand in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.detector import FAR, NEAR, Detector
from backend.observations import FaceBox, overlap

F64 = NDArray[np.float64]

MIN_SCORE = 0.5
CONTRADICTION = np.deg2rad(45)  # between the eyes' line and the mouth's; seen from the front they agree to some degrees
_SAME_FACE = 0.3  # overlap (intersection over union) above which two boxes are one face
_SMALL = 0.15
"""Sides of faces, in sides of the picture, below which they are looked at more closely."""
_SAME_PLACE = 0.1  # overlap of a face seen from afar and from near; its size is told badly from afar
_TILE = 320  # px; a face of 24 px still fills enough of the detector's 128 px input


class BlazeFaceFinder:
    """Implements ``FaceFinder``: both detectors, and ever smaller tiles of the image where they see nothing.

    Not safe to call from two threads at once.
    """

    def __init__(self, min_score: float = MIN_SCORE) -> None:
        self._detectors = [Detector(NEAR), Detector(FAR)]
        self._min_score = min_score

    def find(self, image: NDArray[np.uint8], *, thoroughly: bool = True) -> list[FaceBox]:
        """Faces of an RGB image (H,W,3), largest first; empty where there is none.

        Searching tiles costs up to fifty times a look at the whole; only ``thoroughly`` does it.
        """
        height, width = image.shape[:2]
        boxes = self._looked_at(image, self._in_part(image, 0, 0), max(width, height))
        if not boxes and thoroughly:
            for left, top, size in _tiles(width, height):
                seen = self._in_part(image[top : top + size, left : left + size], left, top)
                boxes += self._looked_at(image, seen, size)
        return distinct(boxes)

    def near(self, image: NDArray[np.uint8], box: FaceBox) -> list[FaceBox]:
        """Faces in the neighbourhood of ``box`` (three times its size), likeliest to be seen however small it is."""
        (x, y), reach = box.centre, 1.5 * max(box.width, box.height)
        height, width = image.shape[:2]
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        right, bottom = min(width, int(x + reach) + 1), min(height, int(y + reach) + 1)
        if right - left < 16 or bottom - top < 16:
            return []
        return distinct(self._in_part(image[top:bottom, left:right], left, top))

    def _looked_at(self, image: NDArray[np.uint8], boxes: Sequence[FaceBox], side: int) -> list[FaceBox]:
        """The boxes, those small in the part (``side`` pixels) that they were seen in as a closer look tells them.

        Of some ten of the network's pixels a detector tells a face's whereabouts at best, and takes patterns for faces.
        """
        told = []
        for box in distinct(boxes):
            if max(box.width, box.height) >= _SMALL * side:
                told.append(box)
            else:
                told += [other for other in self.near(image, box) if overlap(box, other) > _SAME_PLACE]
        return told

    def _in_part(self, part: NDArray[np.uint8], left: int, top: int) -> list[FaceBox]:
        part = np.ascontiguousarray(part)
        boxes = []
        for detector in self._detectors:
            seen = detector(part, self._min_score)
            for (x0, y0, x1, y1), parts, score in zip(seen.boxes, seen.keypoints, seen.scores, strict=True):
                roll = roll_of(parts[0], parts[1], parts[3])
                x, y, width, height = map(float, (left + x0, top + y0, x1 - x0, y1 - y0))
                boxes.append(FaceBox(x, y, width, height, float(score), roll))
        return boxes

    def close(self) -> None:
        for detector in self._detectors:
            detector.close()


def roll_of(right_eye: F64, left_eye: F64, mouth: F64) -> float:
    """The turn of a face in the image, radians clockwise, from where the detector sees its eyes and mouth (2,).

    The line of the eyes tells it best, but not in profile: there both eyes are seen in one place, in any order. Where
    it contradicts the line from the eyes to the mouth, that one counts.
    """
    level, down = left_eye - right_eye, mouth - (left_eye + right_eye) / 2
    by_eyes, by_mouth = np.arctan2(level[1], level[0]), np.arctan2(-down[0], down[1])
    apart = np.abs(np.angle(np.exp(1j * (by_eyes - by_mouth))))
    return float(by_mouth if apart > CONTRADICTION else by_eyes)


def distinct(boxes: Sequence[FaceBox]) -> list[FaceBox]:
    """One box for each face, the best scored, largest face first."""
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(overlap(box, other) < _SAME_FACE for other in kept):
            kept.append(box)
    return sorted(kept, key=lambda box: -box.area)


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int]]:
    """Overlapping squares (left, top, side) that cover the image, at most 48 of them."""
    side = max(_TILE, int(np.sqrt(width * height / 12)))
    if max(width, height) <= side:
        return
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, side


def _starts(length: int, side: int) -> list[int]:
    count = max(1, int(np.ceil((length - side) / (side * 0.6))) + 1)
    return sorted({int(x) for x in np.linspace(0, max(0, length - side), count)})
