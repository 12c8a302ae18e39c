"""Points of a built head's surface, by the triangles of its model: found under a pixel, and where they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import unmodified
from .head import OWN_VERTICES, TRIANGLES
from .picture_lines import Eye, posed_head

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

    def under(self, eye: Eye, pixel: tuple[float, float]) -> SurfacePoint | None:
        """The point that a camera sees at a pixel: of the front-most triangle there; None where there is none."""
        ray = eye.points(np.array([pixel]), np.ones(1))[0] - eye.place
        first, second, third = (self.vertices[self.triangles[:, corner]] - eye.place for corner in range(3))
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
    posed = posed_head(head, depsgraph)
    if posed is None:
        raise NoSurface("The head is hidden: show it first.")
    own, built = (int(count) for count in sizes)
    if len(head.data.vertices) != built:
        raise NoSurface("The head's faces were changed by hand: only one as it was built can be pinned.")
    vertices = posed.points if len(posed.points) == built else unmodified.vertices(head, depsgraph)
    triangles = np.array(kept.to_list(), np.int32).reshape(-1, 3)
    strange = np.flatnonzero((triangles >= own).any(axis=1))
    return Surface(vertices, triangles[: strange[0]] if len(strange) else triangles)


def places_of(head: Any, depsgraph: Any, points: Sequence[SurfacePoint]) -> F64 | None:
    """The places (n,3) in the scene of points of a head object; None where nothing is known of its surface.

    Reads no more than it needs: it is for drawing.
    """
    kept, sizes = head.data.get(TRIANGLES), head.data.get(OWN_VERTICES)
    if kept is None or sizes is None or not head.visible_get(view_layer=depsgraph.view_layer):
        return None
    corners = [corner for point in points for corner in kept[3 * point.triangle : 3 * point.triangle + 3]]
    if len(corners) != 3 * len(points) or len(head.data.vertices) != sizes[1]:
        return None
    evaluated = head.evaluated_get(depsgraph)
    vertices = evaluated.data.vertices
    if len(vertices) == sizes[1]:
        places = np.array([tuple(evaluated.matrix_world @ vertices[corner].co) for corner in corners], np.float64)
    else:
        places = unmodified.vertices(head, depsgraph, corners)
    weights = np.array([point.barycentric for point in points], np.float64)
    return np.asarray(np.einsum("nk,nkc->nc", weights, places.reshape(-1, 3, 3)))
