"""Two aligners' points as one set: each tells what it sees best, and the fit weighs all by their σ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.alignment.types import Aligner, Alignment, FaceBox
from backend.head_model.dense_points import COMBINED, DENSE
from backend.head_model.model import HeadModel

SPARSE = "mediapipe478"


class CombinedAligner:
    """Implements ``Aligner`` with the network's points, then MediaPipe's.

    The network looks first: the box of its answer leads back to its own crop in the next frame, and MediaPipe finds
    its crop from any. A frame in which one of the two sees no face is told by the other alone. Not safe to call from
    two threads at once.
    """

    name = "combined"
    landmarks = COMBINED

    def __init__(self, dense: Aligner, sparse: Aligner, head: HeadModel, dense_sigma_scale: float) -> None:
        """``dense`` finds ``head.landmarks["dense"]``, ``sparse`` those of ``SPARSE``. ``dense_sigma_scale`` multiplies
        the
        σ of ``dense``: its points are many and err together, and the fit takes each for a witness of its own."""
        if (dense.landmarks, sparse.landmarks) != (DENSE, SPARSE):
            raise ValueError(f"cannot combine points of {dense.landmarks} and {sparse.landmarks}")
        self._dense, self._sparse, self._sigma_scale = dense, sparse, dense_sigma_scale
        self._counts = len(head.landmarks[DENSE]), len(head.landmarks[SPARSE])

    def align(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[FaceBox | None]) -> list[Alignment | None]:
        """Alignments of the face in each RGB image (H,W,3); None where the box is None or neither sees a face."""
        dense = self._dense.align(images, boxes)
        known = [box if seen is None else seen.box for box, seen in zip(boxes, dense, strict=True)]
        return [self._joined(a, b) for a, b in zip(dense, self._sparse.align(images, known), strict=True)]

    def _joined(self, dense: Alignment | None, sparse: Alignment | None) -> Alignment | None:
        """MediaPipe tells closed lids the better where it sees the face."""
        first, second = dense or sparse, sparse or dense
        if first is None or second is None:
            return None
        mu = [np.zeros((count, 2), np.float32) for count in self._counts]
        sigma = [np.ones(count, np.float32) for count in self._counts]
        valid = [np.zeros(count, bool) for count in self._counts]
        for part, (seen, sigma_scale) in enumerate(((dense, self._sigma_scale), (sparse, 1.0))):
            if seen is not None:
                mu[part], sigma[part], valid[part] = seen.mu, seen.sigma * np.float32(sigma_scale), seen.valid
        return Alignment(
            landmarks=self.landmarks,
            mu=np.concatenate(mu),
            sigma=np.concatenate(sigma),
            valid=np.concatenate(valid),
            box=first.box,
            lids_closed=second.lids_closed,
        )
