"""Multiface as it is downloaded: one folder a subject.

::

    FOLDER/m--DATE--TIME--ID--GHS/KRT                                   all cameras
    FOLDER/m--…--GHS/images/SEGMENT/CAMERA/FRAME.png
    FOLDER/m--…--GHS/tracked_mesh/SEGMENT/FRAME.bin, FRAME.obj          vertices, millimetres, in the head's space
    FOLDER/m--…--GHS/tracked_mesh/SEGMENT/FRAME_transform.txt           (3,4) head to world, millimetres

Frames are numbered in steps (of three), 30 a second. ``KRT`` has of each camera its name, K in three lines, a line of
distortion (which the data set's own loader leaves alone) and [R | t], world to camera, in three lines. Source:
documentation/DATA_STRUCTURE.md and ``dataset.py`` of github.com/facebookresearch/multiface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.layout import refuse_missing, require_folder
from backend.head_model.converters.obj import read_obj, read_obj_vertices
from backend.reading import is_file, is_folder, read_bounded, shown

F64 = NDArray[np.float64]

MM = 1000.0
RATE = 30.0
MAX_TEXT_BYTES, MAX_MESH_BYTES = 4 << 20, 64 << 20
HINT = (
    "See backend/evaluation/challenges/multiface/layout.py for the layout; images, meshes and metadata come by "
    "download_dataset.py of github.com/facebookresearch/multiface."
)


@dataclass(frozen=True, eq=False)
class KrtCamera:
    """``intrinsic (3,3)`` in pixels; ``extrinsic (3,4)`` [R | t], world to camera, t in metres."""

    intrinsic: F64
    extrinsic: F64

    @property
    def position(self) -> F64:
        """(3,) in the world, metres."""
        return -self.extrinsic[:, :3].T @ self.extrinsic[:, 3]


@dataclass(frozen=True, eq=False)
class Subject:
    """A subject's folder and its cameras."""

    folder: Path
    cameras: Mapping[str, KrtCamera]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def segments(self) -> list[str]:
        """Those that have both meshes and images."""
        meshes = {path.name for path in (self.folder / "tracked_mesh").iterdir() if is_folder(path)}
        return sorted(path.name for path in (self.folder / "images").iterdir() if path.name in meshes)

    def mesh_folder(self, segment: str) -> Path:
        return self.folder / "tracked_mesh" / segment

    def pictures(self, segment: str, camera: str) -> dict[str, Path]:
        """By frame."""
        return {path.stem: path for path in sorted((self.folder / "images" / segment / camera).glob("*.png"))}

    def cameras_of(self, segment: str) -> list[str]:
        """The calibrated cameras that have pictures of a segment."""
        return [name for name in self.cameras if is_folder(self.folder / "images" / segment / name)]

    def frames(self, segment: str, cameras: Sequence[str] = ()) -> list[str]:
        """The frames that have a mesh and a picture in each of ``cameras``, in order."""
        found = {path.name.removesuffix("_transform.txt") for path in self.mesh_folder(segment).glob("*_transform.txt")}
        for camera in cameras:
            found &= self.pictures(segment, camera).keys()
        return sorted((frame for frame in found if frame.isdigit()), key=int)

    def lacking(self, segment: str) -> list[Path]:
        """The files that a segment's meshes lack."""
        folder = self.mesh_folder(segment)
        if not is_folder(folder):
            return [folder]
        meshes = {path.stem for pattern in ("*.bin", "*.obj") for path in folder.glob(pattern)}
        turned = set(self.frames(segment))
        lost = [folder / f"{frame}.bin" for frame in sorted(turned - meshes)]
        lost += [folder / f"{frame}_transform.txt" for frame in sorted(meshes - turned)]
        return lost if next(folder.glob("*.obj"), None) else [*lost, folder / "*.obj"]


def read_subjects(folder: Path) -> list[Subject]:
    """The subjects in ``folder``, by name; or the one that it is itself.

    Raises UserError ``challenge_layout`` naming all that is missing of all subjects, ``bad_file`` for a ``KRT``.
    """
    require_folder(folder, "Multiface")
    places = [path for path in sorted(folder.glob("m--*")) if is_folder(path)]
    places = [folder] if not places and is_file(folder / "KRT") else places
    refuse_missing(folder, "Multiface", [] if places else ["m--*--GHS"], HINT)
    missing = [place / "KRT" for place in places if not is_file(place / "KRT")]
    missing += [place / part for place in places for part in ("images", "tracked_mesh") if not is_folder(place / part)]
    refuse_missing(folder, "Multiface", missing, HINT)
    return [Subject(place, read_krt(place / "KRT")) for place in places]


