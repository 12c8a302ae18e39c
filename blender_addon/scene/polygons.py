"""A head's faces as Blender has them: quads where two triangles are one, triangles elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract

I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Polygons:
    """P faces of three or four corners, C corners in all, in the order of their first triangles."""

    start: I32  # (P,) each face's first corner
    vertex: I32  # (C,) into the head's vertices
    uv: I32  # (C,) into uv_vertices
    part: I32  # (P,) index into part_names

    @property
    def of_corner(self) -> I32:
        """(C,) the face of each corner."""
        return np.repeat(np.arange(len(self.start), dtype=np.int32), np.diff(self.start, append=len(self.vertex)))

    def middles(self, vertices: NDArray[np.float32]) -> NDArray[np.float64]:
        """(P,3) the mean of each face's corners among vertices (V,3)."""
        sums = np.add.reduceat(vertices[self.vertex].astype(np.float64), self.start)
        return np.asarray(sums / np.diff(self.start, append=len(self.vertex))[:, None])


def polygons_of(head: contract.HeadGeometry) -> Polygons:
    """The faces of a head; a pair of triangles that do not meet in an edge is left as two."""
    first, second, lone, apex = _sound(head)
    partner = np.full(len(head.triangles), -1, np.int32)
    partner[first] = np.arange(len(first), dtype=np.int32)
    kept = np.ones(len(head.triangles), np.bool_)
    kept[second] = False
    corners = np.full((len(head.triangles), 4), -1, np.int32)
    uvs = corners.copy()
    for out, source in ((corners, head.triangles), (uvs, head.uv_triangles)):
        out[:, :3] = source
        turned = source[first[:, None], (lone[:, None] + np.arange(3)) % 3]
        # from the corner that only the first half has, around it, by way of the one that only the second has
        out[first] = np.column_stack([turned[:, 0], turned[:, 1], source[second, apex], turned[:, 2]])
    corners, uvs = corners[kept], uvs[kept]
    there = corners >= 0
    start = np.cumsum(there.sum(axis=1)) - there.sum(axis=1)
    return Polygons(start.astype(np.int32), corners[there], uvs[there], head.triangle_part[kept].astype(np.int32))


def _sound(head: contract.HeadGeometry) -> tuple[I32, I32, NDArray[np.intp], NDArray[np.intp]]:
    """First and second triangle (Q,) of each quad, and the corner (Q,) in each that the other does not have."""
    first, second = head.quads[:, 0], head.quads[:, 1]
    same = head.triangles[first][:, :, None] == head.triangles[second][:, None, :]
    in_first, in_second = same.any(axis=2), same.any(axis=1)
    fits = (in_first.sum(axis=1) == 2) & (in_second.sum(axis=1) == 2)
    return first[fits], second[fits], in_first[fits].argmin(axis=1), in_second[fits].argmin(axis=1)
