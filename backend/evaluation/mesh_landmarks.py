"""The iBUG-68 points of a tracked mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]

OUTER_EYE_CORNERS = (36, 45)
NOSE_BASE = 33


def landmarks_px(mesh: MeshSequence) -> F64:
    """(T,68,2) image positions of a mesh's iBUG-68 points. Raises ValueError where it does not know them."""
    seen = landmarks_camera(mesh)
    return seen[..., :2] / seen[..., 2:] * mesh.focal_px[:, None, None] + mesh.principal_point


def landmarks_camera(mesh: MeshSequence) -> F64:
    """(T,68,3) camera-space positions of a mesh's iBUG-68 points. Raises ValueError where it does not know them."""
    if mesh.landmarks68 is None:
        raise ValueError("the mesh does not know its 68 landmarks")
    triangle, barycentric = mesh.landmarks68
    corners = mesh.vertices[:, mesh.triangles[triangle]].astype(np.float64)
    return np.einsum("nk,tnkc->tnc", barycentric, corners)
