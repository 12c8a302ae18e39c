"""Two aligners' points beside each other: each tells what it sees best, and the fit weighs all by their σ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.alignment.lids import LidPoints
from backend.alignment.types import Aligner
from backend.head_model.dense_points import DENSE
from backend.head_model.model import HeadModel
from backend.observations import Alignment, FaceBox, PointSet, PointSetId

SPARSE = "mediapipe478"


class CombinedAligner:
    """Implements ``Aligner`` with the network's point set, then MediaPipe's.

    The network looks first: the box of its answer leads back to its own crop in the next frame, and MediaPipe finds
    its crop from any. A frame in which one of the two sees no face is told by the other alone. Not safe to call from
    two threads at once.
    """

    name = "combined"

    def __init__(self, dense: Aligner, sparse: Aligner, head: HeadModel, dense_sigma_scale: float) -> None:
        """``dense`` finds ``head.landmarks["dense"]``, ``sparse`` those of ``SPARSE``. ``dense_sigma_scale`` multiplies
        the σ of ``dense``: its points are many and err together, and the fit takes each for a witness of its own."""
        self.point_sets: tuple[PointSetId, ...] = (*dense.point_sets, *sparse.point_sets)
        if [id.name for id in self.point_sets] != [DENSE, SPARSE]:
            raise ValueError(f"cannot combine points of {' and '.join(id.name for id in self.point_sets)}")
        self._dense, self._sparse, self._sigma_scale = dense, sparse, np.float32(dense_sigma_scale)
        self.lids = _lids_of_both(dense.lids, sparse.lids)
        self._counts = len(head.landmarks[DENSE]), len(head.landmarks[SPARSE])

    def align(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """Alignments of the face in each RGB image (H,W,3); None where the box is None or neither sees a face."""
        dense = self._dense.align(images, boxes)
        known = [box if seen is None else seen.box for box, seen in zip(boxes, dense, strict=True)]
        return [self._joined(a, b) for a, b in zip(dense, self._sparse.align(images, known), strict=True)]

    def _joined(self, dense: Alignment | None, sparse: Alignment | None) -> Alignment | None:
        first = dense or sparse
        if first is None:
            return None
        sets = []
        for id, count, seen in zip(self.point_sets, self._counts, (dense, sparse), strict=True):
            sets.append(_unseen(id, count) if seen is None else seen.point_sets[0])
        if dense is not None:
            sets[0] = replace(sets[0], sigma=sets[0].sigma * self._sigma_scale)
        return Alignment(
            point_sets=tuple(sets),
            box=first.box,
            action_scores=None if sparse is None else sparse.action_scores,
        )


def _lids_of_both(dense: LidPoints | None, sparse: LidPoints | None) -> LidPoints | None:
    """MediaPipe tells closed lids the better; they hide the eyes of both sets."""
    if dense is None or sparse is None:
        return sparse or dense
    return replace(sparse, behind=(*dense.behind, *sparse.behind))


def _unseen(id: PointSetId, count: int) -> PointSet:
    return PointSet(id, np.zeros((count, 2), np.float32), np.ones(count, np.float32), np.zeros(count, bool))
