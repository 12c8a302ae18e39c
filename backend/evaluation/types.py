"""The type that every measure takes: a sequence of meshes seen by a camera, by any tracker and in any topology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

REGIONS = ("face", "eyes", "nose", "mouth", "ears")
"""The regions of seeds/001 table 2, in its order."""
MOTION_REGIONS = (*REGIONS, "cheeks")
"""The regions whose motion is measured: cheeks, which have no landmarks, too."""


@dataclass(frozen=True, eq=False)
class MeshSequence:
    """T frames of one head mesh in camera space (OpenCV axes, metres) and the pinhole camera that sees it.

    ``vertices (T,V,3)`` float32, ``triangles (F,3)`` int32 counter-clockwise seen from outside, ``focal_px (T,)``,
    ``principal_point (2,)`` pixels, ``image_size`` (width, height). ``regions`` (truth only) names vertex sets (V,).
    ``neutral (V,3)`` is the person's neutral head in its own space, metres, where the tracker knows it. ``landmarks68``
    gives the iBUG-68 points as (triangle (68,), barycentric (68,3)) where they are known. ``tracked (T,)`` is False
    where the tracker has nothing to say; such a frame's vertices are NaN or held, and count as lost.
    A tracker without perspective (MediaPipe's mesh) has x and y such that the projection is its image position.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    focal_px: NDArray[np.float64]
    principal_point: NDArray[np.float64]
    image_size: tuple[int, int]
    frame_rate: float
    tracked: NDArray[np.bool_]
    regions: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    neutral: NDArray[np.float32] | None = None
    landmarks68: tuple[NDArray[np.int32], NDArray[np.float32]] | None = None

    @property
    def frame_count(self) -> int:
        return len(self.vertices)

    def image_positions(self) -> NDArray[np.float64]:
        """(T,V,2) pixels."""
        v = self.vertices.astype(np.float64)
        return v[..., :2] / v[..., 2:] * self.focal_px[:, None, None] + self.principal_point


@dataclass(frozen=True, eq=False)
class SeveralViews:
    """One synchronised frame of C cameras.

    ``mesh`` of one frame in the world, ``world_to_camera (C,3,4)`` = [R | t] in metres and ``focal_px (C,)``, NaN for
    views in which the tracker saw nothing. The world is any one, of any scale.
    """

    mesh: MeshSequence
    world_to_camera: NDArray[np.float64]
    focal_px: NDArray[np.float64]
