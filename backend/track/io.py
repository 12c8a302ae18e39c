"""A Track on disk: one npz without pickles, with a JSON header inside.

The header (UTF-8 bytes in the array ``header``) holds what is not an array: format, version, head, frame rate, cameras'
names, footage and picture sizes, names of the actions, provenance. Each other array is a field of Track or, as
``camera<i>_<field>``, of a CameraTrack. Version 1 had neither the arrays in ``SINCE_2`` nor the actions' names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.files import read_npz, write_npz
from backend.track.types import CameraTrack, Track
from protocol.job import DISTORTION_LENGTHS

FORMAT = "flowface-track"
VERSION = 2
READABLE = (1, 2)

Shape = tuple[int | str, ...]

TRACK_ARRAYS: dict[str, tuple[str, Shape]] = {
    "identity": ("f4", ("K_id",)),
    "expression": ("f4", ("T", "K_ex")),
    "head_rotation": ("f8", ("T", 3)),
    "head_translation": ("f8", ("T", 3)),
    "gaze": ("f4", ("T", 2, 2)),
    "frames": ("i8", ("T",)),
    "scene_frames": ("f8", ("T",)),
    "times": ("f8", ("T",)),
    "tracked": ("?", ("T",)),
    "reprojection_error_percent_iod": ("f4", ("T",)),
    "deformation": ("f4", ("V", 3)),
    "actions": ("f4", ("T", "A")),
    "uncertainty_mm": ("f4", ("T",)),
    "expression_sigma": ("f4", ("T", "K_ex")),
}
CAMERA_ARRAYS: dict[str, tuple[str, Shape]] = {
    "focal_px": ("f8", ("T",)),
    "principal_point": ("f8", (2,)),
    "world_to_camera": ("f8", ("T", 3, 4)),
    "reprojection_error_percent_iod": ("f4", ("T",)),
    "footage_frames": ("i8", ("T",)),
}
SINCE_2 = ("deformation", "actions", "uncertainty_mm", "expression_sigma")
CAMERA_SINCE_2 = ("reprojection_error_percent_iod", "footage_frames")
MAY_BE_NAN = ("reprojection_error_percent_iod", "uncertainty_mm", "expression_sigma")
CAMERA_FIELDS: dict[str, type] = {
    "name": str,
    "footage": str,
    "footage_kind": str,
    "footage_first_frame": int,
    "footage_frame_count": int,
    "footage_rotation": int,
}


def save_track(track: Track, path: Path) -> None:
    """Write a track, atomically.

    Raises:
        UserError: ``bad_track`` where the track contradicts itself: better no file than one that cannot be read.
    """
    arrays = {name: np.asarray(getattr(track, name), dtype) for name, (dtype, _) in TRACK_ARRAYS.items()}
    for index, camera in enumerate(track.cameras):
        for name, (dtype, _) in CAMERA_ARRAYS.items():
            arrays[f"camera{index}_{name}"] = np.asarray(getattr(camera, name), dtype)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "head_id": track.head_id,
        "head_hash": track.head_hash,
        "frame_rate": float(track.frame_rate),
        "cameras": [
            {name: kind(getattr(camera, name)) for name, kind in CAMERA_FIELDS.items()}
            | {"image_size": [int(n) for n in camera.image_size], "focal_ratio": float(camera.focal_ratio)}
            | {"distortion": [float(k) for k in camera.distortion]}
            for camera in track.cameras
        ],
        "action_names": list(track.action_names),
        "provenance": dict(track.provenance),
    }
    _check_arrays(arrays, len(track.cameras), len(track.action_names), path)
    text = json.dumps(header, ensure_ascii=False).encode()
    write_npz(path, {"header": np.frombuffer(text, np.uint8), **arrays})


def load_track(path: Path) -> Track:
    """Read a track.

    Raises:
        UserError: ``file_missing``, ``bad_file`` (not an npz, or one with lying sizes), ``bad_track`` (not a track, of
            another version, or one whose arrays do not fit each other), ``too_large``.
    """
    arrays = read_npz(path, "track")
    header = _read_header(arrays.pop("header", None), path)
    cameras = header.get("cameras")
    if not isinstance(cameras, list):
        raise _bad(path, "its header lists no cameras")
    actions = header.get("action_names") if header["version"] > 1 else []
    if not isinstance(actions, list):
        raise _bad(path, "its header lists no actions")
    if header["version"] < 2:
        new = {*SINCE_2, *(f"camera{index}_{name}" for index in range(len(cameras)) for name in CAMERA_SINCE_2)}
        arrays = {name: array for name, array in arrays.items() if name not in new}
    _check_arrays(arrays, len(cameras), len(actions), path, version=header["version"])
    try:
        return Track(
            head_id=_text(header["head_id"]),
            head_hash=_text(header["head_hash"]),
            cameras=tuple(_camera(index, fields, arrays) for index, fields in enumerate(cameras)),
            frame_rate=float(header["frame_rate"]),
            provenance=dict(header["provenance"]),
            action_names=tuple(_text(name) for name in actions),
            **{name: arrays[name] for name in TRACK_ARRAYS if name in arrays},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(path, f"its header is incomplete or wrong ({error})") from error


def _camera(index: int, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> CameraTrack:
    plain = {name: fields[name] for name in CAMERA_FIELDS}
    wrong = [name for name, kind in CAMERA_FIELDS.items() if type(plain[name]) is not kind]
    if wrong:
        raise TypeError(f"camera {index}: {wrong[0]}")
    width, height = (int(n) for n in fields["image_size"])
    came = (name for name in CAMERA_ARRAYS if f"camera{index}_{name}" in arrays)
    data: dict[str, Any] = {name: arrays[f"camera{index}_{name}"] for name in came}
    if "footage_frames" not in data and not index:
        data["footage_frames"] = arrays["frames"]  # version 1 knew one view only
    ratio, distortion = float(fields.get("focal_ratio", 1.0)), tuple(float(k) for k in fields.get("distortion", ()))
    if not np.isfinite([ratio, *distortion]).all() or len(distortion) not in DISTORTION_LENGTHS:
        raise ValueError(f"camera {index}: distortion")
    return CameraTrack(image_size=(width, height), focal_ratio=ratio, distortion=distortion, **plain, **data)


def _read_header(raw: NDArray[Any] | None, path: Path) -> dict[str, Any]:
    if raw is None or raw.dtype != np.uint8 or raw.ndim != 1:
        raise _bad(path, "it has no header")
    try:
        header = json.loads(raw.tobytes())
    except (ValueError, RecursionError) as error:
        raise _bad(path, "its header is damaged") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _bad(path, "its header is of something else")
    if header.get("version") not in READABLE:
        sentence = (
            f"The track {path} has format version {header.get('version')}; this FlowFace reads up to version {VERSION}."
        )
        raise UserError("bad_track", sentence, "Update FlowFace, or track the footage again.")
    return header


def _check_arrays(
    arrays: Mapping[str, NDArray[Any]], cameras: int, actions: int, path: Path, *, version: int = VERSION
) -> None:
    old = SINCE_2 if version < 2 else ()
    camera_old = CAMERA_SINCE_2 if version < 2 else ()
    table = {name: entry for name, entry in TRACK_ARRAYS.items() if name not in old}
    for index in range(cameras):
        table |= {f"camera{index}_{name}": e for name, e in CAMERA_ARRAYS.items() if name not in camera_old}
    sizes = {"A": actions}
    for name, (dtype, shape) in table.items():
        array = arrays.get(name)
        if array is None:
            raise _bad(path, f"“{name}” is missing")
        if array.dtype != np.dtype(dtype) or array.ndim != len(shape):
            raise _bad(path, f"“{name}” is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
        for wanted, got in zip(shape, array.shape, strict=True):
            if got != (sizes.setdefault(wanted, got) if isinstance(wanted, str) else wanted):
                raise _bad(path, f"“{name}” has shape {array.shape}, expected {shape} like the others")
        if not name.endswith(MAY_BE_NAN) and not np.isfinite(array).all():
            raise _bad(path, f"“{name}” holds a number that is not finite")
    if not cameras or not sizes["T"]:
        raise _bad(path, "it has no camera or no frame")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _bad(path: Path, why: str) -> UserError:
    return UserError("bad_track", f"{path} is not a whole track: {why}.", "Track the footage again.")
