"""Work for a backend that only looks at the footage: a tiny head far away, so that the background stays in sight."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.detail.io import save_wrinkles
from backend.files import write_atomic
from backend.footage import FootageInfo, probe
from backend.head_model.library import load_head
from backend.progress import OnPartial, OnProgress, ShouldCancel
from backend.track.io import save_track
from backend.track.types import CameraTrack, Track
from protocol.messages import TrackJob
from tests.backend.detail.made_up import as_wrinkles, furrows
from tests.blender.runners import perform


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def look(
    spec: TrackJob,
    folder: Path,
    *,
    on_progress: OnProgress,  # noqa: ARG001
    should_cancel: ShouldCancel,  # noqa: ARG001
    on_partial: OnPartial,  # noqa: ARG001
) -> None:
    """A still head ten metres before the first camera, with the camera facts that the footage reader gives.

    Further views are timed as ``ViewSpec`` says, turned about the head by 40° each, or where their camera is known.
    """
    head, infos = load_head("open"), [probe(view.footage) for view in spec.views]
    count, rate = infos[0].frame_count, infos[0].frame_rate
    frames = np.arange(infos[0].first_frame, infos[0].first_frame + count)
    cameras = [_camera(index, spec, infos, frames, rate) for index in range(len(infos))]
    start = cameras[0].world_to_camera[0]
    before_first = start[:, :3].T @ (np.array([0.0, 0.0, 10.0]) - start[:, 3])
    facing = Rotation.from_matrix(start[:, :3].T) * Rotation.from_rotvec([np.pi, 0.0, 0.0])
    low_confidence = (np.arange(count) >= 3) & (np.arange(count) < 5)
    track = Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=np.zeros(len(head.shape_basis), np.float32),
        expression=np.zeros((count, len(head.expression_names)), np.float32),
        head_rotation=np.tile(facing.as_rotvec(), (count, 1)),
        head_translation=np.tile(before_first, (count, 1)),
        gaze=np.zeros((count, 2, 2), np.float32),
        cameras=tuple(cameras),
        frames=frames,
        scene_frames=frames.astype(np.float64),
        times=np.arange(count) / rate,
        frame_rate=rate,
        tracked=np.ones(count, bool),
        reprojection_error_percent_iod=np.full(count, 0.9, np.float32),
        uncertainty_mm=np.where(low_confidence, 2.5, 0.6).astype(np.float32),
    )
    save_track(track, folder / "track.npz")
    write_atomic(folder / "report.json", json.dumps({"frames": count}).encode())


def _camera(
    index: int, spec: TrackJob, infos: Sequence[FootageInfo], frames: NDArray[np.int64], rate: float
) -> CameraTrack:
    view, info, count = spec.views[index], infos[index], len(frames)
    shown = np.round((np.arange(count) / rate + view.offset) * (view.frame_rate or info.frame_rate)).astype(int)
    there = (shown >= 0) & (shown < info.frame_count)
    extrinsics = np.eye(3, 4)
    extrinsics[:, :3] = Rotation.from_euler("y", 40 * index, degrees=True).as_matrix()
    extrinsics[:, 3] = [0, 0, 10] - extrinsics[:, :3] @ [0, 0, 10]
    focal, principal_point = float(max(info.width, info.height)), (info.width / 2, info.height / 2)
    if view.camera is not None:
        extrinsics = np.reshape(view.camera.world_to_camera, (3, 4))
        focal, principal_point = view.camera.focal_px, view.camera.principal_point
    return CameraTrack(
        name=view.name,
        footage=str(info.path),
        footage_kind=info.kind,
        footage_first_frame=info.first_frame if index == 0 else round(frames[0] - view.offset * rate),
        footage_frame_count=info.frame_count,
        footage_rotation=info.rotation,
        image_size=(info.width, info.height),
        focal_px=np.full(count, focal),
        principal_point=np.array(principal_point),
        world_to_camera=np.tile(extrinsics, (count, 1, 1)),
        reprojection_error_percent_iod=np.where(there, 0.5 + index, np.nan).astype(np.float32),
        footage_frames=np.where(there, info.first_frame + shown, -1),
    )


def perform_with_wrinkles(
    spec: TrackJob,
    folder: Path,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    on_partial: OnPartial,
) -> None:
    """The performance of ``tests.blender.runners``, whose forehead furrows where it is compressed."""
    save_wrinkles(as_wrinkles(furrows(1024)), folder / "wrinkles.npz")
    perform(spec, folder, on_progress=on_progress, should_cancel=should_cancel, on_partial=on_partial)
