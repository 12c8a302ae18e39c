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
    reprojection_error_percent_iod: F32 = field(default_factory=lambda: np.zeros(0, np.float32))
    """(T,) NaN where this view did not see the face; left out, it is NaN throughout."""
    footage_frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(T,) this footage's frame number at each frame of the take, -1 where it has none; left out, -1 throughout."""
    focal_ratio: float = 1.0  # fy / fx of the footage; the camera itself has square pixels of the size fx stands for
    distortion: tuple[float, ...] = ()  # OpenCV's k1, k2, p1, p2[, k3[, …]] of the footage; the camera itself has none

    def __post_init__(self) -> None:
        """Fill in what was left out."""
        frames = np.size(self.focal_px)
        if not self.reprojection_error_percent_iod.size:
            object.__setattr__(self, "reprojection_error_percent_iod", np.full(frames, np.nan, np.float32))
        if not self.footage_frames.size:
            object.__setattr__(self, "footage_frames", np.full(frames, -1, np.int64))


@dataclass(frozen=True, eq=False)
class Track:
    """The result of a take of T frames. Metres, radians, seconds; head space and camera space as in DESIGN §3.

    World space is the first view's camera space, or that of the calibration where there is one. ``head_rotation (T,3)``
    is an axis-angle vector and ``head_translation (T,3)`` metres: world = R · head + translation (seeds/001 eq. 9).
    The frames are the first view's; those in which no view shows a face are bridged by the temporal prior and have
    ``tracked`` False. The person's neutral is the head's with ``identity``, plus ``deformation`` (δ_d, ``neutral_of``).
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
    reprojection_error_percent_iod: F32  # (T,) over the points of all views; NaN where not tracked
    provenance: Mapping[str, Any] = field(default_factory=dict)  # versions, options, aligner, per-stage seconds
    deformation: F32 = field(default_factory=lambda: np.zeros((0, 3), np.float32))  # (V,3) metres, or (0,3): none
    action_names: tuple[str, ...] = ()  # A: ARKit's face actions, or none
    actions: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (T,A) weights in 0…1
    uncertainty_mm: F32 = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )  # (T,) 1 σ of a face vertex, NaN unknown
    expression_sigma: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (T,K_ex) 1 σ, NaN unknown

    def __post_init__(self) -> None:
        """Fill in what was left out: no actions, unknown uncertainties."""
        frames = np.size(self.scene_frames)
        if not self.actions.size and not self.action_names:
            object.__setattr__(self, "actions", np.zeros((frames, 0), np.float32))
        if not self.uncertainty_mm.size:
            object.__setattr__(self, "uncertainty_mm", np.full(frames, np.nan, np.float32))
        if not self.expression_sigma.size:
            unknown = np.full(np.shape(self.expression), np.nan, np.float32)
            object.__setattr__(self, "expression_sigma", unknown)
