"""A z-buffer in plain numpy, which gives each pixel's surface point of a mesh; it needs no OpenGL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_CHUNK_PAIRS = 4_000_000


@dataclass(frozen=True, eq=False)
class Raster:
    """The surface points that the sampled pixels show.

    ``triangle (h,w)`` int32, -1 where there is nothing; ``barycentric (h,w,3)`` the weights of the triangle's corners
    in camera space (perspective-correct), 0 where there is nothing. Sample (row j, column i) is the centre of pixel
    (i·stride, j·stride): image position ``(i·stride + 0.5, j·stride + 0.5)``.
    """

    triangle: NDArray[np.int32]
    barycentric: F64
    stride: int

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(h,w) where the mesh is seen."""
        return self.triangle >= 0

    def positions(self) -> F64:
        """(h,w,2) image positions of the samples, pixels."""
        rows, columns = np.indices(self.triangle.shape)
        return np.stack([columns, rows], axis=-1) * float(self.stride) + 0.5


def rasterise(
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    *,
    focal_px: float,
    principal_point: NDArray[np.floating[Any]],
    image_size: tuple[int, int],
    stride: int = 1,
) -> Raster:
    """The nearest surface point behind each sampled pixel's centre; ``vertices (V,3)`` in camera space, metres.

    Both sides of a triangle are seen. Triangles with a corner at or behind the camera, or not finite, are left out.
    Depth is compared as 1/z, which is linear in the image. Raises ValueError for a stride below 1.
    """
    if stride < 1:
        raise ValueError(f"stride is {stride}, at least 1 is expected")
    shape = (-(-image_size[1] // stride), -(-image_size[0] // stride))
    points = np.asarray(vertices, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_depth = 1.0 / points[:, 2]
        image = points[:, :2] * inverse_depth[:, None] * focal_px + np.asarray(principal_point, np.float64)
    grid = (image - 0.5) / stride  # the samples are the whole numbers
    usable = np.isfinite(grid).all(axis=1) & (points[:, 2] > 0)
    kept = np.flatnonzero(usable[triangles].all(axis=1))
    corners = grid[triangles[kept]]
    nearest = np.zeros(shape[0] * shape[1])
    chosen = np.full(nearest.shape, -1, np.int32)
    weights = np.zeros((len(nearest), 3))
    corner_inverse = inverse_depth[triangles[kept]]
    for pair_triangle, column, row in _pairs(corners, shape):
        barycentric, inside = _image_weights(corners, pair_triangle, column, row)
        hit = np.flatnonzero(inside)
        local = pair_triangle[hit]
        scaled = barycentric[hit] * corner_inverse[local]
        closeness = scaled.sum(axis=1)
        pixel = row[hit] * shape[1] + column[hit]
        np.maximum.at(nearest, pixel, closeness)
        won = np.flatnonzero(closeness >= nearest[pixel])
        chosen[pixel[won]] = local[won]
        weights[pixel[won]] = scaled[won] / closeness[won, None]
    seen = chosen >= 0
    chosen[seen] = kept[chosen[seen]]
    return Raster(chosen.reshape(shape), weights.reshape(*shape, 3), stride)


def _pairs(
    corners: F64, shape: tuple[int, int]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """Every triangle with every sample in its bounding box, as (triangle, column, row), a few million at a time."""
    limit = np.array([shape[1], shape[0]], np.float64) - 1
    low = np.clip(np.ceil(corners.min(axis=1)), 0, limit + 1).astype(np.intp)
    high = np.clip(np.floor(corners.max(axis=1)), -1, limit).astype(np.intp)
    extent = np.maximum(high - low + 1, 0)
    count = extent[:, 0] * extent[:, 1]
    some = np.flatnonzero(count)
    ends = np.cumsum(count[some])
    start = 0
    while start < len(some):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK_PAIRS, side="right")))
        group = some[start:stop]
        triangle = np.repeat(group, count[group])
        first = np.repeat(np.cumsum(count[group]) - count[group], count[group])
        inside_box = np.arange(len(triangle)) - first
        width = extent[triangle, 0]
        yield triangle, low[triangle, 0] + inside_box % width, low[triangle, 1] + inside_box // width
        start = stop


def _image_weights(
    corners: F64, triangle: NDArray[np.intp], column: NDArray[np.intp], row: NDArray[np.intp]
) -> tuple[F64, NDArray[np.bool_]]:
    """Barycentric weights (N,3) of the samples in the image, and whether they lie in the triangle, edges included."""
    origin = corners[:, 0]
    one, other = corners[:, 1] - origin, corners[:, 2] - origin
    area = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        to_second = np.stack([other[:, 1], -other[:, 0]], axis=1) / area[:, None]
        to_third = np.stack([-one[:, 1], one[:, 0]], axis=1) / area[:, None]
        x, y = column - origin[triangle, 0], row - origin[triangle, 1]
        second = x * to_second[triangle, 0] + y * to_second[triangle, 1]
        third = x * to_third[triangle, 0] + y * to_third[triangle, 1]
    first = 1 - second - third
    tolerance = -1e-9  # a sample on a shared edge must not fall between the two triangles
    return np.stack([first, second, third], axis=1), (first >= tolerance) & (second >= tolerance) & (third >= tolerance)
