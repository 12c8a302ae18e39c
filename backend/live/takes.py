"""Live poses as tracks and takes like any others, so that exports and the add-on read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.action_weights import solve_action_weights
from backend.head_model.model import actions_of
from backend.head_model.personal import with_corrections
from backend.live.person import Person
from backend.track.types import CameraTrack, Track
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]
NAME = "live"


@dataclass(frozen=True, eq=False)
class Filmed:
    """The video behind a performance: its absolute path, pictures, and the number (from 1) of each pose's (T,)."""

    path: str
    frames: int
    numbers: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Poses:
    """T poses: ``times (T,)`` seconds, ``expression (T,K)``, ``rotation (T,3)`` axis-angle, ``translation (T,3)``,
    ``gaze (T,2,2)``, ``seen (T,)``; ``error_percent (T,)`` of the inter-ocular distance, NaN where unknown."""

    times: F64
    expression: F64
    rotation: F64
    translation: F64
    gaze: F64
    seen: NDArray[np.bool_]
    error_percent: F64
    more: dict[str, Any] = field(default_factory=dict)  # further fields of ``Track``


def frame_rate_of(times: F64) -> float:
    """Pictures a second of ascending times; 30 of a single one."""
    span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else 30.0


def track_of(person: Person, poses: Poses, source: str, filmed: Filmed | None = None) -> Track:
    """The track of live poses of a person; ``source`` is the camera's name. Its clip starts on scene frame 1."""
    frames = len(poses.times)
    rate = frame_rate_of(poses.times)
    own = with_corrections(person.head, person.action_corrections)
    has_actions = bool(actions_of(person.head)[0])
    camera = CameraTrack(
        name=source[:60] or NAME,
        footage=filmed.path if filmed else "",
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=filmed.frames if filmed else frames,
        footage_rotation=0,
        image_size=person.image_size,
        focal_px=np.full(frames, person.focal_px),
        principal_point=np.array(person.principal_point, np.float64),
        world_to_camera=np.repeat(np.eye(3, 4)[None], frames, axis=0),
        reprojection_error_percent_iod=poses.error_percent.astype(np.float32),
        footage_frames=filmed.numbers if filmed else np.full(frames, -1, np.int64),
    )
    return Track(
        head_id=person.head.id,
        head_hash=person.head.hash,
        identity=person.identity.astype(np.float32),
        deformation=person.deformation.astype(np.float32),
        action_corrections=person.action_corrections.astype(np.float16),
        expression=poses.expression.astype(np.float32),
        head_rotation=poses.rotation,
        head_translation=poses.translation,
        gaze=poses.gaze.astype(np.float32),
        cameras=(camera,),
        frames=np.arange(1, frames + 1, dtype=np.int64) if filmed is None else filmed.numbers,
        scene_frames=1 + (poses.times - poses.times[0]) * rate,
        times=poses.times - poses.times[0],
        frame_rate=rate,
        tracked=poses.seen,
        reprojection_error_percent_iod=poses.error_percent.astype(np.float32),
        provenance={"live": source, "aligner": "mediapipe"},
        action_names=ARKIT_ACTIONS if has_actions else (),
        actions=solve_action_weights(own, poses.expression, poses.gaze)
        if has_actions
        else np.zeros((frames, 0), np.float32),
        **poses.more,
    )


def without_repeats(poses: Poses) -> Poses:
    """The poses whose times ascend."""
    kept = np.r_[True, np.diff(np.maximum.accumulate(poses.times)) > 0]
    arrays = {name: getattr(poses, name)[kept] for name in Poses.__dataclass_fields__ if name != "more"}
    return replace(poses, **arrays)


def stacked(rows: Sequence[tuple[float, bool, F64, F64, F64, F64]]) -> Poses:
    """Poses of rows (time, seen, expression, rotation, translation, gaze)."""
    times, seen, expression, rotation, translation, gaze = zip(*rows, strict=True)
    return Poses(
        times=np.array(times, np.float64),
        expression=np.array(expression, np.float64),
        rotation=np.array(rotation, np.float64),
        translation=np.array(translation, np.float64),
        gaze=np.array(gaze, np.float64),
        seen=np.array(seen, bool),
        error_percent=np.full(len(times), np.nan),
    )
