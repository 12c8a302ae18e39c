"""A take whose truth is known: a person rendered, and the track that a fit without any error would be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from backend.head_model.library import load_head
from backend.head_model.model import posed_vertices, surface_positions
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import Performance, demo_performance
from backend.track.io import save_track
from backend.track.types import CameraTrack, Track

FRAMES = 40
SIDE = 256


def rendered_take(folder: Path) -> Track:
    """Write the pictures and the track of ``FRAMES`` frames, a third of a second of each of which shows a blink, a
    smile and speech, into ``folder``; the track."""
    head = load_head("open")
    whole = demo_performance(head, frame_count=3 * FRAMES, frame_rate=45.0, side=SIDE, focal_px=350.0)
    truth = thinned(whole)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    for number, picture in enumerate(render_performance(head, truth), start=1):
        cv2.imwrite(str(pictures / f"{number:04d}.png"), picture[..., ::-1])
    track = track_of(truth, pictures)
    save_track(track, folder / "track.npz")
    return track


def thinned(whole: Performance) -> Performance:
    """Every third frame."""
    per_frame = ("expression", "head_rotation", "head_translation", "gaze", "focal_px")
    fields = vars(whole) | {name: getattr(whole, name)[::3] for name in per_frame} | {"frame_rate": 15.0}
    return Performance(**fields)


def track_of(truth: Performance, pictures: Path) -> Track:
    head = load_head("open")
    files = tuple(f"{number:04d}.png" for number in range(1, FRAMES + 1))
    points = head.landmarks["ibug68"]
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=truth.identity,
        expression=truth.expression,
        head_rotation=truth.head_rotation,
        head_translation=truth.head_translation,
        gaze=truth.gaze,
        cameras=(_camera(truth, pictures, files),),
        frames=np.arange(1, FRAMES + 1),
        scene_frames=np.arange(1.0, FRAMES + 1),
        times=np.arange(FRAMES) / truth.frame_rate,
        frame_rate=truth.frame_rate,
        tracked=np.ones(FRAMES, bool),
        reprojection_error_percent_iod=np.full(FRAMES, 0.5, np.float32),
        landmark_vertices=head.triangles[points.triangle].astype(np.int32),
        landmark_barycentric=points.barycentric,
    )


def _camera(truth: Performance, pictures: Path, files: tuple[str, ...]) -> CameraTrack:
    head = load_head("open")
    posed = posed_vertices(head, head.neutral(truth.identity), truth.expression, truth.gaze).astype(np.float64)
    placed = posed @ Rotation.from_rotvec(truth.head_rotation).as_matrix().transpose(0, 2, 1)
    placed = placed + truth.head_translation[:, None]
    pixels = placed[..., :2] / placed[..., 2:] * truth.focal_px[:, None, None] + truth.principal_point
    # a landmark network's answers tremble by half a pixel or so
    shown = surface_positions(head.landmarks["ibug68"], head.triangles, pixels)
    shown = shown + np.random.default_rng(4).normal(0, 0.5, shown.shape)
    return CameraTrack(
        name="camera",
        footage=str(pictures / files[0]),
        footage_kind="sequence",
        footage_first_frame=1,
        footage_frame_count=FRAMES,
        footage_rotation=0,
        image_size=truth.image_size,
        focal_px=truth.focal_px,
        principal_point=truth.principal_point,
        world_to_camera=np.tile(np.eye(3, 4), (FRAMES, 1, 1)),
        footage_frames=np.arange(1, FRAMES + 1),
        footage_files=files,
        footage_numbers=tuple(range(1, FRAMES + 1)),
        landmarks_px=shown.astype(np.float32),
    )
