"""What a take's wrinkles are in one frame: a displacement map, and a normal map for the smooth head. Pure numerics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.detail.tension import mesh_edges, tension
from backend.detail.types import Wrinkles
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.model import HeadModel

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bake:
    """A person's wrinkles on the texels of the atlas: ``maps (n,3)`` are base, stretch and compression, metres."""

    head: HeadModel
    neutral: F32
    edges: NDArray[np.int64]
    texels: AtlasTexels
    maps: F64

    @classmethod
    def of(cls, head: HeadModel, neutral: F32, wrinkles: Wrinkles) -> Bake:
        """``neutral (V,3)`` is the person's, metres."""
        texels = AtlasTexels.of(head, wrinkles.side)
        stacked = np.stack([wrinkles.base, wrinkles.stretch, wrinkles.compression], axis=2)
        return cls(head, neutral, mesh_edges(head), texels, stacked[texels.rows, texels.columns].astype(np.float64))

    def displacement(self, posed: NDArray[np.floating[Any]]) -> F32:
        """The map (S,S) in metres of a posed head (V,3); 0 where the atlas is empty."""
        strain = self.texels.on_surface(self.head, tension(posed, self.neutral, self.edges))
        depth = self.maps[:, 0] + self.maps[:, 1] * np.maximum(strain, 0) + self.maps[:, 2] * np.maximum(-strain, 0)
        return self.texels.picture(depth)

    def normals(self, posed: NDArray[np.floating[Any]], displacement: F32) -> F32:
        """Normals (S,S,3) in the tangent space of a posed head: x along growing u, y along growing v, z outwards.

        Of a surface that is moved by D along its normal, that is (−∂D/∂x, −∂D/∂y, 1) to first order, x and y in
        metres along the tangents; (0,0,1) where the atlas is empty.
        """
        along_u, along_v = self._tangents(posed)
        steps = _slopes(displacement, self.texels)
        length = np.linalg.norm(along_u, axis=1)
        tangent = along_u / np.maximum(length, 1e-9)[:, None]
        shear = np.einsum("nc,nc->n", along_v, tangent)
        height = np.linalg.norm(along_v - shear[:, None] * tangent, axis=1)
        slope_x = steps[:, 0] / np.maximum(length, 1e-9)
        slope_y = (steps[:, 1] - shear * slope_x) / np.maximum(height, 1e-9)
        normal = np.stack([-slope_x, -slope_y, np.ones_like(slope_x)], axis=1)
        normal[(length < 1e-9) | (height < 1e-9)] = (0.0, 0.0, 1.0)
        picture = self.texels.picture(normal / np.linalg.norm(normal, axis=1, keepdims=True))
        picture[..., 2] += ~self.texels.picture(np.ones(len(normal))).astype(np.bool_)
        return picture

    def _tangents(self, posed: NDArray[np.floating[Any]]) -> tuple[F64, F64]:
        """(n,3) twice: how the surface goes on at each texel with u and with v, metres for the whole atlas.

        Of an atlas vertex, the mean over its triangles by their areas in the atlas.
        """
        corners = np.asarray(posed, np.float64)[self.head.triangles]
        places = self.head.uv_vertices.astype(np.float64)[self.head.uv_triangles]
        one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        first, second = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
        area = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])[:, None]
        sign = np.sign(area)  # times the area, by which the mean is weighted
        by_u = sign * (one * second[:, 1:] - two * first[:, 1:])
        by_v = sign * (two * first[:, :1] - one * second[:, :1])
        total = np.zeros((len(self.head.uv_vertices), 7))
        for corner in self.head.uv_triangles.T:
            np.add.at(total, corner, np.concatenate([by_u, by_v, np.abs(area)], axis=1))
        mean = total[:, :6] / np.maximum(total[:, 6:], 1e-12)
        found = np.einsum("nk,nkc->nc", self.texels.barycentric, mean[self.head.uv_triangles[self.texels.triangle]])
        return found[:, :3], found[:, 3:]


def _slopes(picture: F32, texels: AtlasTexels) -> F64:
    """(n,2) by how much a map grows along u and along v at its texels, for the whole atlas.

    From one neighbour to the other, or from the texel itself to the one neighbour that there is.
    """
    side = texels.side
    there = np.zeros((side + 2, side + 2), np.bool_)
    there[texels.rows + 1, texels.columns + 1] = True
    padded = np.pad(picture.astype(np.float64), 1)
    row, column = texels.rows + 1, texels.columns + 1
    found = np.zeros((len(row), 2))
    for axis, (down, right) in enumerate(((0, 1), (-1, 0))):  # v grows upwards
        ahead, behind = (row + down, column + right), (row - down, column - right)
        last = np.where(there[ahead], padded[ahead], padded[row, column])
        first = np.where(there[behind], padded[behind], padded[row, column])
        count = there[ahead].astype(int) + there[behind]
        found[:, axis] = (last - first) * side / np.maximum(count, 1)
    return found
