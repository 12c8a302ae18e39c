"""What grows on a head and is no part of its mesh: geometry of which each point is carried by points of the skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import EYE_DISTANCE_MM
from backend.head_model.model import JOINT_NAMES, HeadModel, SurfacePoints

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hair:
    """N vertices of a material slot ``part``, head space, metres, of one person."""

    part: str
    neutral: NDArray[np.float32]  # (N,3)
    deltas: NDArray[np.float32]  # (K,N,3) of each expression at 1
    weights: NDArray[np.float32]  # (N,J)
    places: NDArray[np.float32]  # (N,2) in the atlas
    quads: NDArray[np.int32]  # (M,4) corners among the N, counter-clockwise seen from outside
    light: NDArray[np.float32]  # (N,) the share of light that comes to each


def at_points(head: HeadModel, points: SurfacePoints, values: NDArray[Any]) -> NDArray[np.float64]:
    """Values (V,…) of the head's vertices at points (N) of its surface, (N,…)."""
    corners = values[head.triangles[points.triangle]]
    return np.asarray(np.einsum("nk,nk...->n...", points.barycentric, corners), np.float64)


def atlas_places(head: HeadModel, points: SurfacePoints) -> NDArray[np.float64]:
    """The places (N,2) of points of the head's surface in the atlas."""
    corners = head.uv_vertices[head.uv_triangles[points.triangle]]
    return np.asarray(np.einsum("nk,nkc->nc", points.barycentric, corners), np.float64)


def eyes_and_scale(head: HeadModel, vertices: NDArray[np.floating[Any]]) -> tuple[F64, float]:
    """The centres (2,3) of the left and the right eye of a head's vertices (V,3), and metres per mm of a mean face."""
    eyes = head.joints(vertices)[[JOINT_NAMES.index(name) for name in ("left_eye", "right_eye")]].astype(np.float64)
    return eyes, float(np.linalg.norm(eyes[0] - eyes[1])) / EYE_DISTANCE_MM
