"""The skin of the face on which wrinkles are looked for, and how its surface lies in the atlas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.detail.tension import mesh_edges
from backend.detail.types import F32
from backend.head_model.appearance import brow_depth, canonical_face, lip_depth, scalp_share
from backend.head_model.dense_points import FACE_LAMBDA
from backend.head_model.model import HeadModel
from backend.head_model.render import vertex_normals
from backend.texture.skin_atlas import SkinAtlas, on_neck, skin_atlas

F64 = NDArray[np.float64]

LIPS_MM = (2.0, 4.0)
"""From the lips' outline: nothing is told nearer than the first, all from the second on. Lips are glossy and slide."""
LIPS_ACROSS_MM = 29.0
"""Half the width about the mouth in which lips are looked for."""
BROWS_MM = (1.0, 3.0)
"""The same from brows, whose hair is no depth."""
RIM_MM = 6.0
"""From the border of the region: it fades over so much, so that no step is left."""


@dataclass(frozen=True, eq=False)
class SkinPatch:
    """The part of an atlas that is looked at: the atlas's ``rows`` and ``columns``, symmetric about its middle.

    ``share (h,w)`` 0…1 how far each texel is skin that can wrinkle visibly; ``texel_mm`` a texel's width there, and
    ``symmetric`` whether the right half mirrors the left.
    """

    atlas: SkinAtlas
    rows: slice
    columns: slice
    share: F32
    texel_mm: float
    symmetric: bool

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The patch's part (h,w,…) of an atlas picture (S,S,…)."""
        return picture[self.rows, self.columns]

    def whole(self, part: F32) -> F32:
        """A map (h,w) as an atlas picture (S,S), 0 elsewhere."""
        picture = np.zeros((self.atlas.side, self.atlas.side), np.float32)
        picture[self.rows, self.columns] = part
        return picture

    def at(self, values: NDArray[Any]) -> F32:
        """Values (V,c) of vertices at the patch's texels (h,w,c)."""
        return np.asarray(self.cut(self.atlas.picture(values)), np.float32)


@lru_cache(maxsize=2)
def skin_patch(head: HeadModel, side: int) -> SkinPatch:
    """The patch of a head in an atlas of ``side`` texels."""
    atlas = skin_atlas(head, side)
    texel_mm = _texel_mm(head, side)
    face = canonical_face(head)
    bare = (head.vertex_weight >= FACE_LAMBDA) & ~on_neck(head)
    for name in ("ears", "lids"):
        bare &= ~head.regions.get(name, np.zeros(head.vertex_count, bool))
    near_face = atlas.picture(np.column_stack([bare, face, scalp_share(face)]))
    place = near_face[..., 1:4]
    skin = atlas.outer & (near_face[..., 0] > 0.99) & (near_face[..., 4] < 0.3)
    near_lips = np.abs(place[..., 0]) < LIPS_ACROSS_MM
    outside = np.where(near_lips, -lip_depth(place), LIPS_MM[1])
    skin &= outside > LIPS_MM[0]
    inside = cv2.distanceTransform(np.pad(skin.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1] * texel_mm
    share = np.clip(inside / RIM_MM, 0, 1)
    share *= _ramp(outside, LIPS_MM) * _ramp(-brow_depth(place), BROWS_MM) * atlas.outer
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    rim = min(int(columns[0]), side - 1 - int(columns[-1]))
    down, across = slice(int(rows[0]), int(rows[-1]) + 1), slice(rim, side - rim)
    return SkinPatch(atlas, down, across, share[down, across].astype(np.float32), texel_mm, atlas.symmetric)


@lru_cache(maxsize=4)
def edges_of(head: HeadModel) -> NDArray[np.int64]:
    """``mesh_edges`` of a head, which take longer to find than a picture's tension."""
    return mesh_edges(head)


def wrinkling(head: HeadModel) -> NDArray[np.bool_]:
    """(V,) the vertices of a face's skin."""
    return np.asarray((head.vertex_weight >= FACE_LAMBDA) & ~on_neck(head))


def _ramp(distance: NDArray[Any], reach: tuple[float, float]) -> NDArray[Any]:
    return np.clip((distance - reach[0]) / (reach[1] - reach[0]), 0, 1)


@lru_cache(maxsize=2)
def _frames_of(head: HeadModel) -> tuple[NDArray[np.intp], F64, sparse.csr_matrix]:
    """Triangles (F',) with an area in the atlas, the inverse (F',2,2) of their sides there, a mean at the vertices."""
    corners = (head.uv_vertices.astype(np.float64) * (1, -1) + (0, 1))[head.uv_triangles]
    sides = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
    area = np.linalg.det(sides)
    kept = np.flatnonzero(np.abs(area) > 1e-12)
    ends = head.triangles[kept].ravel()
    weight = np.repeat(np.abs(area[kept]), 3)
    mean = sparse.csr_matrix((weight, (ends, np.repeat(np.arange(len(kept)), 3))), (head.vertex_count, len(kept)))
    total = np.maximum(np.asarray(mean.sum(axis=1)).ravel(), 1e-20)
    return kept, np.linalg.inv(sides[kept]), sparse.diags(1 / total) @ mean


def slopes(head: HeadModel, vertices: NDArray[np.floating[Any]], side: int) -> tuple[F64, F64]:
    """Unit normals (V,3) of vertices (V,3), metres, and (V,3,2) what makes a slope on the surface of one in the atlas.

    The gradient along the surface of a map is the latter times its derivatives by column and row (texels of an atlas of
    ``side``): J (JᵀJ)⁻¹ of the surface's Jacobian J, the mean over a vertex's triangles.
    """
    kept, inverse, mean = _frames_of(head)
    points = np.asarray(vertices, np.float64)[head.triangles[kept]]
    jacobian = (points[:, 1:] - points[:, :1]).transpose(0, 2, 1) @ inverse / side  # metres per texel
    normals = vertex_normals(vertices, head.triangles)
    across = (mean @ jacobian.reshape(len(kept), 6)).reshape(-1, 3, 2)
    across -= normals[:, :, None] * np.einsum("vc,vck->vk", normals, across)[:, None]
    square = across.transpose(0, 2, 1) @ across
    square += (1e-6 * np.trace(square, axis1=1, axis2=2)[:, None, None] + 1e-20) * np.eye(2)
    return normals, across @ np.linalg.inv(square)


def _texel_mm(head: HeadModel, side: int) -> float:
    """The usual width of a texel on the face of the template, millimetres."""
    points = head.template[head.triangles].astype(np.float64)
    corners = (head.uv_vertices.astype(np.float64) * side)[head.uv_triangles]
    real = np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1)
    flat = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    face = wrinkling(head)[head.triangles].all(axis=1) & (flat > 1e-9)
    return float(1e3 * np.sqrt(np.median(real[face] / flat[face])))
