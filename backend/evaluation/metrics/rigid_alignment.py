"""Bringing a predicted mesh onto a scan as the NoW challenge does: seven key points, then the whole face."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.surface import ClosestPoints, MeshSurface

F64 = NDArray[np.float64]

KEYPOINTS7 = (36, 39, 42, 45, 33, 48, 54)
"""NoW's seven points in iBUG-68 (from 0): the four eye corners, the base of the nose, the two mouth corners."""

_MAX_STEPS = 60
_MAX_POINTS = 1000
_PERFECT = 1e-18  # square metres: a nanometre is as good as nothing


def align_to_scan(
    surface: MeshSurface,
    mesh_keypoints: NDArray[np.floating[Any]],
    scan: NDArray[np.floating[Any]],
    scan_keypoints: NDArray[np.floating[Any]],
    *,
    metrical: bool,
) -> Similarity:
    """The motion that brings a predicted mesh onto the scan's points (N,3), by NoW's protocol (Sanyal et al. 2019).

    First the seven key points (7,3) of both (``KEYPOINTS7``), then min Σ_i dist(scan_i, mesh)² over the motion, from
    every point of the scan to the mesh's surface, by Levenberg–Marquardt on the closest points. Metrical: rotation and
    translation only; otherwise also a uniform scale. At most 1,000 points of the scan, evenly chosen, take part.
    """
    scan = np.asarray(scan, np.float64)
    scan = scan[:: -(-len(scan) // _MAX_POINTS)]
    motion = similarity_between(mesh_keypoints, scan_keypoints, scaled=not metrical)
    closest, cost = _measure(surface, motion, scan)
    damping = 1e-6
    for _ in range(_MAX_STEPS if cost > _PERFECT else 0):
        step = _step(surface, motion, scan, closest, damping, scaled=not metrical)
        candidate = _moved(motion, step, scan.mean(axis=0))
        new_closest, new_cost = _measure(surface, candidate, scan)
        if new_cost < cost:
            gain = cost - new_cost
            motion, closest, cost, damping = candidate, new_closest, new_cost, max(damping / 10, 1e-9)
            if gain <= 1e-4 * cost:
                break
        else:
            damping *= 30
            if damping > 1e4:
                break
    return motion


def _measure(surface: MeshSurface, motion: Similarity, scan: F64) -> tuple[ClosestPoints, float]:
    closest = surface.closest(motion.undo(scan))
    return closest, float(motion.scale**2 * np.mean(closest.distance**2))


def _step(
    surface: MeshSurface, motion: Similarity, scan: F64, closest: ClosestPoints, damping: float, *, scaled: bool
) -> F64:
    """Turn (3), shift (3) and relative growth (1) about the scan's centre that shrink the distances, linearised."""
    landed = motion.apply(closest.position)
    gap = landed - scan
    distance = np.linalg.norm(gap, axis=1)
    direction = surface.normals[closest.triangle] @ motion.rotation.T
    far = distance > 1e-9
    direction[far] = gap[far] / distance[far, None]
    arm = landed - scan.mean(axis=0)
    jacobian = np.concatenate([np.cross(arm, direction), direction, (arm * direction).sum(1, keepdims=True)], axis=1)
    jacobian = jacobian[:, : 7 if scaled else 6]
    normal = jacobian.T @ jacobian
    normal += np.diag(damping * np.diag(normal) + 1e-15)
    step = np.zeros(7)
    step[: len(normal)] = -np.linalg.solve(normal, jacobian.T @ (gap * direction).sum(axis=1))
    return step


def _moved(motion: Similarity, step: F64, centre: F64) -> Similarity:
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    growth = float(np.exp(step[6]))
    translation = growth * turn @ (motion.translation - centre) + centre + step[3:6]
    return Similarity(motion.scale * growth, turn @ motion.rotation, translation)
