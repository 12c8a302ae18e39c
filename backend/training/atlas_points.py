"""The points whose places in the image the network is taught: the open head's vertices and MediaPipe's points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel, surface_positions


@dataclass(frozen=True, eq=False)
class AtlasPoints:
    """P points of the canonical atlas: the open head's V vertices first, then the 478 points of ``mediapipe478``.

    ``nu (P,2)`` are ν of eq. 1 as image-like coordinates: [0,1] to the right and *downwards* (the atlas's own v points
    up), so that flow zero lays the atlas over the crop upright. ``weight (P,)`` is λ (seeds/000 D.3).
    """

    nu: NDArray[np.float32]
    weight: NDArray[np.float32]
    vertices: int  # V

    def __len__(self) -> int:
        return len(self.nu)

    @property
    def mediapipe(self) -> slice:
        """MediaPipe's points among the P."""
        return slice(self.vertices, len(self.nu))


def atlas_points(head: HeadModel) -> AtlasPoints:
    """The points of ``head``, which must be the open head: its triangles carry MediaPipe's points in the atlas."""
    landmarks = head.landmarks["mediapipe478"]
    corners = head.uv_vertices[head.uv_triangles[landmarks.triangle]]
    uv = np.concatenate([head.uv, np.einsum("nk,nkc->nc", landmarks.barycentric, corners)])
    weight = np.concatenate([head.vertex_weight, np.ones(len(landmarks), np.float32)])
    return AtlasPoints(
        nu=np.column_stack([uv[:, 0], 1 - uv[:, 1]]).astype(np.float32),
        weight=weight.astype(np.float32),
        vertices=head.vertex_count,
    )


def with_landmarks(head: HeadModel, vertices: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """All P points (P,3) from the open head's vertices (V,3) in any space."""
    vertices = np.asarray(vertices, np.float64)
    return np.concatenate([vertices, surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)])
