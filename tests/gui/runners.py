"""Work for a backend that only looks at the footage: a tiny head far away, so that the background stays in sight."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from backend.files import write_atomic
from backend.footage import probe
from backend.head_model.library import load_head
from backend.progress import OnProgress, ShouldCancel
from backend.track import CameraTrack, Track
from backend.track_io import save_track
from protocol.messages import JobSpec


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def look(spec: JobSpec, folder: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:  # noqa: ARG001
    """A still head ten metres away, with the camera facts that the footage reader gives."""
    info, head = probe(spec.views[0].footage), load_head("open")
    count = info.frame_count
    frames = np.arange(info.first_frame, info.first_frame + count)
    camera = CameraTrack(
        name=spec.views[0].name,
        footage=str(info.path),
        footage_kind=info.kind,
        footage_first_frame=info.first_frame,
        footage_frame_count=count,
        footage_rotation=info.rotation,
        image_size=(info.width, info.height),
        focal_px=np.full(count, float(max(info.width, info.height))),
        principal_point=np.array([info.width / 2, info.height / 2]),
        world_to_camera=np.tile(np.eye(3, 4), (count, 1, 1)),
    )
    track = Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=np.zeros(len(head.shape_basis), np.float32),
        expression=np.zeros((count, len(head.expression_names)), np.float32),
        head_rotation=np.tile([np.pi, 0.0, 0.0], (count, 1)),
        head_translation=np.tile([0.0, 0.0, 10.0], (count, 1)),
        gaze=np.zeros((count, 2, 2), np.float32),
        cameras=(camera,),
        frames=frames,
        scene_frames=frames.astype(np.float64),
        times=np.arange(count) / info.frame_rate,
        frame_rate=info.frame_rate,
        tracked=np.ones(count, bool),
        reprojection_error_percent_iod=np.zeros(count, np.float32),
    )
    save_track(track, folder / "track.npz")
    write_atomic(folder / "report.json", json.dumps({"frames": count}).encode())
