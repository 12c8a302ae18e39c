"""The canonical atlas as a grid of texels: what surface point each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel


@dataclass(frozen=True, eq=False)
class AtlasTexels:
    """The n texels of an atlas picture (side,side) that some triangle covers; row 0 is the atlas's top (v = 1)."""

    side: int
    rows: NDArray[np.intp]  # (n,)
    columns: NDArray[np.intp]  # (n,)
    triangle: NDArray[np.int32]  # (n,) of HeadModel.triangles
    barycentric: NDArray[np.float64]  # (n,3)

    @classmethod
    def of(cls, head: HeadModel, side: int, drawn: NDArray[np.bool_] | None = None) -> AtlasTexels:
        """The texels whose centres lie in a triangle of ``head``, or in one of those ``drawn (F,)``."""
        numbers = np.arange(len(head.triangles)) if drawn is None else np.flatnonzero(drawn)
        corners = (head.uv_vertices.astype(np.float64) * (1, -1) + (0, 1))[head.uv_triangles[numbers]] * side
        which, columns, rows = _near(corners, side)
        weights = _barycentric(np.column_stack([columns, rows]) + 0.5, corners, which)
        inside = weights.min(axis=1) >= 0
        # a centre on an edge that two triangles share is in both: the first one has it
        texel, first = np.unique((rows * side + columns)[inside], return_index=True)
        return cls(
            side, texel // side, texel % side, numbers[which[inside][first]].astype(np.int32), weights[inside][first]
        )

    @classmethod
    def drawn(cls, head: HeadModel, side: int) -> AtlasTexels:
        """The texels that OpenGL fills when it draws the atlas. Raises ``UserError`` ``no_opengl``."""
        from backend.head_model.render import HeadRenderer

        plane = head.uv_vertices.astype(np.float64) * [1, -1] + [0, 1]
        flat = np.pad(plane, ((0, 0), (0, 1)), constant_values=1.0)
        with HeadRenderer((side, side)) as renderer:
            seen = renderer.surface(
                flat, head.uv_triangles, focal_px=side, principal_point=(0.0, 0.0), world_to_camera=np.eye(3, 4)
            ).triangle
        rows, columns = np.nonzero(seen >= 0)
        triangle = seen[rows, columns]
        centre = np.stack([columns + 0.5, rows + 0.5], axis=1) / side
        weights = _barycentric(centre, plane[head.uv_triangles[triangle]], np.arange(len(rows)))
        return cls(side, rows, columns, triangle, weights)

    def on_surface(self, head: HeadModel, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values (V,…) of the head's vertices at each texel (n,…)."""
        return np.asarray(np.einsum("nk,nk...->n...", self.barycentric, values[head.triangles[self.triangle]]))

    def picture(self, values: NDArray[Any], fill: float = 0.0) -> NDArray[np.float32]:
        """Values (n,…) of the texels as a picture (side,side,…)."""
        image = np.full((self.side, self.side, *values.shape[1:]), fill, np.float32)
        image[self.rows, self.columns] = values
        return image


def sample(
    image: NDArray[np.generic], at: NDArray[np.floating[Any]], how: int = cv2.INTER_LINEAR
) -> NDArray[np.float64]:
    """Values (n,…) of a picture at pixels (n,2), its corner being (0,0); outside, its border goes on."""
    where = (np.asarray(at) - 0.5).astype(np.float32).reshape(-1, 1, 2)
    # OpenCV's maps are bounded by 32767 rows
    parts = [
        cv2.remap(image, chunk, None, how, borderMode=cv2.BORDER_REPLICATE)
        for chunk in np.split(where, range(30000, len(where), 30000))
    ]
    return np.concatenate(parts)[:, 0].astype(np.float64)


def cosine_of_sight(points: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) between a surface's normals (n,3) and the lines of sight to its points (n,3), camera space; 1 face on."""
    length = np.linalg.norm(normals, axis=1) * np.linalg.norm(points, axis=1)
    return np.asarray(-np.einsum("nc,nc->n", normals, points) / np.maximum(length, 1e-12))


def _near(corners: NDArray[np.float64], side: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Triangle (m,) of ``corners (F,3,2)``, in texels, with the column and row (m,) of a centre that it may hold."""
    low = np.clip(np.floor(corners.min(axis=1)).astype(np.intp), 0, side)
    size = np.clip(np.ceil(corners.max(axis=1)).astype(np.intp), 0, side) - low
    count = size.prod(axis=1)
    which = np.repeat(np.arange(len(corners)), count)
    place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    width = size[which, 0]
    return which, low[which, 0] + place % width, low[which, 1] + place // width


def _barycentric(
    points: NDArray[np.float64], corners: NDArray[np.float64], which: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Weights (m,3) of points (m,2) in the triangles ``which (m,)`` of ``corners (F,3,2)``; -1 in one without area."""
    origin, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    inverse = 1 / np.where(area == 0, np.inf, area)
    offset = points - origin[which]
    ab, ac, inverse = ab[which], ac[which], inverse[which]
    second = (offset[:, 0] * ac[:, 1] - offset[:, 1] * ac[:, 0]) * inverse
    third = (ab[:, 0] * offset[:, 1] - ab[:, 1] * offset[:, 0]) * inverse
    weights = np.column_stack([1 - second - third, second, third])
    weights[inverse == 0] = -1.0
    return weights
