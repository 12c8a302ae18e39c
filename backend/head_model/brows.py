"""Eyebrows as geometry: two ribbons on the skin where the head's painted brows are.

A head has no vertices of brows, and its faces are too large to colour some of them. Each point of a ribbon is a point
of the skin, so it moves with every shape, lifted off it along the neutral's normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import REGISTERED, brow_outline, face_coordinates
from backend.head_model.hair import Hair, at_points, atlas_places, eyes_and_scale
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, SurfacePoints
from backend.head_model.render import vertex_normals

PART = "brows"
ALONG, ACROSS = 15, 5
LIFT_MM, SUNK_MM = 1.4, 0.6
"""How far the middle of a ribbon stands off the skin, as short hair does, and how deep its rim lies beneath it."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Brows:
    """The brows of a head: points (N) of its skin, and how far each vertex stands off it, ``lift (N,)`` in mm."""

    head: HeadModel
    points: SurfacePoints
    lift: F64
    quads: NDArray[np.int32]  # (M,4)

    @classmethod
    def of(cls, head: HeadModel) -> Brows | None:
        """None for a head that does not lie in the canonical atlas."""
        if REGISTERED not in head.provenance and not np.array_equal(head.uv_vertices, load_head("open").uv_vertices):
            return None
        vertices, triangles = np.asarray(head.uv_vertices, np.float32), np.asarray(head.uv_triangles, np.int32)
        points = _in_atlas(vertices.tobytes(), triangles.tobytes())
        return cls(head, points, _places()[1], _quads())

    def on(self, vertices: NDArray[np.floating[Any]]) -> F64:
        """Where they are (N,3) on vertices (V,3), metres, wherever the head is."""
        _, scale = eyes_and_scale(self.head, vertices)
        normals = at_points(self.head, self.points, vertex_normals(vertices, self.head.triangles))
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return at_points(self.head, self.points, vertices) + scale * self.lift[:, None] * normals

    def places(self) -> F64:
        """The vertices' places (N,2) in the atlas."""
        return atlas_places(self.head, self.points)


def brow_hair(head: HeadModel, neutral: NDArray[np.float32]) -> Hair | None:
    """The brows of a person whose neutral is (V,3); None for a head that does not lie in the canonical atlas."""
    brows = Brows.of(head)
    if brows is None:
        return None
    points = brows.points
    return Hair(
        PART,
        brows.on(neutral).astype(np.float32),
        np.stack([at_points(head, points, delta) for delta in head.expression_basis]).astype(np.float32),
        at_points(head, points, head.skinning_weights).astype(np.float32),
        brows.places().astype(np.float32),
        brows.quads,
        np.ones(len(points), np.float32),
    )


@lru_cache(maxsize=1)
def _places() -> tuple[F64, F64]:
    """The atlas places (N,2) of both ribbons' vertices, the left one's first, and how far each is lifted, in mm."""
    head = load_head("open")
    x, middle, half = brow_outline(ALONG)
    across = np.linspace(-1, 1, ACROSS)
    y = middle[:, None] + half[:, None] * across
    round_off = np.sqrt(np.clip(1 - across**2, 0, 1))[None] * np.sin(np.pi * np.linspace(0, 1, ALONG))[:, None] ** 0.3
    lift = LIFT_MM * round_off - SUNK_MM * (round_off < 1e-6)
    flat = np.stack([np.repeat(x, ACROSS), y.ravel()], axis=1)
    both = np.concatenate([flat, flat * (-1, 1)])
    outside = head.regions["face"][head.triangles].all(axis=1)
    corners = face_coordinates(head, head.template)[head.triangles]
    found = _at(both, corners[..., :2], np.where(outside, corners[..., 2].mean(axis=1), -np.inf))
    uv = np.einsum("nk,nkc->nc", found.barycentric, head.uv_vertices[head.uv_triangles[found.triangle]])
    return uv, np.tile(lift.ravel(), 2)


@lru_cache(maxsize=4)
def _in_atlas(uv_vertices: bytes, uv_triangles: bytes) -> SurfacePoints:
    """The points of a head whose atlas has (U,2) float32 vertices and (F,3) int32 triangles: of all people the same."""
    vertices, triangles = np.frombuffer(uv_vertices, np.float32), np.frombuffer(uv_triangles, np.int32)
    return _at(_places()[0], vertices.reshape(-1, 2)[triangles.reshape(-1, 3)].astype(np.float64))


def _quads() -> NDArray[np.int32]:
    k = np.arange((ALONG - 1) * ACROSS).reshape(-1, ACROSS)[:, :-1].ravel()
    left = np.stack([k, k + ACROSS, k + ACROSS + 1, k + 1], axis=1)
    return np.concatenate([left, (left + ALONG * ACROSS)[:, ::-1]]).astype(np.int32)


def _at(places: F64, corners: F64, height: F64 | None = None) -> SurfacePoints:
    """Which triangle of ``corners (F,3,2)`` each place (N,2) is in, and where; the highest of several."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    usable = np.abs(area) > 1e-14
    if height is not None:
        usable &= np.isfinite(height)
    triangle = np.zeros(len(places), np.int32)
    weights = np.zeros((len(places), 3), np.float32)
    number = np.flatnonzero(usable)
    a, ab, ac, area = a[usable], ab[usable], ac[usable], area[usable]
    for n, place in enumerate(places):
        ap = place - a
        second = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area
        third = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area
        all_three = np.stack([1 - second - third, second, third], axis=1)
        least = all_three.min(axis=1)
        inside = np.flatnonzero(least >= -1e-9)
        # where none holds it, as in a torn corner of an atlas, the one that comes nearest
        best = int(least.argmax()) if not len(inside) else int(inside[0])
        if len(inside) and height is not None:
            best = int(inside[height[number[inside]].argmax()])
        clipped = np.clip(all_three[best], 0, None)
        triangle[n], weights[n] = number[best], clipped / clipped.sum()
    return SurfacePoints(triangle, weights)
