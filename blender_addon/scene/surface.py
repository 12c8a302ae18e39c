"""Points of a built head's surface, by the triangles of its model: found under a pixel, and where they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .head import OWN_VERTICES, TRIANGLES
from .sight import Sight

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

EDGE = 1e-9
"""A pixel on the edge of two triangles is in both."""


class NoSurface(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which nothing is known of a head's surface."""


@dataclass(frozen=True)
class SurfacePoint:
    """A point of the surface: the triangle by its number in the head's, and the weights of its corners."""

    triangle: int
    barycentric: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Surface:
    """A head on one frame: ``vertices (V,3)`` in the scene, and those triangles (F,3) that are the model's own."""

    vertices: F64
    triangles: I32

    def at(self, points: Sequence[SurfacePoint]) -> F64:
        """The places (n,3) of points in the scene."""
        corners = self.vertices[self.triangles[[point.triangle for point in points]]].reshape(-1, 3, 3)
        weights = np.array([point.barycentric for point in points], np.float64).reshape(-1, 3)
        return np.asarray(np.einsum("nk,nkc->nc", weights, corners))

    def under(self, sight: Sight, pixel: tuple[float, float]) -> SurfacePoint | None:
        """The point that a camera sees at a pixel: of the front-most triangle there; None where there is none."""
        ray = sight.rays(np.array([pixel]))[0]
        first, second, third = (self.vertices[self.triangles[:, corner]] - sight.location for corner in range(3))
        # volumes of the ray with each edge: all of one sign where it passes within
        volumes = np.column_stack([np.cross(a, b) @ ray for a, b in ((second, third), (third, first), (first, second))])
        total = volumes.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = volumes / total[:, None]
            depth = np.einsum("nk,nkc->nc", weights, np.stack([first, second, third], axis=1)) @ ray
        hit = (total != 0) & (weights >= -EDGE).all(axis=1) & (depth > 0)
        if not hit.any():
            return None
        nearest = int(np.where(hit, depth, np.inf).argmin())
        inside = np.maximum(weights[nearest], 0)
        a, b, c = (float(weight) for weight in inside / inside.sum())
        return SurfacePoint(nearest, (a, b, c))


def surface_of(head: Any, depsgraph: Any) -> Surface:
    """The surface of a head object as it is shown.

    Raises:
        NoSurface: with a sentence for the user.
    """
    if head is None:
        raise NoSurface("The take has no head any more.")
    kept, sizes = head.data.get(TRIANGLES), head.data.get(OWN_VERTICES)
    if kept is None or sizes is None:
        raise NoSurface("An earlier version of the add-on built this head: build it again from the list of jobs.")
    own, built = (int(count) for count in sizes)
    vertices = _evaluated(head.evaluated_get(depsgraph))
    if len(vertices) != built:
        raise NoSurface("A modifier of the head changes the number of its vertices: hide it in viewports first.")
    triangles = np.array(kept.to_list(), np.int32).reshape(-1, 3)
    strange = np.flatnonzero((triangles >= own).any(axis=1))
    return Surface(vertices, triangles[: strange[0]] if len(strange) else triangles)


def places_of(head: Any, depsgraph: Any, points: Sequence[SurfacePoint]) -> F64 | None:
    """The places (n,3) in the scene of points of a head object; None where nothing is known of its surface.

    Reads no more than it needs: it is for drawing.
    """
    kept, sizes = head.data.get(TRIANGLES), head.data.get(OWN_VERTICES)
    evaluated = head.evaluated_get(depsgraph)
    vertices = evaluated.data.vertices
    if kept is None or sizes is None or len(vertices) != sizes[1]:
        return None
    out = np.zeros((len(points), 3))
    for index, point in enumerate(points):
        corners = kept[3 * point.triangle : 3 * point.triangle + 3]
        if len(corners) < 3:
            return None
        places = np.array([evaluated.matrix_world @ vertices[corner].co for corner in corners], np.float64)
        out[index] = np.array(point.barycentric) @ places
    return out


def _evaluated(head: Any) -> F64:
    """The vertices (n,3) of an evaluated head in the scene."""
    vertices = head.data.vertices
    points = np.empty(3 * len(vertices), np.float32)
    vertices.foreach_get("co", points)
    matrix = np.array(head.matrix_world, np.float64)
    return np.asarray(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
