"""Work for the test backend that can be refined: a known performance, with what an aligner would have seen of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from backend.files import write_atomic
from backend.head_model.library import load_head
from backend.observations.io import save_alignments
from backend.pipeline import refine_job
from backend.synthesis.performance import demo_performance
from backend.track.io import save_track
from backend.track.types import CameraTrack, Track
from protocol.messages import Job, RefineJob, TrackJob
from tests.backend.fitting.observed import observed

FRAMES, SIDE = 60, 512


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def perform_or_refine(spec: Job, folder: Path, **worker: Any) -> None:
    """Write the performance as a track's result, or refine that as the backend does."""
    if isinstance(spec, RefineJob):
        refine_job.run_job(spec, folder, **worker)
    elif isinstance(spec, TrackJob):
        head = load_head("open")
        truth = demo_performance(head, frame_count=FRAMES, side=SIDE)
        seen = observed(head, truth, np.zeros((1, 478, 2)), 0.5)
        save_alignments([seen], folder / "alignments.npz")
        camera = CameraTrack(
            name="camera",
            footage=spec.views[0].footage,
            footage_kind="video",
            footage_first_frame=1,
            footage_frame_count=FRAMES,
            footage_rotation=0,
            image_size=truth.image_size,
            focal_px=truth.focal_px,
            principal_point=truth.principal_point,
            world_to_camera=np.tile(np.eye(3, 4), (FRAMES, 1, 1)),
            footage_frames=seen.numbers,
        )
        track = Track(
            head_id=head.id,
            head_hash=head.hash,
            identity=truth.identity,
            expression=truth.expression,
            head_rotation=truth.head_rotation,
            head_translation=truth.head_translation,
            gaze=truth.gaze,
            cameras=(camera,),
            frames=seen.numbers,
            scene_frames=seen.scene_frames,
            times=seen.times,
            frame_rate=truth.frame_rate,
            tracked=np.ones(FRAMES, bool),
            reprojection_error_percent_iod=np.full(FRAMES, 0.9, np.float32),
        )
        save_track(track, folder / "track.npz")
        write_atomic(folder / "report.json", json.dumps({"frames": FRAMES}).encode())
