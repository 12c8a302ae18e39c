"""The open head's landmark embedding on another head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder.landmarks import (
    IBUG68_FROM_MEDIAPIPE,
    LEFT_IRIS,
    LOWER_LIP,
    MOUTH_CORNERS,
    RIGHT_IRIS,
    UPPER_LIP,
    lower_jaw,
)
from backend.head_model.model import BoolArray, HeadModel, IntArray, SurfacePoints
from backend.head_model.registration.correspondence import Correspondence
from backend.head_model.registration.face_points import sphere_centre
from backend.head_model.registration.parts import Parts
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]
Group = tuple[NDArray[np.int64], BoolArray, BoolArray | None]


def carry_landmarks(
    vertices: F64,
    triangles: IntArray,
    parts: Parts,
    mouth: BoolArray,
    open_head: HeadModel,
    match: Correspondence,
) -> dict[str, SurfacePoints]:
    """``mediapipe478`` and ``ibug68`` on ``vertices (V,3)``, each point on its own lip, the outer skin or its eyeball.

    ``mouth (V,)`` is the region around the lips.
    """
    groups = _groups(triangles, parts, mouth, open_head, match)
    nearest = {"mediapipe478": np.arange(478), "ibug68": np.array(IBUG68_FROM_MEDIAPIPE)}
    return {
        name: _carried(open_head.landmarks[name], kind, groups, vertices, triangles, open_head, match)
        for name, kind in nearest.items()
    }


def _carried(
    points: SurfacePoints,
    kind: NDArray[np.int64],
    groups: Sequence[Group],
    vertices: F64,
    triangles: IntArray,
    open_head: HeadModel,
    match: Correspondence,
) -> SurfacePoints:
    """The open head's ``points`` on ``vertices (V,3)``, each on the part where MediaPipe's point ``kind (n,)`` lies."""
    own = open_head.triangles[points.triangle]
    position = np.einsum("nk,nkc->nc", points.barycentric, match.bent[own])
    facing = np.einsum("nk,nkc->nc", points.barycentric, vertex_normals(match.bent, open_head.triangles)[own])
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    triangle = np.zeros(len(points), np.int32)
    barycentric = np.zeros((len(points), 3), np.float32)
    for landmarks, allowed, ball in groups:
        index = np.flatnonzero(np.isin(kind, landmarks))
        if not len(index):
            continue
        wanted = position[index] if ball is None else _out_to(vertices[ball], position[index])
        surface = MeshSurface(vertices, triangles, allowed)
        foot = surface.closest_nearby(wanted, facing[index])
        triangle[index], barycentric[index] = foot.triangle, foot.barycentric
    return SurfacePoints(triangle, barycentric)


def _groups(
    triangles: IntArray, parts: Parts, mouth: BoolArray, open_head: HeadModel, match: Correspondence
) -> list[Group]:
    """MediaPipe's landmarks, the triangles (F,) they may lie on, and the eyeball (V,) they belong to if any."""
    outer = parts.inside("outer", triangles)
    lower = match.carried(lower_jaw(open_head).astype(np.float64), open_head) > 0.5
    around = mouth[triangles].all(axis=1) & outer
    lips = (
        (UPPER_LIP, around & (~lower)[triangles].all(axis=1)),
        (LOWER_LIP, around & lower[triangles].all(axis=1)),
        (MOUTH_CORNERS, around),
    )
    groups: list[Group] = [
        (np.array(landmarks), allowed if allowed.any() else outer, None) for landmarks, allowed in lips
    ]
    for landmarks, name in ((RIGHT_IRIS, "right_eyeball"), (LEFT_IRIS, "left_eyeball")):
        on_eye = parts.inside(name, triangles)
        groups.append((np.array(landmarks), on_eye if on_eye.any() else outer, parts[name] if on_eye.any() else None))
    rest = np.setdiff1d(np.arange(478), np.concatenate([landmarks for landmarks, _, _ in groups]))
    return [*groups, (rest, outer, None)]


def _out_to(ball: F64, points: F64) -> F64:
    """Points (n,3) near an eyeball (m,3) moved out from its centre, onto whatever bulges there."""
    centre = sphere_centre(ball)
    offset = points - centre
    directions = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    around = ball - centre
    reach = np.linalg.norm(around, axis=1)
    nearest = (directions @ (around / reach[:, None]).T).argmax(axis=1)
    return np.asarray(centre + directions * reach[nearest][:, None])
