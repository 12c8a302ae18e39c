"""δ_d (seeds/001 eq. 8): a person's static deformation beyond the identity basis, as a smooth random field.

The paper gives every vertex of a region three unknowns of its own. An aligner that speaks of a few hundred points would
pull single vertices out of the surface that way, so δ_d is a Gaussian process on the region (Lüthi et al. 2018): its
principal modes are further columns of the basis with a unit normal prior, which is E_deform. As ``length`` shrinks to
the distance of two vertices it becomes the paper's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from backend.errors import ErrorCode, UserError
from backend.head_model.model import HeadModel

# Modes per axis at most: more than the points that aligners see of a region can tell apart.
MAX_MODES = 90

# Share of the field's variance that the modes keep.
KEPT = 0.98


def region_mask(head: HeadModel, region: str) -> NDArray[np.bool_]:
    """(V,) vertices of a region that are skin; raises UserError ``deform_region`` for one that the head lacks."""
    if region not in head.regions:
        known = ", ".join(sorted(head.regions))
        raise UserError(ErrorCode.DEFORM_REGION, f"The head “{head.id}” has no region “{region}”; it has: {known}.")
    skin = head.regions.get("skin")
    return head.regions[region] & skin if skin is not None else head.regions[region]


@lru_cache(maxsize=4)
def deformation_modes(head: HeadModel, region: str, sigma: float, length: float) -> NDArray[np.float64]:
    """Modes (M,V,3) in metres, each with a unit normal prior; zero outside ``region`` and fading towards its border.

    ``sigma`` metres is the field's standard deviation well inside the region, ``length`` metres its correlation length.
    """
    inside = np.flatnonzero(region_mask(head, region))
    points = head.template[inside].astype(np.float64)
    outside = head.template[~region_mask(head, region)]
    border = np.clip(cKDTree(outside).query(points)[0] / length, 0.0, 1.0)
    fade = border**2 * (3 - 2 * border)
    covariance = np.exp(-cdist(points, points, "sqeuclidean") / (2 * length**2)) * fade[:, None] * fade
    count = min(MAX_MODES, len(inside))
    variance, vectors = eigh(covariance, subset_by_index=(len(inside) - count, len(inside) - 1))
    variance, vectors = variance[::-1], vectors[:, ::-1]
    kept = int(np.searchsorted(np.cumsum(variance), KEPT * np.trace(covariance))) + 1
    fields = (vectors * np.sqrt(np.maximum(variance, 0.0)))[:, :kept].T * sigma
    modes: NDArray[Any] = np.zeros((3 * len(fields), head.vertex_count, 3))
    for axis in range(3):
        modes[axis * len(fields) : (axis + 1) * len(fields), inside, axis] = fields
    return modes
