"""Work for the test backend that ends in a real result: a performance of the open head, written as any track is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from backend.files import write_atomic
from backend.head_model.library import load_head
from backend.progress import JobProgress, OnPartial, OnProgress, ShouldCancel
from backend.track.io import save_track
from backend.track.types import CameraTrack, Track
from protocol.messages import TrackJob

FRAMES = 10


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def perform(
    spec: TrackJob,
    folder: Path,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,  # noqa: ARG001
    on_partial: OnPartial,  # noqa: ARG001
) -> None:
    """Write the performance as the job's result."""
    on_progress(JobProgress("performing", 0.5, 5, FRAMES))
    save_track(performance(spec.views[0].footage), folder / "track.npz")
    write_atomic(folder / "report.json", json.dumps({"frames": FRAMES}).encode())


def performance(footage: str) -> Track:
    """A person who speaks, turns the head and looks around for ten frames."""
    head = load_head("open")
    t = np.linspace(0, 1, FRAMES)
    rng = np.random.default_rng(2)
    gaze = np.stack([0.3 * np.sin(6 * t), 0.2 * np.cos(6 * t)], 1)
    camera = CameraTrack(
        name="camera",
        footage=footage,
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=FRAMES,
        footage_rotation=0,
        image_size=(640, 480),
        focal_px=np.full(FRAMES, 800.0),
        principal_point=np.array([325.0, 230.0]),
        world_to_camera=np.tile(np.eye(3, 4), (FRAMES, 1, 1)),
    )
    # Half a turn about an axis in the x-y plane faces the camera; the axis' lean turns the head.
    lean = 0.3 * t
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=rng.normal(size=len(head.shape_basis)).astype(np.float32),
        expression=rng.uniform(0, 1, (FRAMES, len(head.expression_names))).astype(np.float32) ** 4,
        head_rotation=np.pi * np.stack([np.cos(lean), np.zeros(FRAMES), np.sin(lean)], 1),
        head_translation=np.stack([0.02 * t, np.zeros(FRAMES), 0.6 + 0.05 * t], 1),
        gaze=np.stack([gaze, gaze], 1).astype(np.float32),
        cameras=(camera,),
        frames=np.arange(1, FRAMES + 1),
        scene_frames=np.arange(1.0, FRAMES + 1),
        times=np.arange(FRAMES) / 25,
        frame_rate=25.0,
        tracked=np.ones(FRAMES, bool),
        reprojection_error_percent_iod=np.full(FRAMES, 0.9, np.float32),
    )
