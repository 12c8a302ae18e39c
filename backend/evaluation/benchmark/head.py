"""A head that the benchmark renders, and how it moves: another topology and other people than the tracker's heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import SurfacePoints, gaze_rotation, surface_positions

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Int = NDArray[np.int32]
Bool = NDArray[np.bool_]

EYES = ("eyeball_left", "eyeball_right")

NECK_PIVOT = (0.0, -0.10, -0.01)
"""The point of the template, metres, about which the head turns on the shoulders."""

_HEAD_ABOVE, _SHOULDERS_BELOW = -0.106, -0.15  # y on the template, metres: rigid with the head, rigid with the trunk


@dataclass(frozen=True, eq=False)
class BenchmarkHead:
    """The drawn part of a head, in metres in the frame of ICT-FaceKit's template: +x subject's left, +y up, +z ahead.

    ``template (V,3)``, ``identity_basis (K_id,V,3)``, ``expression_basis (K_ex,V,3)``, ``triangles (F,3)``,
    ``corner_uv (F,3,2)`` in 0…1, v upwards, ``groups`` vertex masks (V,) by part,
    ``narrow_face (V,)`` without neck and back of the head, ``landmarks68`` iBUG's points on ``triangles``,
    ``follows_head (V,)`` 1 on the head and 0 on the shoulders, which stay where they are.
    """

    template: F32
    identity_basis: F32
    expression_basis: F32
    expression_names: tuple[str, ...]
    triangles: Int
    corner_uv: F32
    groups: dict[str, Bool]
    narrow_face: Bool
    landmarks68: SurfacePoints
    follows_head: F32

    @property
    def marks(self) -> F64:
        """iBUG's points (68,3) on the template, metres."""
        return surface_positions(self.landmarks68, self.triangles, self.template).astype(np.float64)

    @property
    def landmark_vertices(self) -> Int:
        """The vertex (68,) nearest to each of iBUG's points."""
        corners = self.triangles[self.landmarks68.triangle]
        nearest = self.landmarks68.barycentric.argmax(axis=1)
        return np.asarray(np.take_along_axis(corners, nearest[:, None], axis=1)[:, 0])

    def neutral(self, identity: NDArray[np.floating[Any]]) -> F32:
        """Neutral vertices (V,3) of a person with coefficients (K_id,)."""
        return self.template + np.einsum("k,kvc->vc", identity.astype(np.float32), self.identity_basis)


@dataclass(frozen=True, eq=False)
class FaceMotion:
    """The motion of a face at n times.

    ``expression (n,K)`` in 0…1; ``gaze (n,2,2)`` (left, right) × (yaw, pitch) radians in the head; ``rotation (n,3,3)``
    and ``translation (n,3)`` from head space to camera space, metres; ``trunk_rotation (3,3)`` and
    ``trunk_translation (3,)`` the same for the shoulders.
    """

    expression: F32
    gaze: F32
    rotation: F64
    translation: F64
    trunk_rotation: F64
    trunk_translation: F64


def follows_head(template: NDArray[np.floating[Any]]) -> F32:
    """1 (V,) where the head takes the vertices of a template, 0 on the shoulders, smooth between."""
    share = np.clip((template[:, 1] - _SHOULDERS_BELOW) / (_HEAD_ABOVE - _SHOULDERS_BELOW), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def eye_centre(neutral: NDArray[np.floating[Any]], eye: Bool) -> F64:
    """Centre (3,) of the sphere through an eye's vertices, by least squares."""
    points = neutral[eye].astype(np.float64)
    matrix = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(matrix, (points**2).sum(axis=1), rcond=None)[0][:3]


def camera_vertices(neutral: F32, basis: F32, eyes: tuple[Bool, Bool], follows_head: F32, motion: FaceMotion) -> F32:
    """Vertices (n,V,3) in camera space: expressions are added, each eye turns about its centre, then the head moves.

    ``basis (K,V,3)``; ``follows_head (V,)`` blends between where the head and where the trunk takes a vertex.
    """
    active = np.flatnonzero(motion.expression.any(axis=0))
    flat = basis[active].reshape(len(active), neutral.size)
    vertices = (motion.expression[:, active] @ flat).reshape(len(motion.expression), *neutral.shape) + neutral
    for side, eye in enumerate(eyes):
        centre = eye_centre(neutral, eye).astype(np.float32)
        turn = gaze_rotation(motion.gaze[:, side]).astype(np.float32)
        vertices[:, eye] = (vertices[:, eye] - centre) @ turn.transpose(0, 2, 1) + centre
    placed = vertices @ motion.rotation.astype(np.float32).transpose(0, 2, 1)
    placed += motion.translation[:, None].astype(np.float32)
    below = np.flatnonzero(follows_head < 1)
    still = vertices[:, below] @ motion.trunk_rotation.T.astype(np.float32) + motion.trunk_translation.astype(
        np.float32
    )
    placed[:, below] += (1 - follows_head[below])[:, None] * (still - placed[:, below])
    return np.asarray(placed, np.float32)
