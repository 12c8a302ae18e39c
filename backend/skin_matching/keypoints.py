"""The keypoints of skin that are matched: points of the head's surface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from backend.head_model.dense_points import atlas_nu, spread_vertices, vertex_points
from backend.head_model.model import HeadModel, SurfacePoints
from backend.skin_matching.unwrap import face_texels

MOST = 1200
"""Keypoints at most, about 5 mm apart: nearer ones share most of their windows."""
_FOLDED = ("lids",)  # skin there appears and disappears in folds
_COARSE = 256  # side of the atlas that tells which skin can be seen from outside at all


@dataclass(frozen=True, eq=False)
class Keypoints:
    """P keypoints of a head's skin. ``nu (P,2)`` are their places in the atlas, [0,1] to the right and downwards."""

    vertex: NDArray[np.intp]  # (P,) ascending
    points: SurfacePoints
    nu: NDArray[np.float64]


@lru_cache(maxsize=4)
def skin_keypoints(head: HeadModel, most: int = MOST) -> Keypoints:
    """At most ``most`` keypoints of ``head``; fewer are among more."""
    texels = face_texels(head, _COARSE)
    seen = np.zeros(head.vertex_count, bool)
    seen[head.triangles[np.unique(texels.triangle)]] = True
    for name in _FOLDED:
        if name in head.regions:
            seen &= ~head.regions[name]
    vertex = spread_vertices(head, np.flatnonzero(seen), most)
    points = vertex_points(head, vertex)
    return Keypoints(vertex, points, atlas_nu(head, points).astype(np.float64))
