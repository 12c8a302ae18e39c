"""The contracts of aligners and face finders (DESIGN §5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.alignment.lids import LidPoints
from backend.observations import Alignment, FaceBox, PointSetId


class Aligner(Protocol):
    """Anything that finds a head's surface points in images."""

    @property
    def name(self) -> str: ...

    @property
    def point_sets(self) -> tuple[PointSetId, ...]:
        """The sets of every alignment, in order."""
        ...

    @property
    def lids(self) -> LidPoints | None:
        """The points that tell how far lids are closed; None where it has none."""
        ...

    def align(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """Align the face in each RGB image (H,W,3); ``boxes`` says where each face is, None where there is none."""
        ...


class FaceFinder(Protocol):
    """Anything that finds the faces of an image. Need not be safe to call from two threads at once."""

    def find(self, image: NDArray[np.uint8], *, thoroughly: bool = True) -> list[FaceBox]:
        """Faces of an RGB image (H,W,3), largest first; looks everywhere and closely where ``thoroughly``."""
        ...

    def near(self, image: NDArray[np.uint8], box: FaceBox) -> list[FaceBox]:
        """Faces in the neighbourhood of ``box``, largest first."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...
