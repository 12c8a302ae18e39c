"""A take's cameras as .chan files, which Nuke, Natron, Houdini, Terragen and Blender's add-on for it read.

A line a frame, of columns parted by tabs: frame, tx, ty, tz, rx, ry, rz, angle of view. The angle is the vertical one,
and all angles are in degrees, as Nuke's Camera imports them and Blender's manual says (Import-Export, Nuke Animation).
Rotations are in the order ZXY, Nuke's own default: about z first, then x, then y. The world has y up, and a camera
looks along its −z. None of this is told in the file, so a README.txt tells it, with what the format has no column for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.export.cameras.pictures import camera_names, camera_to_world
from backend.export.meshes.posed import Y_UP
from backend.export.takes import ExportTake
from backend.export.words import README, Y_UP_WORDS, readme
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.types import CameraTrack, Track

CAMERA_Y_UP = Y_UP
"""A camera that looks along −z with y up = this · OpenCV's camera."""
COLUMNS = (
    "A file for each camera, a line for each frame: frame, tx, ty, tz, rx, ry, rz, vertical angle of view. Metres and "
    "degrees. Rotation order ZXY, Nuke's default: choose it in the importer. The camera looks along its -z, +y is up. "
    "Houdini's own .chan files have no column of frames: there, delete the first one."
)


def write_chan(take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Write ``<camera>.chan`` for each camera and a README.txt; raises Cancelled where ``should_cancel`` said so."""
    track, names = take.track, camera_names(take.track)
    for number, (name, camera) in enumerate(zip(names, track.cameras, strict=True), start=1):
        if should_cancel():
            raise Cancelled
        (folder / f"{name}.chan").write_text(chan(track, camera), "ascii", newline="\n")
        on_progress(JobProgress("writing the cameras", number / len(names)))
    views = [_lens(name, camera) for name, camera in zip(names, track.cameras, strict=True)]
    (folder / README).write_bytes(readme(take, [COLUMNS, Y_UP_WORDS, *views]))


def chan(track: Track, camera: CameraTrack) -> str:
    """One camera's file. Angles go on from frame to frame without a jump."""
    turns, places = camera_to_world(camera)
    rotations = Rotation.from_matrix(Y_UP @ turns @ CAMERA_Y_UP)
    angles = np.unwrap(rotations.as_euler("zxy"), axis=0)[:, [1, 2, 0]]
    view = 2 * np.arctan(camera.image_size[1] / 2 / camera.focal_px)
    numbers = np.concatenate([places @ Y_UP, np.degrees(angles), np.degrees(view)[:, None]], axis=1) + 0.0
    rows = zip(track.frames.tolist(), numbers.tolist(), strict=True)
    return "".join("\t".join([f"{frame}", *(f"{value:.8f}" for value in row)]) + "\n" for frame, row in rows)


def _lens(name: str, camera: CameraTrack) -> str:
    """What .chan has no column for."""
    (width, height), (x, y) = camera.image_size, camera.principal_point
    right, up = x - width / 2, height / 2 - y
    return (
        f"{name}.chan: pictures of {width} x {height} pixels, square and undistorted. The lens looks at ({x:.3f}, "
        f"{y:.3f}), counted from the top left corner: {right:.3f} pixels right of the middle and {up:.3f} above it "
        f"({right / width:.6f} and {up / width:.6f} of the width). On a film back of 36 mm width the focal length of "
        f"the first frame is {36 * camera.focal_px[0] / width:.4f} mm."
    )
