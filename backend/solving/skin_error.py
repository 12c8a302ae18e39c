"""By how much a fitted head misses skin that was matched in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.fitting import FitResult
from backend.fitting.posed import world_vertices
from backend.head_model.model import HeadModel, surface_positions
from backend.observations import PointSet

STRIP = 64
"""Frames posed at once."""


def skin_error_px(head: HeadModel, fit: FitResult, skin: PointSet) -> NDArray[np.float64]:
    """(T,) RMS of pixels by which a fit of one view misses ``skin``, as its ideal camera sees it; NaN where none is."""
    camera, frames = fit.cameras[0], len(fit.head_rotation)
    error = np.full(frames, np.nan)
    for start in range(0, frames, STRIP):
        part = slice(start, start + STRIP)
        world = world_vertices(head, fit, part)
        points = surface_positions(skin.surface_points(head.landmarks), head.triangles, world)
        there = points @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
        seen = there[..., :2] / there[..., 2:] * camera.focal_px + np.array(camera.principal_point)
        squared = np.square(seen - skin.mu[part]).sum(axis=2)
        for t, (own, valid) in enumerate(zip(squared, skin.valid[part], strict=True), start):
            if valid.any():
                error[t] = np.sqrt(own[valid].mean())
    return error
