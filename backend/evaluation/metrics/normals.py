"""Mean angular normal error after the chamfer distance's alignment (FaceScape's benchmark)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.metrics.chamfer import AlignedFrame, Spread, mean_over_frames, spread_by_region
from backend.evaluation.types import MeshSequence
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NormalResult:
    """Angle between normals in degrees: per region, and ``vertex_error (V,)`` the mean of each truth vertex."""

    regions: Mapping[str, Spread]
    vertex_error: F64


def normal_error(truth: MeshSequence, predicted: MeshSequence, aligned: Sequence[AlignedFrame]) -> NormalResult:
    """Mean angle between the truth's normal and the predicted surface's at the closest point, degrees:

        NE = 1/|S| · Σ_{s ∈ S} arccos ⟨n_s, R n_{m(s)}⟩,   m(s) = argmin_{m ∈ M, ⟨n_s, R n_m⟩ > 0} ‖s − m‖₂

    with area-weighted vertex normals, interpolated at m(s), after ``chamfer.align_frames`` (rotation R). Source: the
    mean normal error of FaceScape's benchmark (Zhu et al. 2023), which compares the normals of rendered maps. Here the
    closest points are compared, so that no projection has to be chosen; as maps never show what faces away, triangles
    that face the other way than n_s do not count: where two surfaces nearly touch, as lips, lids and nostrils do, the
    closest of all is often the other one. A vertex with no such triangle at all is left out.
    """
    angles = np.full((len(aligned), truth.vertices.shape[1]), np.nan)
    for row, item in zip(angles, aligned, strict=True):
        vertices = predicted.vertices[item.frame]
        true_normals = vertex_normals(truth.vertices[item.frame], truth.triangles) @ item.motion.rotation
        triangle, weights = item.closest.triangle.copy(), item.closest.barycentric.copy()
        surface = MeshSurface(vertices, predicted.triangles)
        facing = np.einsum("nc,nc->n", surface.normals[triangle], true_normals)
        other = np.flatnonzero((triangle >= 0) & (facing <= 0))
        away = item.motion.undo(truth.vertices[item.frame, other])
        again = surface.closest(away, surface.facing(true_normals[other]))
        triangle[other], weights[other] = again.triangle, again.barycentric
        normals = vertex_normals(vertices, predicted.triangles)[predicted.triangles[triangle]]
        found = np.einsum("nk,nkc->nc", weights, normals)
        row[:] = np.where(triangle >= 0, angle_degrees(true_normals, found), np.nan)
    return NormalResult(spread_by_region(truth, angles), mean_over_frames(angles))


def angle_degrees(one: F64, other: F64) -> F64:
    """(N,) angles between vectors (N,3) of any length; exact for small angles too."""
    across = np.linalg.norm(np.cross(one, other), axis=1)
    return np.rad2deg(np.arctan2(across, np.einsum("nc,nc->n", one, other)))
