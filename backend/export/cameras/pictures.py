"""What the camera formats share: which pictures a take has, what each is called, and where its camera stood.

Footage has pictures of its own, which none of these formats can name, so the names are those that they would have as
images of a folder: undistorted, with square pixels, of ``image_size``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.files import file_name
from backend.track.types import CameraTrack, Track

F64 = NDArray[np.float64]

NAMED = (
    "Pictures are called as the take's frames are numbered, with a folder for each camera where there are several. "
    "They are not part of this export: they are the footage's frames, upright and undistorted, with square pixels."
)


@dataclass(frozen=True)
class Picture:
    """One picture of one camera: ``view`` and ``index`` say which, of the track's cameras and of its frames."""

    view: int
    index: int
    name: str


def pictures_of(track: Track) -> list[Picture]:
    """All pictures of a take, by camera and then by frame, but those of frames that a camera's footage lacks."""
    several = len(track.cameras) > 1
    out = []
    for view, (camera, folder) in enumerate(zip(track.cameras, camera_names(track), strict=True)):
        known = bool((camera.footage_frames >= 0).any())  # tracks of before have none of these numbers
        out += [
            Picture(view, index, f"{folder + '/' if several else ''}{frame:06d}.png")
            for index, frame in enumerate(track.frames.tolist())
            if not known or camera.footage_frames[index] >= 0
        ]
    return out


def camera_names(track: Track) -> list[str]:
    """A name for each camera that every file system and every reader takes, each another one."""
    names: list[str] = []
    for number, camera in enumerate(track.cameras, start=1):
        name = file_name(camera.name)
        names.append(name if name.lower() not in {other.lower() for other in names} else f"{name}_{number}")
    return names


def camera_to_world(camera: CameraTrack) -> tuple[F64, F64]:
    """Rotations (T,3,3) from a camera's axes (OpenCV's) to the take's world, and its places (T,3) there in metres."""
    extrinsics = camera.world_to_camera
    turns = extrinsics[:, :, :3].transpose(0, 2, 1)
    return turns, -np.einsum("tij,tj->ti", turns, extrinsics[:, :, 3])
