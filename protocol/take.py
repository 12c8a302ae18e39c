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
    """One view: pinhole camera and footage, as in ``backend.track.CameraTrack``."""

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


@dataclass(frozen=True, eq=False)
class TakeResult:
    """A whole take: the head, its performance and the cameras that saw it."""

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
