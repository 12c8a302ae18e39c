"""Eyebrows as geometry for a scene: two ribbons on the skin where the head's painted brows are.

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
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.head_model.render import vertex_normals

ALONG, ACROSS = 15, 5
LIFT_MM, SUNK_MM = 1.4, 0.6
"""How far the middle of a ribbon stands off the skin, as short hair does, and how deep its rim lies beneath it."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Brows:
    """Vertices (N) of both ribbons as points of the skin, metres to lift each, and their faces, left ribbon first."""

    points: SurfacePoints
    lift: NDArray[np.float32]  # (N,) metres along the skin's normal
    triangles: NDArray[np.int32]  # (2M,3) into the N vertices, counter-clockwise seen from outside
    quads: NDArray[np.int32]  # (M,2) into triangles

    def positions(self, head: HeadModel, neutral: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Where the vertices (N,3) of a person's brows are, whose neutral is (V,3); metres, head space."""
        normals = self.carried(head, vertex_normals(neutral, head.triangles))
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return (self.carried(head, neutral) + self.lift[:, None] * normals).astype(np.float32)

    def carried(self, head: HeadModel, values: NDArray[Any]) -> NDArray[Any]:
        """Values (V,…) of the head's vertices at these (N,…)."""
        corners = values[head.triangles[self.points.triangle]]
        return np.asarray(np.einsum("nk,nk...->n...", self.points.barycentric, corners))


def brows_of(head: HeadModel) -> Brows | None:
    """The brows of a head that lies in the canonical atlas; None for any other."""
    if head.id != "open" and REGISTERED not in head.provenance:
        return None
    places, size = _places()
    points = _at(places, head.uv_vertices[head.uv_triangles].astype(np.float64))
    apart = [head.joints(head.template)[k] for k in (3, 4)]
    scale = float(np.linalg.norm(apart[0] - apart[1])) / 60.2e-3
    triangles, quads = _faces()
    return Brows(points, (size * scale).astype(np.float32), triangles, quads)


@lru_cache(maxsize=1)
def _places() -> tuple[F64, F64]:
    """The atlas places (N,2) of the ribbons' vertices, and how far each is lifted, in metres."""
    head = load_head("open")
    x, middle, half = brow_outline(ALONG)
    across = np.linspace(-1, 1, ACROSS)
    y = middle[:, None] + half[:, None] * across
    round_off = np.sqrt(np.clip(1 - across**2, 0, 1))[None] * np.sin(np.pi * np.linspace(0, 1, ALONG))[:, None] ** 0.3
    lift = (LIFT_MM * round_off - SUNK_MM * (round_off < 1e-6)) / 1000
    flat = np.stack([np.repeat(x, ACROSS), y.ravel()], axis=1)
    both = np.concatenate([flat, flat * (-1, 1)])
    outside = head.regions["face"][head.triangles].all(axis=1)
    corners = face_coordinates(head, head.template)[head.triangles]
    found = _at(both, corners[..., :2], np.where(outside, corners[..., 2].mean(axis=1), -np.inf))
    uv = np.einsum("nk,nkc->nc", found.barycentric, head.uv_vertices[head.uv_triangles[found.triangle]])
    return uv, np.tile(lift.ravel(), 2)


def _faces() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    k = np.arange((ALONG - 1) * ACROSS).reshape(-1, ACROSS)[:, :-1].ravel()
    left = np.stack([k, k + ACROSS, k + ACROSS + 1, k + 1], axis=1)
    right = (left + ALONG * ACROSS)[:, ::-1]
    quads = np.concatenate([left, right])
    triangles = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    return triangles.astype(np.int32), np.arange(len(triangles), dtype=np.int32).reshape(-1, 2)


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
