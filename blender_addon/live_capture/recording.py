"""A live recording as a run of a take: its poses, brought to the scene's frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from mathutils import Quaternion
from numpy.typing import NDArray

from ..live_client import Recorded
from ..scene import timing
from ..vendor import live
from ..vendor import take as contract

F64 = NDArray[np.float64]

SAME_FRAME = 1e-3
"""Of a frame: by which a pose may miss it and still reach it."""
SHORTEST = 1e-6  # seconds between poses


class NothingRecorded(Exception):  # noqa: N818 - its text is a sentence for the user
    """A recording without a pose."""


def rate_of(told: live.LiveRecording, frames_per_second: float) -> float:
    """The frames a second of a recording's footage, or the scene's where there is none."""
    return told.frame_rate if told.footage and told.frame_rate > 0 else frames_per_second


def run_of(
    take: contract.TakeResult, recorded: Recorded, frames_per_second: float, at: timing.Timing
) -> contract.TakeResult:
    """A recording of the head of ``take`` as a run that counts frames as its footage does, where there is none as the
    scene does; it has a key on each of the scene's frames that it reaches by the timing ``at``.

    Between poses weights, places and gaze lie on straight lines, turns on the shortest way.

    Raises:
        NothingRecorded: there is no pose.
    """
    poses, told = recorded.poses, recorded.told
    if not poses:
        raise NothingRecorded("Nothing was recorded: nothing came meanwhile.")
    rate = rate_of(told, frames_per_second)
    first = told.first_time if told.footage else poses[0].time
    times = np.maximum.accumulate([pose.time for pose in poses])
    begin, end = at.at(1.0 + (times[[0, -1]] - first) * rate)
    frames = np.arange(np.ceil(begin - SAME_FRAME), np.floor(end + SAME_FRAME) + 1)
    frames = frames if len(frames) else np.array([round(float(begin))], np.float64)
    moments = first + (at.home(frames) - 1.0) / rate
    return _at(take, poses, times, moments, at.home(frames), told, rate)


def _at(
    take: contract.TakeResult,
    poses: Sequence[live.LivePose],
    times: F64,
    moments: F64,
    frames: F64,
    told: live.LiveRecording,
    rate: float,
) -> contract.TakeResult:
    count = len(frames)
    right = np.clip(np.searchsorted(times, moments), 1, max(1, len(poses) - 1))
    left, right = right - 1, np.minimum(right, len(poses) - 1)
    spans = np.maximum(times[right] - times[left], SHORTEST)
    share = np.clip((moments - times[left]) / spans, 0.0, 1.0)

    def between(name: str) -> F64:
        values = np.array([getattr(pose, name) for pose in poses], np.float64)
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[left] * (1 - part) + values[right] * part)

    nearest = np.where(share < 0.5, left, right)
    seen = np.array([pose.seen for pose in poses])[nearest]
    return dataclasses.replace(
        take,
        scene_frames=frames,
        frame_rate=rate,
        cameras=tuple(_camera(view, frames, told) for view in take.cameras[:1]),
        expression=between("expression").astype(np.float32),
        head_rotation=_turns(np.array([pose.head_rotation for pose in poses], np.float64), left, right, share),
        head_translation=between("head_translation"),
        gaze=between("gaze").astype(np.float32),
        tracked=seen,
        reprojection_error_percent_iod=np.full(count, np.nan, np.float32),
        action_names=(),
        actions=np.zeros((count, 0), np.float32),
        uncertainty_mm=np.full(count, np.nan, np.float32),
        skin_error_percent_iod=np.full(count, np.nan, np.float32),
        landmark_vertices=np.zeros((0, 3), np.int32),
        landmark_barycentric=np.zeros((0, 3), np.float32),
        texture=np.zeros(0, np.uint8),
        report={},
        others=(),
    )


def _turns(turns: F64, left: Any, right: Any, share: F64) -> F64:
    """Axis-angle (T,3) between those of poses (N,3)."""
    known = [Quaternion(turn / max(np.linalg.norm(turn), 1e-12), np.linalg.norm(turn)) for turn in turns]
    out = np.empty((len(share), 3))
    for index, part in enumerate(share):
        axis, angle = known[left[index]].slerp(known[right[index]], float(part)).to_axis_angle()
        out[index] = np.array(axis) * angle
    return out


def _camera(view: contract.CameraTrack, frames: F64, told: live.LiveRecording) -> contract.CameraTrack:
    """A live session's camera for a recording: it stands still, and shows the footage where there is any."""
    count = len(frames)
    numbers = np.round(frames).astype(np.int64)
    there = (numbers >= 1) & (numbers <= told.frames) if told.footage else np.zeros(count, bool)
    return dataclasses.replace(
        view,
        footage=told.footage,
        footage_kind="video" if told.footage else "still",
        footage_first_frame=1,
        footage_frame_count=max(1, told.frames),
        footage_files=(),
        footage_numbers=(),
        proxy="",
        focal_px=np.full(count, view.focal_px[-1]),
        world_to_camera=np.repeat(view.world_to_camera[-1:], count, axis=0),
        reprojection_error_percent_iod=np.full(count, np.nan, np.float32),
        footage_frames=np.where(there, numbers, -1),
        landmarks_px=np.zeros((count, 0, 2), np.float32),
    )
