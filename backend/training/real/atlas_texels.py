"""The canonical atlas as a grid of texels: what surface point each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.head_model.render import HeadRenderer


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
        """The texels of all triangles of ``head``, or of those ``drawn (F,)``. Raises UserError ``no_opengl``."""
        numbers = np.arange(len(head.triangles)) if drawn is None else np.flatnonzero(drawn)
        flat = np.pad(head.uv_vertices.astype(np.float64) * (1, -1) + (0, 1), ((0, 0), (0, 1)), constant_values=1.0)
        with HeadRenderer((side, side)) as renderer:
            seen = renderer.surface(
                flat,
                head.uv_triangles[numbers],
                focal_px=side,
                principal_point=(0.0, 0.0),
                world_to_camera=np.eye(3, 4),
            ).triangle
        rows, columns = np.nonzero(seen >= 0)
        triangle = numbers[seen[rows, columns]].astype(np.int32)
        corners = flat[head.uv_triangles[triangle], :2]
        edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=-1)
        offset = np.column_stack([columns + 0.5, rows + 0.5]) / side - corners[:, 0]
        weights = np.linalg.solve(edges, offset[..., None])[..., 0]
        return cls(side, rows, columns, triangle, np.column_stack([1 - weights.sum(axis=1), weights]))

    def on_surface(self, head: HeadModel, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values (V,…) of the head's vertices at each texel (n,…)."""
        return np.asarray(np.einsum("nk,nk...->n...", self.barycentric, values[head.triangles[self.triangle]]))

    def picture(self, values: NDArray[Any], fill: float = 0.0) -> NDArray[np.float32]:
        """Values (n,…) of the texels as a picture (side,side,…)."""
        image = np.full((self.side, self.side, *values.shape[1:]), fill, np.float32)
        image[self.rows, self.columns] = values
        return image
