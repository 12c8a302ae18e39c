"""A take as plain JSON, for scripts in any language.

One object, UTF-8. T is the number of the take's frames; every list of T entries is by frame.

- ``format`` ``"flowface-track"``, ``version`` 1. A reader should refuse versions that it does not know; fields may be
  added within one.
- ``units``, ``axes``: what the numbers mean, in words (``UNITS``, ``AXES``).
- ``head``: ``id`` and ``hash`` of the head model.
- ``frame_rate``: frames a second of the timeline. ``frames`` (T): the footage's frame numbers. ``times`` (T): seconds
  since its first frame. ``scene_frames`` (T): frames of Blender's timeline, fractional where the footage's rate varies.
- ``tracked`` (T): false where no face was found and the frame was bridged. ``error`` (T): reprojection error in percent
  of the inter-ocular distance, null where not known.
- ``actions``: for each of ARKit's 52 actions by name its weights (T), 0…1.
- ``head_rotation`` (T×3): rotation vectors, axis times angle. ``head_translation`` (T×3): world = R · head + it.
- ``gaze``: ``left`` and ``right``, each with ``yaw`` (T) and ``pitch`` (T), relative to the head.
- ``cameras``, the main one first: ``name``, ``footage`` (the file's name), ``image_size`` [width, height], ``focal``
  (T), ``principal_point`` [x, y], ``world_to_camera`` (T×3×4). pixel = focal · (x/z, y/z) + principal point.
  ``focal_ratio``, ``distortion`` and ``distortion_model`` are those of the footage's lens: the camera itself has square
  pixels and no distortion.

Numbers are rounded to seven decimals.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.export.arkit_weights import arkit_weights
from backend.head_model.model import HeadModel
from backend.track.types import CameraTrack, Track
from protocol.face_actions import ARKIT_ACTIONS

FORMAT, VERSION = "flowface-track", 1
UNITS = {"length": "metre", "angle": "radian", "time": "second", "image": "pixel", "error": "percent"}
AXES = {
    "head": "+x the subject's left, +y up, +z out of the face",
    "world": "the first camera's, unless a calibration says otherwise",
    "camera": "+x right, +y down, +z forward; world_to_camera maps the world's points into it",
    "image": "(0, 0) is the top-left corner, the first pixel's centre is (0.5, 0.5)",
    "gaze": "yaw is positive towards the subject's left, pitch upwards; both zero look along the head's +z",
}
DECIMALS = 7


def json_track(track: Track, head: HeadModel) -> bytes:
    """The file's bytes."""
    gaze = {
        side: {angle: _numbers(track.gaze[:, eye, axis]) for axis, angle in enumerate(("yaw", "pitch"))}
        for eye, side in enumerate(("left", "right"))
    }
    document = {
        "format": FORMAT,
        "version": VERSION,
        "units": UNITS,
        "axes": AXES,
        "head": {"id": track.head_id, "hash": track.head_hash},
        "frame_rate": float(track.frame_rate),
        "frames": track.frames.tolist(),
        "times": _numbers(track.times),
        "scene_frames": _numbers(track.scene_frames),
        "tracked": track.tracked.tolist(),
        "error": _numbers(track.reprojection_error_percent_iod),
        "actions": dict(zip(ARKIT_ACTIONS, _numbers(arkit_weights(track, head).T), strict=True)),
        "head_rotation": _numbers(track.head_rotation),
        "head_translation": _numbers(track.head_translation),
        "gaze": gaze,
        "cameras": [_camera(camera) for camera in track.cameras],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _camera(camera: CameraTrack) -> dict[str, Any]:
    return {
        "name": camera.name,
        "footage": PurePath(camera.footage.replace("\\", "/")).name,
        "image_size": list(camera.image_size),
        "focal": _numbers(camera.focal_px),
        "principal_point": _numbers(camera.principal_point),
        "world_to_camera": _numbers(camera.world_to_camera),
        "focal_ratio": camera.focal_ratio,
        "distortion": list(camera.distortion),
        "distortion_model": str(camera.distortion_model.value),
    }


def _numbers(values: NDArray[Any]) -> list[Any]:
    """Nested lists of the numbers, None for what is not known."""
    rounded = np.round(np.asarray(values, np.float64), DECIMALS) + 0.0
    known = np.isfinite(rounded)
    if known.all():
        return rounded.tolist()
    numbers = rounded.astype(object)
    numbers[~known] = None
    return numbers.tolist()
