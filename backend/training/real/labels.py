"""The weight of a real picture's labels: they are the first aligner's and the fit's guesses, not the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.head_model.model import HeadModel
from backend.training.atlas_points import AtlasPoints, atlas_points

DENSE = 0.3
"""Weight of a vertex that the fit placed, of what a rendered one would have."""
EARS = 0.1
"""The same on ears, where nothing but the identity basis tells the fit how they stand."""
GOOD_FIT, BAD_FIT = 0.02, 0.04
"""Mean reprojection errors over the inter-ocular distance: up to the first, a fit's vertices count fully.

From the second on they count not at all.
"""


@dataclass(frozen=True, eq=False)
class LabelWeights:
    """Weights of the P points of a picture."""

    points: AtlasPoints
    usual_sigma: float  # over the inter-ocular distance
    dense: NDArray[np.float32]  # (V,) of the vertices where the fit is good

    @classmethod
    def of(cls, head: HeadModel) -> LabelWeights:
        """For the open head. Eyeballs' and inner vertices weigh nothing: no landmark ties them to the picture."""
        points = atlas_points(head)
        share = np.where(head.regions["face"], DENSE, 0.0)
        share[head.regions["ears"]] = EARS
        share[~head.regions["skin"]] = 0.0
        sigma = float(np.median(load_point_sigma().sigma_fraction))
        return cls(points, sigma, (points.weight[: points.vertices] * share).astype(np.float32))

    def weights(
        self,
        sigma: NDArray[np.floating[Any]],
        valid: NDArray[np.bool_],
        inter_ocular_px: float,
        fit_error: float,
        *,
        dense: bool,
    ) -> NDArray[np.float32]:
        """Weights (P,) from the aligner's σ and the fit's error.

        ``sigma`` and ``valid`` (478,) are the aligner's, in pixels; the fit's error is over the inter-ocular distance.

        A point of the aligner counts λ · min(1, (σ₀/σ)²): fully up to the usual uncertainty σ₀ of a frontal face, less
        where points slide (jaw, outline), on the averted side and on small faces.
        """
        weight = np.zeros(len(self.points), np.float32)
        relative = np.maximum(np.asarray(sigma, np.float64) / max(inter_ocular_px, 1e-6), 1e-9)
        sure = np.minimum(1.0, (self.usual_sigma / relative) ** 2)
        weight[self.points.mediapipe] = self.points.weight[self.points.mediapipe] * sure * valid
        if dense:
            quality = np.clip((BAD_FIT - fit_error) / (BAD_FIT - GOOD_FIT), 0, 1)
            weight[: self.points.vertices] = self.dense * quality
        return weight
