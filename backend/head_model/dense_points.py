"""A dense point set of any head: its own vertices, thinned, for aligners that can find any point of the surface.

``load_head`` puts it among a head's landmarks under the name ``DENSE``. It follows from the head's arrays alone, so it
is not stored with the head and does not change its hash.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel, IntArray, SurfacePoints

DENSE = "dense"
DERIVED = (DENSE,)
"""Point sets that follow from a head's arrays and are not stored with it."""
MOST = 1200
"""Points at most: about 5 mm apart on the skin, 2.5 mm about eyes and lips.

More tell a smooth surface nothing new, and cost the fit in proportion.
"""

LID_POINTS = ((386, 374, 362, 263), (159, 145, 33, 133))
"""Per eye, the subject's left first, in mediapipe478: middles of the upper and the lower lid's edge, both corners."""
IRIS_POINTS = (range(473, 478), range(468, 473))
EYE_POINTS = (*LID_POINTS[0], *LID_POINTS[1], *IRIS_POINTS[0], *IRIS_POINTS[1])
"""Points of mediapipe478 that a dense set begins with: what tells closed lids and gaze."""

FACE_LAMBDA = 0.5
"""``vertex_weight`` above which a vertex belongs to face and ears (seeds/000 D.3: 1 there, 0.005 elsewhere)."""
_INSIDE = ("eye_sockets", "mouth_bag", "teeth", "tongue", "lashes")
_FINE = ("lids", "lips", "left_eyeball", "right_eyeball")
_FINER = 0.5  # spacing there, relative to elsewhere


def dense_points(head: HeadModel, most: int = MOST) -> SurfacePoints:
    """At most ``most`` points: ``EYE_POINTS`` where the head has mediapipe478, then vertices spread over the surface.

    Vertices of face, ears and eyeballs (λ = 1) that are seen from outside, chosen greedily each as far as possible from
    all before it (farthest point sampling, Eldar et al. 1997), distances counting double about eyes and lips. The same
    for the same head on any machine.
    """
    eyes = _eye_points(head)
    owner, _ = _atlas_corners(head)
    count = 0 if eyes is None else len(eyes)
    vertices = vertex_points(head, spread_vertices(head, np.flatnonzero(outside(head) & (owner >= 0)), most - count))
    return vertices if eyes is None else joined_points(eyes, vertices)


def joined_points(*sets: SurfacePoints) -> SurfacePoints:
    """The points of all sets, set after set."""
    if len(sets) == 1:
        return sets[0]
    return SurfacePoints(
        np.concatenate([points.triangle for points in sets]).astype(np.int32),
        np.concatenate([points.barycentric for points in sets]),
    )


def vertex_points(head: HeadModel, vertices: NDArray[np.intp]) -> SurfacePoints:
    """Vertices (n,) that have a triangle each as surface points, on the side of a seam where ``uv`` has them."""
    owner, corner = _atlas_corners(head)
    barycentric = np.zeros((len(vertices), 3), np.float32)
    barycentric[np.arange(len(vertices)), corner[vertices]] = 1
    return SurfacePoints(owner[vertices], barycentric)


def has_eye_points(head: HeadModel) -> bool:
    """True where the head's dense set begins with ``EYE_POINTS``."""
    return _eye_points(head) is not None


def with_dense_points(head: HeadModel) -> HeadModel:
    """The head with its dense set among the landmarks."""
    return replace(head, landmarks={**head.landmarks, DENSE: dense_points(head)})


def atlas_nu(head: HeadModel, points: SurfacePoints) -> NDArray[np.float32]:
    """ν (N,2) of surface points: their places in the canonical atlas, [0,1] to the right and downwards.

    See seeds/001 eq. 1 and ``backend.training.atlas_points``.
    """
    corners = head.uv_vertices[head.uv_triangles[points.triangle]]
    uv = np.einsum("nk,nkc->nc", points.barycentric, corners)
    return np.column_stack([uv[:, 0], 1 - uv[:, 1]]).astype(np.float32)


def _eye_points(head: HeadModel) -> SurfacePoints | None:
    points = head.landmarks.get("mediapipe478")
    if points is None or len(points) != 478:
        return None
    index = np.array(EYE_POINTS)
    return SurfacePoints(points.triangle[index], points.barycentric[index])


def outside(head: HeadModel) -> NDArray[np.bool_]:
    """(V,) vertices of face, ears and eyeballs that are seen from outside."""
    seen = head.vertex_weight > FACE_LAMBDA
    parts = [head.regions[name] for name in ("skin", "left_eyeball", "right_eyeball") if name in head.regions]
    if parts:
        seen &= np.any(parts, axis=0)
    for name in _INSIDE:
        if name in head.regions:
            seen &= ~head.regions[name]
    return seen


def _atlas_corners(head: HeadModel) -> tuple[IntArray, NDArray[np.int64]]:
    """For each vertex a triangle (V,), -1 where it has none, and a corner of it (V,).

    It is the corner nearest to where ``uv`` says: on that side of a seam.
    """
    miss = np.abs(head.uv_vertices[head.uv_triangles] - head.uv[head.triangles]).max(axis=2).ravel()
    worst_first = np.argsort(-miss, kind="stable")  # of several that are written, the last one stays
    owner = np.full(head.vertex_count, -1, np.int32)
    corner = np.zeros(head.vertex_count, np.int64)
    vertex = head.triangles.ravel()[worst_first]
    owner[vertex], corner[vertex] = worst_first // 3, worst_first % 3
    return owner, corner


def spread_vertices(head: HeadModel, candidates: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """At most ``count`` of the vertices ``candidates``, well spread, ascending.

    Each is as far as possible from all before it, lips and eyes counting double.
    """
    if len(candidates) <= count:
        return candidates
    place = head.template[candidates].astype(np.float64)
    fine = np.zeros(head.vertex_count, bool)
    for name in _FINE:
        if name in head.regions:
            fine |= head.regions[name]
    spacing = np.where(fine[candidates], _FINER, 1.0)
    chosen = np.empty(count, np.intp)
    chosen[0] = int(place[:, 2].argmax())
    distance = np.full(len(candidates), np.inf)
    for i in range(1, count):
        step = np.linalg.norm(place - place[chosen[i - 1]], axis=1) / spacing
        distance = np.minimum(distance, step)
        chosen[i] = int(distance.argmax())
    return candidates[np.sort(chosen)]
