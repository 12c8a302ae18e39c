"""What a finished take tells Blender: plain arrays from which the add-on builds head, armature and cameras.

Metres, radians, seconds. Head space: +x the subject's left, +y up, +z out of the face. Camera space: OpenCV. T frames,
V vertices, F triangles, K expressions, J joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class HeadGeometry:
    """One person's head, ready to become a mesh with shape keys and an armature."""

    head_id: str
    head_hash: str
    neutral: NDArray[np.float32]  # (V,3) this person's neutral, head space
    expression_names: tuple[str, ...]  # K
    expression_deltas: NDArray[np.float32]  # (K,V,3)
    expression_bounds: NDArray[np.float32]  # (K,2); ±inf where free
    triangles: NDArray[np.int32]  # (F,3)
    uv_vertices: NDArray[np.float32]  # (U,2)
    uv_triangles: NDArray[np.int32]  # (F,3) into uv_vertices
    joint_names: tuple[str, ...]  # J: root, neck, jaw, left_eye, right_eye
    joint_parents: NDArray[np.int32]  # (J,) -1 for the root
    joints: NDArray[np.float32]  # (J,3) head space
    skinning_weights: NDArray[np.float32]  # (V,J)
    part_names: tuple[str, ...]  # material slots: skin, eyes, teeth, tongue, lashes
    triangle_part: NDArray[np.int32]  # (F,) index into part_names


@dataclass(frozen=True, eq=False)
class CameraGeometry:
    """One view: pinhole camera and footage, as in ``backend.track.types.CameraTrack``."""

    name: str
    footage: str
    footage_kind: str  # "video", "sequence" or "still"
    footage_first_frame: int  # scene frame on which the footage's first image shows
    footage_frame_count: int
    footage_rotation: int  # degrees clockwise by which the stored picture is turned for display
    image_size: tuple[int, int]  # (width, height) as displayed
    focal_px: NDArray[np.float64]  # (T,)
    principal_point: NDArray[np.float64]  # (2,) pixels
    world_to_camera: NDArray[np.float64]  # (T,3,4)
    reprojection_error_percent_iod: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """(T,) NaN where this view did not see the face; left out, it is NaN throughout."""
    footage_frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(T,) the number of the footage's frame that was used for each frame of the take, -1 where there was none.

    Left out, -1 throughout. Steps other than 1 mean that the footage's frame rate is not the take's.
    """
    focal_ratio: float = 1.0
    """fy / fx of the footage's lens; this camera itself has square pixels of the size that fx stands for."""
    distortion: tuple[float, ...] = ()
    """OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]] of the footage's lens, about the principal point; () for none. This
    camera itself has none: it shows what undistorted footage would."""

    def __post_init__(self) -> None:
        """Fill in what was left out, as older backends do."""
        frames = self.focal_px.size
        if not self.reprojection_error_percent_iod.size:
            object.__setattr__(self, "reprojection_error_percent_iod", np.full(frames, np.nan, np.float32))
        if not self.footage_frames.size:
            object.__setattr__(self, "footage_frames", np.full(frames, -1, np.int64))


@dataclass(frozen=True, eq=False)
class TakeResult:
    """A whole take: the head, its performance and the cameras that saw it.

    A of ``actions`` are ARKit's 52 face actions; 0 where the backend that tracked the take knew none for its head.
    ``uncertainty_mm`` is one standard deviation of a vertex of the face as the fit knows it.
    """

    name: str
    head: HeadGeometry
    cameras: tuple[CameraGeometry, ...]
    scene_frames: NDArray[np.float64]  # (T,) on Blender's timeline
    frame_rate: float
    expression: NDArray[np.float32]  # (T,K)
    head_rotation: NDArray[np.float64]  # (T,3) axis-angle
    head_translation: NDArray[np.float64]  # (T,3) metres
    gaze: NDArray[np.float32]  # (T,2,2): (left, right) × (yaw, pitch); yaw + to the subject's left, pitch + up
    tracked: NDArray[np.bool_]  # (T,)
    reprojection_error_percent_iod: NDArray[np.float32]  # (T,) NaN where not tracked
    report: Mapping[str, Any] = field(default_factory=dict)
    action_names: tuple[str, ...] = ()  # A
    actions: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (T,A) weights in 0…1
    uncertainty_mm: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))  # (T,) NaN: unknown

    def __post_init__(self) -> None:
        """Fill in what was left out, as older backends do."""
        frames = self.scene_frames.size
        if not self.actions.size and not self.action_names:
            object.__setattr__(self, "actions", np.zeros((frames, 0), np.float32))
        if not self.uncertainty_mm.size:
            object.__setattr__(self, "uncertainty_mm", np.full(frames, np.nan, np.float32))
