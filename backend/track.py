"""The Track: everything that was fitted to a take, and its file (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """One view: a pinhole camera (OpenCV axes: x right, y down, z forward) and the footage it saw.

    ``image_size`` is (width, height) as displayed (rotation flags applied); ``focal_px (T,)`` and
    ``principal_point (2,)`` are in pixels; ``world_to_camera (T,3,4)``.
    """

    name: str
    footage: str  # absolute path as submitted
    footage_kind: str  # "video", "sequence" or "still"
    footage_first_frame: int  # scene frame on which the footage's first image shows
    footage_frame_count: int
    footage_rotation: int  # degrees clockwise by which the stored picture is turned for display: 0, 90, 180, 270
    image_size: tuple[int, int]
    focal_px: F64
    principal_point: F64
    world_to_camera: F64


@dataclass(frozen=True, eq=False)
class Track:
    """The result of a take of T frames. Metres, radians, seconds; head space and camera space as in DESIGN §3.

    World space of a single-view take is that view's camera space. ``head_rotation (T,3)`` is an axis-angle vector and
    ``head_translation (T,3)`` metres: world = R · head + translation (seeds/001 eq. 9). Frames without a face are
    bridged by the temporal prior and have ``tracked`` False.
    """

    head_id: str
    head_hash: str
    identity: F32  # (K_id,)
    expression: F32  # (T,K_ex)
    head_rotation: F64  # (T,3)
    head_translation: F64  # (T,3)
    gaze: F32  # (T,2,2): (left, right) × (yaw, pitch), see head_model.gaze_rotation
    cameras: tuple[CameraTrack, ...]
    frames: NDArray[np.int64]  # (T,) footage frame numbers: video 1, 2, …; image sequences as in their file names
    scene_frames: F64  # (T,) frame on Blender's timeline; fractional where the frame rate varies
    times: F64  # (T,) seconds since the footage's first frame
    frame_rate: float
    tracked: NDArray[np.bool_]  # (T,)
    reprojection_error_percent_iod: F32  # (T,) NaN where not tracked
    provenance: Mapping[str, Any] = field(default_factory=dict)  # versions, options, aligner, per-stage seconds
