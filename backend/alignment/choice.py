"""The choice of the tracked face among several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backend.errors import ErrorCode, UserError
from backend.observations import FaceBox, overlap


@dataclass(frozen=True)
class FaceChoice:
    """The face to track: the largest one, the one in a box, or the one at a point.

    ``values`` are pixels of the displayed image: (left, top, width, height) of a box, (x, y) of a point. ``frame`` is
    the footage frame number on which the choice was made; None means the first frame that shows a face.
    """

    kind: Literal["largest", "box", "point"] = "largest"
    values: tuple[float, ...] = ()
    frame: int | None = None

    def __post_init__(self) -> None:
        expected = {"largest": 0, "box": 4, "point": 2}[self.kind]
        if len(self.values) != expected:
            raise ValueError(f"a face choice by {self.kind} has {expected} values, not {len(self.values)}")

    @classmethod
    def largest(cls, frame: int | None = None) -> FaceChoice:
        return cls("largest", (), frame)

    @classmethod
    def box(cls, left: float, top: float, width: float, height: float, frame: int | None = None) -> FaceChoice:
        return cls("box", (left, top, width, height), frame)

    @classmethod
    def point(cls, x: float, y: float, frame: int | None = None) -> FaceChoice:
        return cls("point", (x, y), frame)

    def pick(self, faces: Sequence[FaceBox]) -> int | None:
        """Index of the chosen one among ``faces``; None where none of them is meant."""
        if not faces:
            return None
        if self.kind == "largest":
            return int(np.argmax([face.area for face in faces]))
        if self.kind == "box":
            wanted = FaceBox(*self.values)
            overlaps = [overlap(face, wanted) for face in faces]
            if max(overlaps) > 0:
                return int(np.argmax(overlaps))
            return None
        distances = [_distance(face, self.values[0], self.values[1]) for face in faces]
        return int(np.argmin(distances)) if min(distances) <= 1 else None


def beside_every_face(choice: FaceChoice, number: int, count: int) -> UserError:
    """The error of a choice that means none of the ``count`` faces of frame ``number``."""
    return UserError(
        ErrorCode.FACE_NOT_CHOSEN,
        f"Frame {number} shows {count} face{'s' * (count > 1)}, but none at the chosen "
        f"{choice.kind} ({', '.join(f'{value:g}' for value in choice.values)}).",
        "Choose a place on the face, in pixels of the displayed picture, or leave the choice out.",
    )


def _distance(face: FaceBox, x: float, y: float) -> float:
    """Distance of a point from a face's centre, in units in which the box (a little enlarged) reaches to 1."""
    cx, cy = face.centre
    return max(abs(x - cx) / max(face.width, 1), abs(y - cy) / max(face.height, 1)) / 0.75
