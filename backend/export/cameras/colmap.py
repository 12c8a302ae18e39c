"""A take's cameras as a COLMAP model in text: cameras.txt, images.txt, points3D.txt.

As COLMAP's documentation has it (colmap.github.io/format.html): quaternion (w x y z) and translation lead from the
world to the camera, whose axes are OpenCV's, and the centre of the first pixel is (0.5, 0.5). All that is as in a
track, so that numbers go over as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.export.cameras.pictures import NAMED, Picture, camera_names, pictures_of
from backend.export.takes import ExportTake
from backend.export.words import README, readme
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.geometry import neutral_of
from backend.track.types import Track

F64 = NDArray[np.float64]

CONVENTIONS = (
    "COLMAP's: QW QX QY QZ TX TY TZ lead from the world to the camera (x right, y down, z forward), metres. The centre "
    "of the first pixel is at (0.5, 0.5). Every lens is a PINHOLE without distortion. A lens whose focal length "
    "changes is a camera for each picture."
)
STILL = (
    "World: the head's (+x the subject's left, +y up, +z out of the face), which therefore stands still, and the "
    "cameras move round it. points3D.txt has the vertices of the neutral face."
)
MOVING = (
    "World: the take's, in which the head moves; that of the calibration where there is one, else the first camera's. "
    "points3D.txt is empty, as nothing in the take is known to stand still."
)


def write_colmap(
    take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel, *, head_stands_still: bool
) -> None:
    """Write the three files and a README.txt, in the take's world or in the one in which the head stands still.

    Raises Cancelled where ``should_cancel`` said so.
    """
    track = take.track
    on_progress(JobProgress("writing the cameras", 0.0))
    pictures, cameras = pictures_of(track), _camera_ids(track)
    (folder / "cameras.txt").write_text(_cameras(track, cameras), "utf-8", newline="\n")
    if should_cancel():
        raise Cancelled
    poses = _in_head_space(track) if head_stands_still else [camera.world_to_camera for camera in track.cameras]
    (folder / "images.txt").write_text(_images(pictures, cameras, poses), "utf-8", newline="\n")
    on_progress(JobProgress("writing the cameras", 0.9))
    if should_cancel():
        raise Cancelled
    points = neutral_of(take.head, track) if head_stands_still else np.zeros((0, 3), np.float32)
    (folder / "points3D.txt").write_text(_points(points), "utf-8", newline="\n")
    about = "A COLMAP model in text: cameras.txt, images.txt, points3D.txt."
    (folder / README).write_bytes(
        readme(take, [about, CONVENTIONS, STILL if head_stands_still else MOVING, NAMED, _views(track)])
    )


def _views(track: Track) -> str:
    names = zip(camera_names(track), track.cameras, strict=True)
    return "Cameras: " + "; ".join(f"{name}, {camera.image_size[0]} x {camera.image_size[1]}" for name, camera in names)


def _camera_ids(track: Track) -> list[NDArray[np.int64]]:
    """By view (T,): the number of each frame's lens, from 1; the same one for all frames of a fixed focal length."""
    out, first = [], 1
    for camera in track.cameras:
        fixed = bool((camera.focal_px == camera.focal_px[0]).all())
        out.append(np.full(len(track.frames), first) if fixed else first + np.arange(len(track.frames)))
        first = int(out[-1].max()) + 1
    return out


def _cameras(track: Track, ids: list[NDArray[np.int64]]) -> str:
    lines = []
    for camera, own in zip(track.cameras, ids, strict=True):
        (width, height), (cx, cy) = camera.image_size, camera.principal_point.tolist()
        focals = dict(zip(own.tolist(), camera.focal_px.tolist(), strict=True))
        lines += [
            f"{number} PINHOLE {width} {height} {focal:.9g} {focal:.9g} {cx:.9g} {cy:.9g}\n"
            for number, focal in focals.items()
        ]
    head = "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
    return f"{head}# Number of cameras: {len(lines)}\n{''.join(lines)}"


def _in_head_space(track: Track) -> list[F64]:
    """By view (T,3,4): head space to camera."""
    turns = Rotation.from_rotvec(track.head_rotation.copy()).as_matrix()
    out = []
    for camera in track.cameras:
        to_camera = camera.world_to_camera
        moved = np.einsum("tij,tj->ti", to_camera[:, :, :3], track.head_translation) + to_camera[:, :, 3]
        out.append(np.concatenate([to_camera[:, :, :3] @ turns, moved[:, :, None]], axis=2))
    return out


def _images(pictures: list[Picture], ids: list[NDArray[np.int64]], poses: list[F64]) -> str:
    """Two lines for each picture; the second, of points that were seen, is empty."""
    if pictures:
        where = np.stack([poses[picture.view][picture.index] for picture in pictures])
        turns = Rotation.from_matrix(where[:, :, :3]).as_quat()[:, [3, 0, 1, 2]]
        turns *= np.where(turns[:, :1] < 0, -1.0, 1.0)
        numbers = np.concatenate([turns, where[:, :, 3]], axis=1).tolist()
    else:
        numbers = []
    lines = [
        f"{number} {' '.join(f'{value:.10g}' for value in row)} {ids[picture.view][picture.index]} {picture.name}\n\n"
        for number, (picture, row) in enumerate(zip(pictures, numbers, strict=True), start=1)
    ]
    head = (
        "# Image list with two lines of data per image:\n#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n"
        "#   POINTS2D[] as (X, Y, POINT3D_ID)\n"
    )
    return f"{head}# Number of images: {len(lines)}, mean observations per image: 0\n{''.join(lines)}"


def _points(points: NDArray[Any]) -> str:
    """A grey point for each vertex, numbered from 1, that no picture is told to have seen."""
    head = "# 3D point list with one line of data per point:\n#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]\n"
    lines = [f"{number} {x:.7f} {y:.7f} {z:.7f} 128 128 128 0\n" for number, (x, y, z) in enumerate(points.tolist(), 1)]
    return f"{head}# Number of points: {len(lines)}, mean track length: 0\n{''.join(lines)}"
