"""Calibration files of any known kind as cameras by name, and which of them belongs to which view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backend.cameras.formats.detect import calibration_files, read_calibration_file
from backend.cameras.named import NamedCamera, bad_calibration, quoted
from backend.cameras.view_matching import Found, Series, by_name, by_path_end, series_name, series_of
from backend.errors import ErrorCode, UserError
from backend.reading import shown
from protocol.messages import CameraSpec

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "unknown": None}
"""Units that positions may be in; "unknown" leaves the scale to the size of the head."""

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mxf", ".mts", ".ts", ".mpg", ".wmv")


@dataclass(frozen=True)
class Calibration:
    """Cameras by name. ``metric``: their positions are in metres; False: in a unit of unknown length."""

    cameras: tuple[NamedCamera, ...]
    metric: bool


def load_calibration(paths: Sequence[Path], unit: str = "") -> Calibration:
    """Read calibration files of any of the ``formats``: OpenCV's and ROS's, our own, COLMAP's, nerfstudio's, Kalibr's.

    Several files, or a folder of them, are one calibration: often each camera has its own. A folder with a
    ``cameras.bin`` or ``cameras.txt`` is COLMAP's. ``unit`` (m, cm, mm, unknown) is that of the positions; "" believes
    what the files say, and where they say nothing the unit is unknown.

    Raises:
        UserError: ``calibration_missing``, ``bad_calibration``, ``calibration_image_size``, ``bad_unit``.
    """
    cameras: list[NamedCamera] = []
    units: set[str] = set()
    for path in paths:
        try:
            if not path.exists():
                why = f"There is no calibration file {shown(path)}."
                raise UserError(ErrorCode.CALIBRATION_MISSING, why, "Check the path.")
            for file in calibration_files(path):
                found, own = read_calibration_file(file)
                cameras += found
                units.add(own)
        except OSError as error:
            raise bad_calibration(path, f"it cannot be read ({error.strerror or error})") from error
    name, count = Counter(camera.name for camera in cameras).most_common(1)[0] if cameras else ("", 0)
    if count != 1:
        why = f"two cameras are called {quoted(name)}" if count else "it holds no camera"
        raise bad_calibration(paths[0], why, "Give every camera a name of its own." if count else "")
    unit = unit or (units.pop() if len(units) == 1 else "") or "unknown"
    if unit not in METRES:
        raise UserError(
            ErrorCode.BAD_UNIT, f"{quoted(unit[:20])} is no unit of a calibration: use {', '.join(METRES)}."
        )
    scale = METRES[unit]
    posed = any(camera.spec.world_to_camera for camera in cameras)
    return Calibration(tuple(_scaled(camera, scale or 1.0) for camera in cameras), scale is not None or not posed)


def cameras_for_views(calibration: Calibration, views: Sequence[tuple[str, str]]) -> tuple[CameraSpec, ...]:
    """The camera of each view, given as (footage path, view name).

    They belong together by the ends of their paths, by file name, by its stem with or without the number at its end, by
    the view's name, or by the folder the footage lies in; where no name agrees and there are as many cameras as views,
    by order. Where a calibration knows each picture, all pictures of a camera that stands still are one camera.

    Raises:
        UserError: ``calibration_views`` naming the view that has no camera or whose camera moves, or what there is.
    """
    series = series_of(calibration.cameras)
    paths = [path for path, _ in views]
    found = by_path_end(calibration.cameras, paths)
    best: Found = []
    if not _each_its_own(found):
        found, best = by_name(calibration.cameras, views)
    if not found:
        whole = [NamedCamera(name, group.cameras[0].spec, picture=True) for name, group in series.items()]
        whole += [camera for camera in calibration.cameras if not camera.picture]
        found, partly = by_name(whole, views)
        best = best or partly
        ordered = next((some for some in (calibration.cameras, whole) if len(some) == len(views)), None)
        if not found and best:
            raise UserError(
                ErrorCode.CALIBRATION_VIEWS,
                f"The calibration has no camera for {paths[best.index(None)]}; it has {_listed(whole)}.",
                "Give every view a camera of its name, or leave the calibration out.",
            )
        if not found and ordered is None:
            raise UserError(
                ErrorCode.CALIBRATION_VIEWS,
                f"It cannot be told which camera saw which view: {len(views)} views, and cameras {_listed(whole)}.",
                "Name the cameras in the calibration as the footage files are called.",
            )
        found = found or list(ordered or ())
    cameras = [camera for camera in found if camera is not None]
    _require_still(cameras, paths, series)
    return tuple(camera.spec for camera in cameras)


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


def _each_its_own(found: Found) -> bool:
    names = {camera.name for camera in found if camera is not None}
    return len(names) == len(found)


def _require_still(cameras: Sequence[NamedCamera], paths: Sequence[str], series: dict[str, Series]) -> None:
    """Refuse a view whose camera's other pictures were taken from elsewhere.

    Several views of one series are stills of several cameras, each with its own place; so is a video that is called
    like one picture.
    """
    names = [(camera.name if camera.name in series else series_name(camera.name)) for camera in cameras]
    shared = Counter(names)
    for camera, name, path in zip(cameras, names, paths, strict=True):
        told_apart = shared[name] > 1 or (camera.name not in series and path.lower().endswith(VIDEO_SUFFIXES))
        if camera.picture and name in series and not series[name].still and not told_apart:
            raise UserError(
                ErrorCode.CALIBRATION_VIEWS,
                f"The calibration has the camera of {path} in {len(series[name].cameras)} pictures ({quoted(name)}), "
                "not all from one place or with one lens: cameras have to stand still.",
                "Leave the calibration out, or give a file of the lens alone.",
            )


def _scaled(camera: NamedCamera, scale: float) -> NamedCamera:
    matrix = camera.spec.world_to_camera
    if matrix is None:
        return camera
    moved = tuple(value * scale if i % 4 == 3 else value for i, value in enumerate(matrix))
    return replace(camera, spec=replace(camera.spec, world_to_camera=moved))


def _listed(cameras: Sequence[NamedCamera]) -> str:
    names = [quoted(camera.name) for camera in cameras]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") or "none"
