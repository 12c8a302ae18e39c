"""The face in one picture after another: where the last picture's points lay leads to the next, and only a face that
is lost is searched for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.alignment.face_search import TURNED_OVER, search_image, turned_apart
from backend.alignment.types import Aligner, FaceFinder
from backend.observations import Alignment, FaceBox, overlap

LEAST_OVERLAP = 0.1
"""Of two pictures' boxes, below which the aligner has slid to something else."""


class FaceFollower:
    """Follows the largest face; a face that is lost gives way to the largest one there is. Keeps no picture.

    A picture without a face is searched once, not in every corner: that takes up to fifty times as long, and the next
    picture is newer.
    """

    def __init__(self, aligner: Aligner, finder: FaceFinder) -> None:
        self._aligner, self._finder = aligner, finder
        self._box: FaceBox | None = None

    def look(self, picture: NDArray[np.uint8]) -> Alignment | None:
        """The face in a picture (H,W,3); None where none is seen."""
        found = None if self._box is None else self._align(picture, self._box)
        if found is not None and self._box is not None and overlap(found.box, self._box) < LEAST_OVERLAP:
            found = None
        for box in () if found is not None else search_image(self._finder, picture, thoroughly=False):
            found = self._align(picture, box)
            if found is not None:
                break
        self._box = None if found is None else found.box
        return found

    def _align(self, picture: NDArray[np.uint8], box: FaceBox) -> Alignment | None:
        found = self._aligner.align([picture], [box])[0]
        return None if found is not None and turned_apart(found.box, box) > TURNED_OVER else found
