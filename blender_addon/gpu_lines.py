"""Lines and dots in a region of Blender's window. The one file that knows the gpu module.

Dots are squares of two triangles: the size of points means nothing to some graphics drivers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import grades

F64 = NDArray[np.float64]

GRADE_COLOURS = np.array([(0.25, 0.85, 0.35, 1.0), (0.95, 0.8, 0.2, 1.0), (0.95, 0.25, 0.2, 1.0), (0.6, 0.6, 0.6, 1.0)])
"""RGBA of good, fair, poor and unknown."""
SURFACE_ALPHA = 0.6
_CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)], np.float64)


def in_region(points: F64, projection: F64, size: tuple[int, int]) -> F64:
    """(n,2) pixels from a region's bottom left of points (n,3) of the world; ``projection (4,4)`` is the region's."""
    seen = np.column_stack([points, np.ones(len(points))]) @ projection.T
    return np.asarray((seen[:, :2] / seen[:, 3:] + 1) / 2 * size)


def lines(ends: F64, colours: F64, width: float) -> None:
    """Draw lines (n,2,2) between pixels of the region, each in its RGBA colour (n,4)."""
    import gpu

    if not len(ends):
        return
    shader = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
    shader.bind()
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", width)
    _draw(shader, "LINES", ends.reshape(-1, 2), np.repeat(colours, 2, axis=0))


def squares(centres: F64, colours: F64, half: float) -> None:
    """Draw squares about pixels (n,2) of the region, each in its RGBA colour (n,4)."""
    rectangles(centres - half, centres + half, colours)


def rectangles(lowest: F64, highest: F64, colours: F64) -> None:
    """Draw rectangles from pixels (n,2) to pixels (n,2), each in its RGBA colour (n,4)."""
    import gpu

    if len(lowest):
        middle, half = (lowest + highest)[:, None] / 2, (highest - lowest)[:, None] / 2
        corners = (middle + half * _CORNERS).reshape(-1, 2)
        _draw(gpu.shader.from_builtin("FLAT_COLOR"), "TRIS", corners, np.repeat(colours, 6, axis=0))


def error_colours(errors: NDArray[Any]) -> F64:
    """RGBA (n,4) of errors (n,) in percent of the inter-ocular distance, from green over yellow to red; clear where
    they are unknown (below 0)."""
    good, fair = grades.ERROR_PERCENT
    colours = np.stack(
        [np.interp(errors, (good / 2, good, fair), GRADE_COLOURS[:3, channel]) for channel in range(4)], axis=-1
    )
    colours[:, 3] = np.where(errors >= 0, SURFACE_ALPHA, 0.0)
    return colours


def surface(points: F64, colours: F64, triangles: NDArray[Any]) -> None:
    """Draw triangles (m,3) between points (n,3) of the world, which have RGBA colours (n,4), where nothing hides them.

    Only within a viewport's 3D drawing.
    """
    import gpu
    from gpu_extras.batch import batch_for_shader

    if not len(triangles):
        return
    shader = gpu.shader.from_builtin("SMOOTH_COLOR")
    attributes = {"pos": points.astype(np.float32), "color": colours.astype(np.float32)}
    batch = batch_for_shader(shader, "TRIS", attributes, indices=np.ascontiguousarray(triangles, np.int32))
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.face_culling_set("BACK")
    batch.draw(shader)
    gpu.state.face_culling_set("NONE")
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def _draw(shader: Any, kind: str, places: F64, colours: F64) -> None:
    import gpu
    from gpu_extras.batch import batch_for_shader

    flat = np.column_stack([places, np.zeros(len(places))]).astype(np.float32)
    batch = batch_for_shader(shader, kind, {"pos": flat, "color": colours.astype(np.float32)})
    gpu.state.blend_set("ALPHA")
    batch.draw(shader)
    gpu.state.blend_set("NONE")
