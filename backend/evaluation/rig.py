"""Several cameras of which nothing is told: the face that a tracker makes of them together, and where it puts them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.mesh_landmarks import landmarks_camera
from backend.evaluation.metrics.pose import camera_errors
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7, align_to_scan
from backend.evaluation.trackers.types import ViewsTracker
from backend.evaluation.types import MeshSequence
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrueFace:
    """The points of a face's surface ``points (N,3)`` and NoW's seven among them, ``keypoints (7,3)``, metres."""

    points: F64
    keypoints: F64

    def distance_from(self, mesh: MeshSequence) -> dict[str, float]:
        """Chamfer distance to a mesh's first frame, mm, after an alignment that may scale."""
        surface = MeshSurface(mesh.vertices[0], mesh.triangles)
        found = landmarks_camera(mesh)[0, list(KEYPOINTS7)]
        motion = align_to_scan(surface, found, self.points, self.keypoints, metrical=False)
        distance = surface.closest(motion.undo(self.points)).distance * motion.scale * 1e3
        return {
            "cd_mm": float(distance.mean()),
            "cd_median_mm": float(np.median(distance)),
            "scale": motion.scale,
        }


@dataclass(frozen=True, eq=False)
class Rig:
    """A face seen by C cameras at once: ``stills (C)``, ``world_to_camera (C,3,4)`` = [R | t] in metres,
    ``focal_px (C,)``."""

    face: TrueFace
    stills: tuple[Path, ...]
    world_to_camera: F64
    focal_px: F64


def joint_record(tracker: ViewsTracker, rig: Rig, variant: str) -> dict[str, Any]:
    """Chamfer distance of the face from the mesh tracked in all views at once, and how well cameras were recovered.

    Nothing is told of the cameras. Lists have one entry per view, None where the tracker saw nothing in it.
    """
    record: dict[str, Any] = {"tracker": tracker.name, "variant": variant, "lost": True}
    try:
        found = tracker.track_views(rig.stills, variant)
    except UserError as error:
        if error.code not in (ErrorCode.NO_FACE, ErrorCode.VIEWS_APART):
            raise
        return record
    cameras = camera_errors(rig.world_to_camera, found.world_to_camera, rig.face.points.mean(axis=0))
    return (
        record
        | {
            "lost": False,
            "views": int(np.isfinite(found.focal_px).sum()),
            "camera_rotation_deg": cameras.rotation_deg.tolist(),
            "camera_position_percent": cameras.position_percent.tolist(),
            "focal_ratio": (found.focal_px / rig.focal_px).tolist(),
        }
        | rig.face.distance_from(found.mesh)
    )
