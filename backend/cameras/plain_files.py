"""Calibrations in JSON, and in the YAML and XML that OpenCV's FileStorage and ROS write.

One interpreter for all of them, as they differ in wrapping only. Known forms:

- **FlowFace's own**: ``{"unit": "m", "cameras": [{"name": "left", "width": 1920, "height": 1080, "K": [[fx,0,cx],
  [0,fy,cy], [0,0,1]], "distortion": [k1,k2,p1,p2,k3], "R": 3×3 or 3 numbers, "t": [x,y,z]}, …]}``, where x_camera =
  R x_world + t with OpenCV's axes (x right, y down, z forward). ``image`` may stand for ``name``, ``world_to_camera``
  (3×4 or 4×4) for R and t; what is not known of lens and position is left out. ``cameras`` may also be a map from names
  to cameras. Pixel (0,0) is the top-left corner of the image, unless ``"pixel_origin": "centre"`` says that it is the
  centre of the first pixel.
- **OpenCV, one camera**: ``camera_matrix``, ``distortion_coefficients`` (or ``dist_coeffs``), ``image_width``,
  ``image_height``, perhaps ``R`` and ``T``; ROS's ``camera_info`` is the same with a ``camera_name``.
- **OpenCV, two cameras**: ``M1 D1 M2 D2 R T`` of stereo calibration; the first camera is the world.
- **OpenCV, several**: lists under ``camera_matrix`` (or ``Ks``), ``dist_coeffs`` (``distortions``), ``R`` (``Rs``) and
  ``T`` (``Ts``), one entry per camera, with their ``names`` where they have any.
- A map from names to cameras of any of these kinds.

All but the first count pixels from the centre of the first one, as OpenCV does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.cameras.named import NamedCamera, bad_calibration, named_camera, rotation_matrix

F64 = NDArray[np.float64]
Plain = Mapping[str, Any]

MAX_BYTES = 16 << 20
MAX_DEPTH = 12

MATRIX = ("K", "camera_matrix", "cameraMatrix", "intrinsic_matrix", "intrinsics", "intrinsic", "Ks", "mtx")
DISTORTION = (
    *("distortion", "dist_coeffs", "distCoeffs", "distortion_coefficients", "dist_coeff", "dist", "D"),
    *("distortions", "coeffs"),
)
ROTATION = ("R", "rotation", "rvec", "rotation_matrix", "Rs")
TRANSLATION = ("t", "T", "translation", "tvec", "translation_vector", "Ts")
EXTRINSIC = ("world_to_camera", "extrinsic", "extrinsics", "extrinsic_matrix")
WIDTH, HEIGHT = ("width", "image_width", "imageWidth"), ("height", "image_height", "imageHeight")
SIZE = ("image_size", "imageSize", "resolution", "size")
NAME = ("name", "camera_name", "image", "file", "filename", "id")
STEREO = (("M1", "M2"), ("K1", "K2"), ("cameraMatrix1", "cameraMatrix2"))


def read_plain_file(path: Path) -> tuple[list[NamedCamera], str]:
    """The cameras of a JSON, YAML or XML file, and its own word for the unit of its positions ("" where it has none).

    Raises UserError ``bad_calibration`` and ``calibration_image_size``.
    """
    data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    if not data:
        raise bad_calibration(path, f"it is empty or larger than {MAX_BYTES >> 20} MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_calibration(path, "it is not text") from error
    root = _json(path, text) if path.suffix.lower() == ".json" else _storage(path, text)
    if not isinstance(root, Mapping):
        raise bad_calibration(path, "it is not a map of named values")
    unit = root.get("unit", root.get("units", ""))
    return list(_cameras(path, root)), unit if isinstance(unit, str) else "unknown"


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_calibration(path, f"it is not JSON ({error})") from error


def _storage(path: Path, text: str) -> Any:
    """The contents of YAML or XML by OpenCV's FileStorage, as plain maps, lists, numbers and text."""
    if not text.lstrip().startswith(("%YAML", "<")):
        text = "%YAML:1.0\n---\n" + text  # ROS writes none, OpenCV insists on it
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        try:
            return _node(storage.root(), MAX_DEPTH)
        finally:
            storage.release()
    except (cv2.error, SystemError, ValueError) as error:
        raise bad_calibration(path, "it is not YAML or XML as OpenCV writes it") from error


def _node(node: cv2.FileNode, depth: int) -> Any:
    if depth == 0:
        raise ValueError("nested too deep")
    if node.isMap():
        return {key: _node(node.getNode(key), depth - 1) for key in node.keys()}  # noqa: SIM118 - no mapping
    if node.isSeq():
        return [_node(node.at(i), depth - 1) for i in range(node.size())]
    if node.isInt() or node.isReal():
        return node.real()
    return node.string() if node.isString() else None


def _cameras(path: Path, root: Plain) -> Iterator[NamedCamera]:
    listed = root.get("cameras")
    own = isinstance(listed, list) and bool(listed)
    if isinstance(listed, list):
        named = {_name(c, str(index + 1)): c for index, c in enumerate(listed) if isinstance(c, Mapping)}
        if len(named) != len(listed):
            raise bad_calibration(path, "two of its cameras have one name, or one is no map")
    elif isinstance(listed, Mapping):
        own, named = True, {str(key): value for key, value in listed.items()}
    else:
        named = _unlisted(path, root)
    shared = {key: root[key] for key in (*WIDTH, *HEIGHT, *SIZE) if key in root}
    centred = _centred(path, root, default=not own)
    for name, fields in named.items():
        if not isinstance(fields, Mapping):
            raise bad_calibration(path, f"“{name}” is no camera")
        yield _camera(path, name, {**shared, **fields}, centred=centred)


