"""NoW's measure: a scan cropped about the nose, the mesh aligned to it, the distance of each scan point to the mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.metrics.rigid_alignment import align_to_scan
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]


def face_crop(scan: NDArray[np.floating[Any]], keypoints: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """(N,) which of the scan's points (N,3) belong to the face, by its seven key points (7,3), all in one unit.

    Those within 1.4 · (o + n) / 2 of c = b + 0.3 · (m − b): b the nose's base, m the middle of the inner eye corners,
    o the distance of the outer ones, n = ‖m − b‖. Source: the NoW Challenge's evaluation
    (github.com/soubhiksanyal/now_evaluation, ``compute_mask``).
    """
    points = np.asarray(keypoints, np.float64)
    base, middle = points[4], (points[1] + points[2]) / 2
    centre = base + 0.3 * (middle - base)
    radius = 1.4 * (np.linalg.norm(points[0] - points[3]) + np.linalg.norm(middle - base)) / 2
    return np.asarray(np.linalg.norm(np.asarray(scan, np.float64) - centre, axis=1) <= radius)


def scan_to_mesh(
    scan: NDArray[np.floating[Any]],
    scan_keypoints: NDArray[np.floating[Any]],
    surface: MeshSurface,
    mesh_keypoints: NDArray[np.floating[Any]],
) -> F64:
    """(M,) distance of each of the M points of the scan's face to the mesh, after the non-metrical alignment.

    ``scan (N,3)`` and ``scan_keypoints (7,3)`` in metres, mesh in any unit; distances in metres. The scan is cropped
    first (``face_crop``), and the crop alone is what the refinement looks at. Source: as ``face_crop``,
    ``compute_errors``: seven points with scale, then rotation, translation and scale by scan-to-mesh distance.
    """
    points = np.asarray(scan, np.float64)
    points = points[face_crop(points, scan_keypoints)]
    motion = align_to_scan(surface, mesh_keypoints, points, scan_keypoints, metrical=False)
    return surface.closest(motion.undo(points)).distance * motion.scale
