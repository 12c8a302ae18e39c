"""A head scan and its ten calibrated views: what a tracker makes of each view alone, and of all of them jointly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from backend.evaluation.mesh_landmarks import NOSE_BASE
from backend.evaluation.metrics.pose import head_rotations
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7
from backend.evaluation.outside import seen_from_outside
from backend.evaluation.rig import Rig, TrueFace
from backend.evaluation.trackers.flowface import track_or_none
from backend.evaluation.trackers.types import Tracker
from backend.head_model.converters.obj import read_obj
from backend.reading import MAX_REPORT_BYTES, read_json

F64 = NDArray[np.float64]

METRES_PER_SCAN_UNIT = 0.05  # the data set's own estimate; the chamfer distance scales the mesh to it
SCAN_KEYPOINTS = (6069, 4600, 1527, 7932, 3591, 3060, 6152)
"""Vertices of the scan at NoW's seven points, looked up once under MediaPipe's points in its frontal view."""
FRONTAL = 45
"""Degrees from the front within which views say where a tracker's head looks straight ahead."""
FACE_RADIUS = 0.08
"""Metres about the base of the nose within which a face is compared: as NoW crops its scans, a little tighter (there
about 0.09), so that no mesh that ends at forehead and chin is blown up to cover more."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A head scan, metres, with its calibrated views."""

    vertices: F64
    triangles: NDArray[np.int32]
    face: NDArray[np.bool_]
    cameras: list[dict[str, Any]]

    def world_to_camera(self) -> F64:
        """(C,3,4) [R | t] of the views, metres."""
        turn = np.array([camera["R"] for camera in self.cameras], np.float64)
        shift = np.array([camera["t"] for camera in self.cameras], np.float64) * METRES_PER_SCAN_UNIT
        return np.concatenate([turn, shift[..., None]], axis=2)

    @property
    def true_face(self) -> TrueFace:
        """What a tracked face is compared with."""
        return TrueFace(self.vertices[self.face], self.vertices[list(SCAN_KEYPOINTS)])

    def rig(self, folder: Path) -> Rig:
        """All views at once, whose stills are in ``folder``."""
        stills = tuple(folder / camera["image"] for camera in self.cameras)
        focal = np.array([camera["K"][0][0] for camera in self.cameras], np.float64)
        return Rig(self.true_face, stills, self.world_to_camera(), focal)


def read_scan(folder: Path) -> Scan:
    """The scan in ``folder``. Raises UserError ``bad_file`` or, for its mesh, ``bad_mesh``."""
    mesh = read_obj(folder / "lee_perry_smith.obj")
    try:
        cameras = read_json(folder / "cameras.json", "camera", MAX_REPORT_BYTES)["cameras"]
    except (KeyError, TypeError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"The scan in {folder} cannot be read: {error}.") from error
    points = mesh.vertices * METRES_PER_SCAN_UNIT
    nose = points[SCAN_KEYPOINTS[KEYPOINTS7.index(NOSE_BASE)]]
    near = np.linalg.norm(points - nose, axis=1) < FACE_RADIUS
    return Scan(points, mesh.triangles, near & seen_from_outside(points, mesh.triangles, nose), cameras)


def add_rotation_errors(records: Sequence[dict[str, Any]]) -> None:
    """Give each record of ``scan_record`` the angle in degrees by which its tracker turned the head wrongly there.

        e_v = ∠(R̂_v (R_v D)ᵀ),   D the mean of R_vᵀ R̂_v over the views at most ``FRONTAL`` from the front

    of head rotations R̂_v and the true cameras' R_v; D says where the tracker's head looks straight ahead. None where
    the tracker saw no face, or has no neutral head by which a single view tells its rotation.
    """
    for tracker in {r["tracker"] for r in records}:
        mine = [r for r in records if r["tracker"] == tracker]
        known = [r for r in mine if r.get("head_rotation") is not None]
        frontal = [r for r in known if abs(r["azimuth"]) <= FRONTAL]
        for record in mine:
            record["rotation_deg"] = None
        if not frontal:
            continue
        straight = (_turns(frontal, "camera_rotation").inv() * _turns(frontal, "head_rotation")).mean()
        true = _turns(known, "camera_rotation") * straight
        for record, angle in zip(known, (_turns(known, "head_rotation") * true.inv()).magnitude(), strict=True):
            record["rotation_deg"] = float(np.rad2deg(angle))


def _turns(records: Sequence[dict[str, Any]], name: str) -> Rotation:
    return Rotation.from_matrix(np.array([r[name] for r in records], np.float64))


def scan_record(tracker: Tracker, folder: Path, scan: Scan, camera: dict[str, Any]) -> dict[str, Any]:
    """Chamfer distance of the scan's face from the mesh tracked in one view, non-metrical, focal length, rotation."""
    view = f"{camera['azimuth_deg']:+d}/{camera['elevation_deg']:+d}"
    record: dict[str, Any] = {"tracker": tracker.name, "view": view, "lost": True}
    record |= {"azimuth": camera["azimuth_deg"], "camera_rotation": camera["R"]}
    mesh = track_or_none(tracker, folder / camera["image"], single_image=True)
    if mesh is None or mesh.landmarks68 is None:
        return record
    if mesh.neutral is not None:
        record["head_rotation"] = head_rotations(mesh)[0]
    return (
        record
        | {"lost": False, "focal_ratio": float(mesh.focal_px[0]) / camera["K"][0][0]}
        | scan.true_face.distance_from(mesh)
    )
