"""Calibration files of any known kind as cameras by name, and which of them belongs to which view."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from backend.cameras.colmap import read_colmap
from backend.cameras.named import NamedCamera, bad_calibration
from backend.cameras.plain_files import read_plain_file
from backend.errors import ErrorCode, UserError
from protocol.messages import CameraSpec

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "unknown": None}
"""Units that positions may be in; "unknown" leaves the scale to the size of the head."""
PLAIN_SUFFIXES = (".json", ".yml", ".yaml", ".xml")


@dataclass(frozen=True)
class Calibration:
    """Cameras by name. ``metric``: their positions are in metres; False: in a unit of unknown length."""

    cameras: tuple[NamedCamera, ...]
    metric: bool


def load_calibration(paths: Sequence[Path], unit: str = "") -> Calibration:
    """Read calibration files: OpenCV's YAML, XML and JSON, ROS's, our own JSON (``plain_files``), COLMAP's text.

    Several files, or a folder of them, are one calibration: often each camera has its own. A folder with a
    ``cameras.txt`` is COLMAP's. ``unit`` (m, cm, mm, unknown) is that of the positions; "" believes what the files say,
    and where they say nothing the unit is unknown.

    Raises:
        UserError: ``calibration_missing``, ``bad_calibration``, ``calibration_image_size``, ``bad_unit``.
    """
    cameras: list[NamedCamera] = []
    units: set[str] = set()
    for path in paths:
        for file in _files(path):
            found, own = _read(file)
            cameras += found
            units.add(own)
    name, count = Counter(camera.name for camera in cameras).most_common(1)[0] if cameras else ("", 0)
    if count != 1:
        why = f"two cameras are called “{name}”" if count else "it holds no camera"
        raise bad_calibration(paths[0], why, "Give every camera a name of its own." if count else "")
    unit = unit or (units.pop() if len(units) == 1 else "") or "unknown"
    if unit not in METRES:
        raise UserError(ErrorCode.BAD_UNIT, f"“{unit[:20]}” is no unit of a calibration: use {', '.join(METRES)}.")
    scale = METRES[unit]
    posed = any(camera.spec.world_to_camera for camera in cameras)
    return Calibration(tuple(_scaled(camera, scale or 1.0) for camera in cameras), scale is not None or not posed)


def cameras_for_views(calibration: Calibration, views: Sequence[tuple[str, str]]) -> tuple[CameraSpec, ...]:
    """The camera of each view, given as (footage path, view name).

    They belong together by file name, by its stem with or without the number at its end, by the view's name, or by the
    folder the footage lies in; where no name agrees and there are as many cameras as views, by order.

    Raises:
        UserError: ``calibration_views`` naming the view that has no camera, or what there is.
    """
    named = {camera.name: camera for camera in calibration.cameras}
    best: list[NamedCamera | None] = []
    for keys in zip(*(_keys(path, name) for path, name in views), strict=True):
        found = [_find(named, key) for key in keys]
        present = [camera.name for camera in found if camera is not None]
        if len(set(present)) == len(views):
            return tuple(camera.spec for camera in found if camera is not None)
        if present and len(set(present)) == len(present):
            best = best or found
    if best:
        raise UserError(
            ErrorCode.CALIBRATION_VIEWS,
            f"The calibration has no camera for {views[best.index(None)][0]}; it has {_listed(calibration)}.",
            "Give every view a camera of its name, or leave the calibration out.",
        )
    if len(views) == len(calibration.cameras):
        return tuple(camera.spec for camera in calibration.cameras)
    raise UserError(
        ErrorCode.CALIBRATION_VIEWS,
        f"It cannot be told which camera saw which view: {len(views)} views, and cameras {_listed(calibration)}.",
        "Name the cameras in the calibration as the footage files are called.",
    )


def camera_for_size(camera: CameraSpec, size: tuple[int, int], view: str) -> CameraSpec:
    """The camera for footage of ``size`` (width, height), be it the calibration's pictures made smaller or larger.

    Raises:
        UserError: ``calibration_image_size`` where the two have other proportions: then the picture was cropped, and
            nobody knows where.
    """
    if camera.image_size == size:
        return camera
    (width, height), (calibrated_width, calibrated_height) = size, camera.image_size
    if width * calibrated_height != height * calibrated_width:
        raise UserError(
            ErrorCode.CALIBRATION_IMAGE_SIZE,
            f"The view “{view}” is {width} × {height} pixels, but its camera was calibrated for {calibrated_width} × "
            f"{calibrated_height}, which is not the same picture in another size.",
            "Calibrate with pictures of the footage's size, and as it is displayed: turned pictures are other ones.",
        )
    scale = width / calibrated_width
    return replace(
        camera,
        image_size=size,
        focal_px=None if camera.focal_px is None else camera.focal_px * scale,
        principal_point=camera.principal_point
        and (camera.principal_point[0] * scale, camera.principal_point[1] * scale),
    )


def _files(path: Path) -> list[Path]:
    """The files to read at a path: itself, or the files of a folder that is not COLMAP's."""
    if not path.exists():
        raise UserError(ErrorCode.CALIBRATION_MISSING, f"There is no calibration file {path}.", "Check the path.")
    if not path.is_dir() or (path / "cameras.txt").is_file():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in PLAIN_SUFFIXES)
    if not files:
        raise bad_calibration(path, "the folder holds neither cameras.txt nor JSON, YAML or XML files")
    return files


def _read(path: Path) -> tuple[list[NamedCamera], str]:
    try:
        if path.is_dir() or path.name in ("cameras.txt", "images.txt"):
            return read_colmap(path), "unknown"
        if path.suffix.lower() in PLAIN_SUFFIXES:
            return read_plain_file(path)
    except OSError as error:
        raise bad_calibration(path, f"it cannot be read ({error.strerror})") from error
    raise bad_calibration(
        path,
        "its name ends in none of " + ", ".join(PLAIN_SUFFIXES),
        "Calibrations are read from OpenCV's YAML, XML or JSON, and from COLMAP's cameras.txt and images.txt.",
    )


def _scaled(camera: NamedCamera, scale: float) -> NamedCamera:
    matrix = camera.spec.world_to_camera
    if matrix is None:
        return camera
    moved = tuple(value * scale if i % 4 == 3 else value for i, value in enumerate(matrix))
    return NamedCamera(camera.name, replace(camera.spec, world_to_camera=moved))


def _keys(path: str, name: str) -> tuple[str, ...]:
    """The names that a view's camera may have, likeliest first; every view gets as many."""
    stem = _stem(path)
    return _base(path), stem, _base(name), stem.rstrip("0123456789").rstrip("._- "), _folder(path)


def _folder(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).parent.name.casefold()


def _base(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name.casefold()


def _stem(path: str) -> str:
    return re.sub(r"\.[a-z0-9]{1,5}$", "", _base(path))


def _find(named: dict[str, NamedCamera], wanted: str) -> NamedCamera | None:
    """The camera called ``wanted``, with or without folder and suffix; None where none or several are."""
    if not wanted:
        return None
    for spelled in (_base, _stem, _folder):
        found = [camera for name, camera in named.items() if spelled(name) == wanted]
        if len(found) == 1:
            return found[0]
    return None


def _listed(calibration: Calibration) -> str:
    names = [f"“{camera.name}”" for camera in calibration.cameras]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") or "none"