def _unlisted(path: Path, root: Plain) -> dict[str, Any]:
    """The cameras of a file that does not list them under ``cameras``, by name."""
    for first, second in STEREO:
        if first in root and second in root:
            return _stereo(root, first, second)
    matrix = _first(root, MATRIX)
    if matrix is not None:
        numbers = _array(path, matrix, "camera matrix")
        if numbers.ndim == 3:
            return _columns(path, root, len(numbers))
        return {_name(root, path.stem): root}
    named = {str(key): value for key, value in root.items() if isinstance(value, Mapping) and _has_matrix(value)}
    if not named:
        raise bad_calibration(
            path, "it holds no camera matrix", "See the README for the calibration files that are read."
        )
    return named


def _name(fields: Plain, otherwise: str) -> str:
    name = _first(fields, NAME)
    return otherwise if name is None else str(name)


def _has_matrix(fields: Plain) -> bool:
    return _first(fields, MATRIX) is not None


def _stereo(root: Plain, first: str, second: str) -> dict[str, Any]:
    cameras = {}
    for number, key in (("1", first), ("2", second)):
        distortion = root.get(f"D{number}", root.get(f"distCoeffs{number}", []))
        cameras[number] = {"K": root[key], "distortion": distortion}
    rotation, translation = _first(root, ROTATION), _first(root, TRANSLATION)
    if rotation is not None and translation is not None:
        cameras["1"] |= {"R": np.eye(3).tolist(), "t": [0.0, 0.0, 0.0]}
        cameras["2"] |= {"R": rotation, "t": translation}
    return cameras


def _columns(path: Path, root: Plain, count: int) -> dict[str, Any]:
    """Cameras whose values lie in lists beside each other."""
    names = root.get("names", root.get("camera_names", [str(i + 1) for i in range(count)]))
    columns = {"K": _first(root, MATRIX), "distortion": _first(root, DISTORTION)}
    columns |= {"R": _first(root, ROTATION), "t": _first(root, TRANSLATION)}
    size = _first(root, SIZE)
    if isinstance(size, list) and size and isinstance(size[0], list):
        columns["image_size"] = size
    given = {key: value for key, value in columns.items() if value is not None}
    if any(not isinstance(value, list) or len(value) != count for value in (names, *given.values())):
        raise bad_calibration(path, f"its lists are not all of {count} cameras")
    return {str(names[i]): {key: value[i] for key, value in given.items()} for i in range(count)}


def _camera(path: Path, name: str, fields: Plain, *, centred: bool) -> NamedCamera:
    matrix = _first(fields, MATRIX)
    if matrix is None:
        raise bad_calibration(path, f"“{name}” has no camera matrix")
    model = str(fields.get("distortion_model", fields.get("model", "")))
    if any(word in model.lower() for word in ("fisheye", "equidistant", "kannala")):
        raise bad_calibration(path, f"“{name}” is a fisheye camera ({model}), which is not supported")
    distortion = _first(fields, DISTORTION)
    width, height, size = _first(fields, WIDTH), _first(fields, HEIGHT), _first(fields, SIZE)
    if isinstance(size, list) and len(size) == 2 and width is None and height is None:
        width, height = size
    return named_camera(
        path,
        name,
        None if width is None or height is None else (width, height),
        _array(path, matrix, f"camera matrix of “{name}”"),
        () if distortion is None else _array(path, distortion, f"distortion of “{name}”").ravel().tolist(),
        _extrinsics(path, name, fields),
        centred_pixels=_centred(path, fields, default=centred),
    )


def _extrinsics(path: Path, name: str, fields: Plain) -> F64 | None:
    whole = _first(fields, EXTRINSIC)
    if whole is not None:
        matrix = _array(path, whole, f"world_to_camera of “{name}”")
        if matrix.shape == (4, 4) and np.allclose(matrix[3], (0, 0, 0, 1)):
            matrix = matrix[:3]
        if matrix.shape != (3, 4):
            raise bad_calibration(path, f"world_to_camera of “{name}” is neither 3 × 4 nor 4 × 4 with 0 0 0 1 below")
        return matrix
    rotation, translation = _first(fields, ROTATION), _first(fields, TRANSLATION)
    if rotation is None and translation is None:
        return None
    if rotation is None or translation is None:
        raise bad_calibration(path, f"“{name}” has a rotation without a translation, or the other way round")
    turn = rotation_matrix(path, name, _array(path, rotation, f"rotation of “{name}”"))
    shift = _array(path, translation, f"translation of “{name}”").ravel()
    if shift.shape != (3,):
        raise bad_calibration(path, f"the translation of “{name}” is not 3 numbers")
    return np.concatenate([turn, shift[:, None]], axis=1)


def _centred(path: Path, fields: Plain, *, default: bool) -> bool:
    origin = fields.get("pixel_origin")
    if origin is None:
        return default
    if origin not in ("corner", "centre", "center"):
        raise bad_calibration(path, "“pixel_origin” is neither “corner” nor “centre”")
    return bool(origin != "corner")


def _first(fields: Plain, keys: tuple[str, ...]) -> Any:
    return next((fields[key] for key in keys if fields.get(key) is not None), None)


def _array(path: Path, value: Any, what: str) -> F64:
    """Numbers as nested lists, or as a map of rows, cols and data (OpenCV's matrices, and ROS's)."""
    try:
        if isinstance(value, Mapping):
            return np.array(value["data"], np.float64).reshape(int(value["rows"]), int(value["cols"]))
        if not isinstance(value, list):
            raise TypeError
        parts = [_array(path, item, what) if isinstance(item, Mapping) else item for item in value]
        return np.array(parts, np.float64)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise bad_calibration(path, f"the {what} is not a matrix of numbers") from error
