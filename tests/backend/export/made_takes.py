"""Takes for exports: two cameras in different places, a zoom, frames numbered anyhow, one that was bridged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.export.registry import export_takes
from backend.export.takes import ExportTake
from backend.head_model.library import load_head
from backend.progress import never
from backend.track.geometry import seen_vertices
from backend.track.types import CameraTrack, Track
from protocol.arrays import at_frames
from tests.backend.heads import small_head
from tests.blender.runners import performance

FRAMES = (7, 8, 9, 1250)
BRIDGED = 8
METRES = 1e-5
PIXELS = 0.2


def made_take(head: str = "open") -> ExportTake:
    """A take of the open head, or of one in FLAME's form without quads, ARKit's names or anything in its place."""
    picked = at_frames(performance("/clip.mp4"), np.array([0, 3, 6, 9]))
    model = load_head() if head == "open" else small_head()
    rng = np.random.default_rng(5)
    track = replace(
        picked,
        frames=np.array(FRAMES),
        tracked=np.array(FRAMES) != BRIDGED,
        cameras=(_moved(picked.cameras[0], rng, "front"), _moved(picked.cameras[0], rng, "le ft/")),
        deformation=rng.normal(0, 1e-3, model.template.shape).astype(np.float32),
    )
    if head != "open":
        track = replace(
            track,
            head_id="small",
            head_hash=model.hash,
            identity=rng.normal(0, 0.01, 4).astype(np.float32),
            expression=rng.uniform(0, 0.01, (4, 2)).astype(np.float32),
            head_translation=track.head_translation + np.array([0, 0, 30]),
        )
    return ExportTake(track, model, Path("/takes/made/track.npz"), "made")


def _moved(camera: CameraTrack, rng: np.random.Generator, name: str) -> CameraTrack:
    """The camera somewhere else and turned, with a focal length that changes where it is the second one."""
    turn = Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_matrix()
    pose = np.concatenate([turn, rng.normal(0, 0.05, (3, 1))], axis=1)
    focal = camera.focal_px if name == "front" else camera.focal_px + np.array([0, 10, 20, 30])
    return replace(camera, name=name, world_to_camera=np.tile(pose, (4, 1, 1)), focal_px=focal)


def seen(take: ExportTake, view: int) -> NDArray[np.float64]:
    """(T,V,2): the head's pixels, as everything else in FlowFace computes them."""
    return seen_vertices(take.head, take.track, np.arange(len(take.track.frames)), view=view)[..., :2]


def in_world(take: ExportTake) -> NDArray[np.float64]:
    """(T,V,3): the head in the take's world, back from the first camera's pixels and depths."""
    camera: CameraTrack = take.track.cameras[0]
    points = seen_vertices(take.head, take.track, np.arange(len(take.track.frames)))
    points[..., :2] = (points[..., :2] - camera.principal_point) * points[..., 2:] / camera.focal_px[:, None, None]
    pose = camera.world_to_camera
    return np.asarray((points - pose[:, None, :, 3]) @ pose[:, :, :3])


def exported(take: ExportTake, name: str, folder: Path) -> Path:
    """The folder of an export, written."""
    folder.mkdir()
    export_takes([take], name, folder, lambda _: None, never)
    return folder


def track_of(take: ExportTake, **changes: object) -> Track:
    """The take's track with some fields changed."""
    return replace(take.track, **changes)  # type: ignore[arg-type]
