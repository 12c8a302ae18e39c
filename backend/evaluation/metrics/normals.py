"""Mean angular normal error after the chamfer distance's alignment (FaceScape's benchmark)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.metrics.chamfer import AlignedFrame, Spread, mean_over_frames, spread_by_region
from backend.evaluation.types import MeshSequence
from backend.head_model.render import vertex_normals

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NormalResult:
    """Angle between normals in degrees: per region, and ``vertex_error (V,)`` the mean of each truth vertex."""

    regions: Mapping[str, Spread]
    vertex_error: F64


def normal_error(truth: MeshSequence, predicted: MeshSequence, aligned: Sequence[AlignedFrame]) -> NormalResult:
    """Mean angle between the truth's normal and the predicted surface's at the closest point, degrees:

        NE = 1/|S| · Σ_{s ∈ S} arccos ⟨n_s, R n_{m(s)}⟩,   m(s) = argmin_{m ∈ M} ‖s − m‖₂

    with area-weighted vertex normals, interpolated at m(s), after ``chamfer.align_frames`` (rotation R). Source: the
    mean normal error of FaceScape's benchmark (Zhu et al. 2023), which compares the normals of rendered maps; here the
    closest points are compared, so that no projection has to be chosen.
    """
    angles = np.empty((len(aligned), truth.vertices.shape[1]))
    for row, item in zip(angles, aligned, strict=True):
        true_normals = vertex_normals(truth.vertices[item.frame], truth.triangles)
        normals = vertex_normals(predicted.vertices[item.frame], predicted.triangles)
        corners = normals[predicted.triangles[item.closest.triangle]]
        found = np.einsum("nk,nkc->nc", item.closest.barycentric, corners) @ item.motion.rotation.T
        row[:] = np.where(item.closest.triangle >= 0, angle_degrees(true_normals, found), np.nan)
    return NormalResult(spread_by_region(truth, angles), mean_over_frames(angles))


def angle_degrees(one: F64, other: F64) -> F64:
    """(N,) angles between vectors (N,3) of any length; exact for small angles too."""
    across = np.linalg.norm(np.cross(one, other), axis=1)
    return np.rad2deg(np.arctan2(across, np.einsum("nc,nc->n", one, other)))
