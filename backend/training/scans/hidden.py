"""The vertices of a head that can be seen from somewhere around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import BoolArray, IntArray
from backend.head_model.render import HeadRenderer, vertex_normals
from backend.training.scans.views import ScanView

F64 = NDArray[np.float64]

_SIDE = 1024
_SIDES = ((0, 0), (0.6, 0), (-0.6, 0), (1.3, 0), (-1.3, 0), (0, 0.6), (0, -0.6), (2.4, 0), (-2.4, 0))
_BEHIND = 0.0003
"""Metres behind the nearest surface from which a vertex is hidden: a lid's edge is some tenths of a millimetre deep."""
_GRAZING = 0.15


def seen_from_outside(vertices: F64, triangles: IntArray, face: BoolArray, turn: F64) -> BoolArray:
    """(V,) which of ``vertices (V,3)`` metres some view around the ``face (V,)`` shows.

    ``turn (3,3)`` is the head's, from the open head's frame. Raises ``no_opengl``.
    """
    normals = vertex_normals(vertices, triangles)
    middle = vertices[face].mean(axis=0)
    seen = np.zeros(len(vertices), bool)
    level = (vertices - middle) @ turn
    level_normals = normals @ turn
    with HeadRenderer((_SIDE, _SIDE)) as renderer:
        for yaw, pitch in _SIDES:
            view = ScanView.towards(np.zeros(3), 1.0, 3.2 * _SIDE, _SIDE, yaw, pitch)
            depth = renderer.surface(level, triangles, **view.optics).depth
            pixels, away = view.project(level)
            column, row = np.floor(pixels).astype(np.int64).T
            inside = (column >= 0) & (row >= 0) & (column < _SIDE) & (row < _SIDE)
            shown = depth[np.clip(row, 0, _SIDE - 1), np.clip(column, 0, _SIDE - 1)]
            eye = -view.world_to_camera[:, 3] @ view.world_to_camera[:, :3]
            ray = eye - level
            facing = np.einsum("nc,nc->n", level_normals, ray) / np.linalg.norm(ray, axis=1)
            seen |= inside & (facing > _GRAZING) & (away < shown + _BEHIND)
    return seen
