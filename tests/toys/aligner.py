"""A toy aligner in one file: every face is the head's neutral, seen from the front, as large as its box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel, surface_positions
from backend.observations import Alignment, FaceBox, PointSet, PointSetId
from protocol.offers import AlignerInfo

INFO = AlignerInfo("toy", "Toy Aligner", "faces that look like everybody's", "no time at all")


class ToyAligner:
    """Implements ``Aligner``."""

    name = INFO.name
    point_sets = (PointSetId("ibug68", INFO.name),)
    lids = None

    def __init__(self, head: HeadModel) -> None:
        points = surface_positions(head.landmarks["ibug68"], head.triangles, head.template)
        self._shape = (points - points.mean(axis=0))[:, :2] * [1.0, -1.0] / np.ptp(points[:, 0])  # face widths

    def align(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """The points of the face in each box."""
        return [None if box is None else self._in(box) for _, box in zip(images, boxes, strict=True)]

    def _in(self, box: FaceBox) -> Alignment:
        count = len(self._shape)
        mu = (np.array(box.centre) + self._shape * box.width).astype(np.float32)
        seen = PointSet(self.point_sets[0], mu, np.full(count, 2.0, np.float32), np.ones(count, bool))
        return Alignment((seen,), box)