def read_krt(path: Path) -> dict[str, KrtCamera]:
    """The cameras by name. Raises UserError ``bad_file`` naming the camera whose numbers are not there."""
    text = read_bounded(path, "KRT", MAX_TEXT_BYTES).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found: dict[str, KrtCamera] = {}
    for start in range(0, len(lines), 8):
        name, rows = lines[start], lines[start + 1 : start + 8]
        try:
            numbers = [[float(part) for part in row.split()] for row in rows]
            intrinsic, extrinsic = np.array(numbers[:3]), np.array(numbers[4:])
            right = len(rows) == 7 and intrinsic.shape == (3, 3) and extrinsic.shape == (3, 4)
        except ValueError:
            right = False
        if not right or not np.isfinite([*intrinsic.flat, *extrinsic.flat]).all() or intrinsic[0, 0] <= 0:
            raise UserError(
                ErrorCode.BAD_FILE,
                f"{shown(path)} does not hold camera “{name[:40]}”: expected three lines of K, one of distortion and "
                "three of [R | t] after its name.",
                HINT,
            )
        found[name] = KrtCamera(intrinsic, np.concatenate([extrinsic[:, :3], extrinsic[:, 3:] / MM], axis=1))
    if not found:
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} names no camera.", HINT)
    return found


def steps(frames: Sequence[str]) -> NDArray[np.intp]:
    """(n,) the places of frames on an even timeline, from 0: their numbers in units of the least step."""
    numbers = np.array([int(frame) for frame in frames])
    step = min((int(b) - int(a) for a, b in pairwise(numbers)), default=1)
    return np.asarray(np.rint((numbers - numbers[0]) / step), np.intp)


@lru_cache(maxsize=4)
def triangles_of(folder: Path) -> NDArray[np.int32]:
    """(F,3) of a segment's meshes, by one of its OBJs. Raises UserError ``challenge_layout``, ``bad_mesh``."""
    path = next(iter(sorted(folder.glob("*.obj"))), None)
    if path is None:
        raise UserError(ErrorCode.CHALLENGE_LAYOUT, f"There is no OBJ in {shown(folder)}.", HINT)
    return read_obj(path).triangles


def head_vertices(subject: Subject, segment: str, frame: str) -> F64:
    """(V,3) metres, in the head's own space. Raises UserError ``bad_file`` or ``bad_mesh``."""
    path = subject.mesh_folder(segment) / f"{frame}.bin"
    if not is_file(path):
        return read_obj_vertices(path.with_suffix(".obj")) / MM
    data = read_bounded(path, "mesh", MAX_MESH_BYTES)
    count = int(triangles_of(subject.mesh_folder(segment)).max()) + 1
    if len(data) % 12 or len(data) < 12 * count:
        raise UserError(
            ErrorCode.BAD_FILE,
            f"{shown(path)} has {len(data)} bytes; three floats of four bytes for each of at least {count} vertices "
            "are expected.",
            HINT,
        )
    vertices = np.frombuffer(data, "<f4").reshape(-1, 3).astype(np.float64)
    if not np.isfinite(vertices).all():
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} holds a vertex that is not finite.", HINT)
    return vertices / MM


def head_pose(subject: Subject, segment: str, frame: str) -> F64:
    """(3,4) [R | t] from the head's space to the world, t in metres. Raises UserError ``bad_file``."""
    path = subject.mesh_folder(segment) / f"{frame}_transform.txt"
    text = read_bounded(path, "head pose", MAX_TEXT_BYTES).decode("utf-8", "replace")
    try:
        pose = np.array([[float(part) for part in line.split()] for line in text.splitlines() if line.strip()])
        right = pose.shape in ((3, 4), (4, 4)) and bool(np.isfinite(pose).all())
    except ValueError:
        right = False
    if not right:
        raise UserError(
            ErrorCode.BAD_FILE, f"{shown(path)} is no head pose: expected three lines of four numbers.", HINT
        )
    return np.concatenate([pose[:3, :3], pose[:3, 3:] / MM], axis=1)


def in_camera(subject: Subject, segment: str, frame: str, camera: KrtCamera) -> F64:
    """(V,3) a frame's mesh in camera space, metres."""
    pose = head_pose(subject, segment, frame)
    world = head_vertices(subject, segment, frame) @ pose[:, :3].T + pose[:, 3]
    return world @ camera.extrinsic[:, :3].T + camera.extrinsic[:, 3]
