"""Calibrations of OpenCV's names and ROS's, and FlowFace's own JSON.

One interpreter for all of them, as they differ in wrapping only. Known forms:

- **FlowFace's own**: ``{"unit": "m", "cameras": [{"name": "left", "width": 1920, "height": 1080, "K": [[fx,0,cx],
  [0,fy,cy], [0,0,1]], "distortion": [k1,k2,p1,p2,k3], "R": 3×3 or 3 numbers, "t": [x,y,z]}, …]}``, where x_camera =
  R x_world + t with OpenCV's axes (x right, y down, z forward). ``image`` may stand for ``name``, ``world_to_camera``
  (3×4 or 4×4) for R and t; what is not known of lens and position is left out. ``"distortion_model": "fisheye"`` makes
  ``distortion`` OpenCV's fisheye k1, k2, k3, k4. ``cameras`` may also be a map from names to cameras. Pixel (0,0) is
  the top-left corner of the image, unless ``"pixel_origin": "centre"`` says that it is the centre of the first pixel.
- **OpenCV, one camera**: ``camera_matrix``, ``distortion_coefficients`` (or ``dist_coeffs``), ``image_width``,
  ``image_height`` (or ``cameraResolution``), perhaps ``fisheye_model``, ``R`` and ``T``; ROS's ``camera_info`` is the
  same with a ``camera_name`` and a ``distortion_model``. ``fx``, ``fy``, ``cx``, ``cy`` may stand for the matrix, k1 …
  p2 for the coefficients, also as ``Camera.fx``.
- **OpenCV, two cameras**: ``M1 D1 M2 D2 R T`` of stereo calibration; the first camera is the world.
- **OpenCV, several**: lists under ``camera_matrix`` (or ``Ks``), ``dist_coeffs`` (``distortions``), ``R`` (``Rs``) and
  ``T`` (``Ts``), one entry per camera, with their ``names`` where they have any.
- A map from names to cameras of any of these kinds.

All but the first count pixels from the centre of the first one, as OpenCV does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.cameras.formats.fields import HEIGHT, SIZE, WIDTH, Plain, array, bare, first, image_size, rigid_motion
from backend.cameras.formats.lens_models import (
    BROWN_ORDER,
    MODEL_KEYS,
    distortion_model,
    lens_of_parameters,
    matrix_of_four,
    number,
)
from backend.cameras.named import (
    LensNumbers,
    NamedCamera,
    bad_calibration,
    named_camera,
    quoted,
    require_few,
    rotation_matrix,
)

F64 = NDArray[np.float64]

MATRIX = (
    *("K", "k", "camera_matrix", "cameraMatrix", "CameraMatrix", "intrinsic_matrix", "intrinsics", "intrinsic"),
    *("Ks", "mtx"),
)
DISTORTION = (
    *("distortion", "dist_coeffs", "distCoeffs", "distortion_coefficients", "distortion_coeffs", "dist_coeff", "dist"),
    *("DistCoeffs", "distortionCoefficients", "D", "d", "distortions", "coeffs"),
)
ROTATION = ("R", "r", "rotation", "rvec", "rotation_matrix", "Rs")
TRANSLATION = ("t", "T", "translation", "tvec", "translation_vector", "Ts")
EXTRINSIC = ("world_to_camera", "extrinsic", "extrinsics", "extrinsic_matrix")
RECTIFIED = ("P", "p", "projection_matrix", "rectification_matrix")
"""Keys of ROS: beside them an R without a translation turns the picture for stereo, and says nothing of the place."""
NAME = ("name", "camera_name", "image", "file", "filename", "id")
STEREO = (("M1", "M2"), ("K1", "K2"), ("cameraMatrix1", "cameraMatrix2"), ("camera_matrix1", "camera_matrix2"))
PARAMETERS = {"fx": ("fx",), "fy": ("fy",), "cx": ("cx", "ppx"), "cy": ("cy", "ppy"), **{k: (k,) for k in BROWN_ORDER}}
PREFIXES = ("Camera.", "Camera1.")
"""Prefixes that ORB-SLAM's settings have."""


def opencv_cameras(path: Path, root: Plain) -> Iterator[NamedCamera]:
    """The cameras of a map; raises UserError ``bad_calibration`` and ``calibration_image_size``."""
    listed = root.get("cameras")
    own = isinstance(listed, list) and bool(listed)
    if isinstance(listed, list):
        named = {_name(c, str(index + 1)): c for index, c in enumerate(listed) if isinstance(c, Mapping)}
        if len(named) != len(listed):
            raise bad_calibration(path, "two of its cameras have one name, or one is no map")
    elif isinstance(listed, Mapping):
        own, named = True, dict(listed)
    else:
        named = _unlisted(path, root)
    shared = {key: value for key, value in root.items() if bare(key) in (*WIDTH, *HEIGHT, *SIZE, *MODEL_KEYS)}
    centred = _centred(path, root, default=not own)
    require_few(path, len(named))
    for name, fields in named.items():
        if not isinstance(fields, Mapping):
            raise bad_calibration(path, f"{quoted(name)} is no camera")
        yield _camera(path, name, _with_shared(shared, fields), centred=centred)


def _with_shared(shared: Plain, fields: Plain) -> Plain:
    """A camera's own fields, and those of the whole file of which it has none in any spelling."""
    own = {bare(key) for key in fields}
    said = any(key in own for key in (*WIDTH, *SIZE))
    sized = (*WIDTH, *HEIGHT, *SIZE)
    kept = {k: v for k, v in shared.items() if bare(k) not in own and not (said and bare(k) in sized)}
    return {**kept, **fields}


def _unlisted(path: Path, root: Plain) -> dict[str, Any]:
    """The cameras of a file that does not list them under ``cameras``, by name."""
    for one, two in STEREO:
        if one in root and two in root:
            return _stereo(root, one, two)
    matrix = first(root, MATRIX)
    if matrix is not None:
        count = _columns_of(matrix)
        return _columns(path, root, count) if count else {_name(root, path.stem): root}
    bared = _without_prefix(root)
    if _has_parameters(bared):
        return {_name(bared, path.stem): bared}
    named = {key: value for key, value in root.items() if isinstance(value, Mapping) and _has_lens(value)}
    if not named:
        raise bad_calibration(
            path, "it holds no camera matrix", "See the README for the calibration files that are read."
        )
    return named


def _columns_of(matrix: Any) -> int:
    """The number of cameras where K is a list of matrices; 0 where it is one camera's."""
    if not isinstance(matrix, list) or not matrix:
        return 0
    head = matrix[0]
    listed = isinstance(head, Mapping) or (isinstance(head, list) and bool(head) and isinstance(head[0], list))
    return len(matrix) if listed else 0


def _without_prefix(root: Plain) -> Plain:
    """The fields of ORB-SLAM's settings without their prefix, unless they are of two cameras."""
    if any(key.startswith("Camera2.") for key in root):
        return root
    bared = {next((key.removeprefix(p) for p in PREFIXES if key.startswith(p)), key): v for key, v in root.items()}
    return bared | {"camera_type": root["Camera.type"]} if "Camera.type" in root else bared


def _has_parameters(fields: Plain) -> bool:
    return all(first(fields, PARAMETERS[key]) is not None for key in ("fx", "fy", "cx", "cy"))


def _has_lens(fields: Plain) -> bool:
    return first(fields, MATRIX) is not None or _has_parameters(fields)


def _name(fields: Plain, otherwise: str) -> str:
    name = first(fields, NAME)
    return str(name) if isinstance(name, str | int | float) else otherwise


def _stereo(root: Plain, one: str, two: str) -> dict[str, Any]:
    cameras = {}
    for digit, key in (("1", one), ("2", two)):
        keys = (f"D{digit}", f"distCoeffs{digit}", f"dist_coeffs{digit}")
        cameras[digit] = {"K": root[key], "distortion": first(root, keys) or []}
    rotation, translation = first(root, ROTATION), first(root, TRANSLATION)
    if rotation is not None and translation is not None:
        cameras["1"] |= {"R": np.eye(3).tolist(), "t": [0.0, 0.0, 0.0]}
        cameras["2"] |= {"R": rotation, "t": translation}
    return cameras


def _columns(path: Path, root: Plain, count: int) -> dict[str, Any]:
    """Cameras whose values lie in lists beside each other."""
    names = root.get("names", root.get("camera_names", [str(i + 1) for i in range(count)]))
    columns = {"K": first(root, MATRIX), "distortion": first(root, DISTORTION)}
    columns |= {"R": first(root, ROTATION), "t": first(root, TRANSLATION)}
    for key, value in root.items():
        if bare(key) in SIZE and isinstance(value, list) and value and isinstance(value[0], list):
            columns["image_size"] = value
    given = {key: value for key, value in columns.items() if value is not None}
    if any(not isinstance(value, list) or len(value) != count for value in (names, *given.values())):
        raise bad_calibration(path, f"its lists are not all of {count} cameras")
    if len({str(name) for name in names}) != count:
        raise bad_calibration(path, "two of its cameras have one name")
    return {str(names[i]): {key: value[i] for key, value in given.items()} for i in range(count)}


def _camera(path: Path, name: str, fields: Plain, *, centred: bool) -> NamedCamera:
    for key in (*MATRIX, *DISTORTION):
        nested = fields.get(key)
        if isinstance(nested, Mapping) and "data" not in nested:  # fx, fy … or k1, k2 … by name
            fields = {**{k: v for k, v in fields.items() if k != key}, **nested}
    return named_camera(
        path,
        name,
        image_size(path, name, fields),
        _lens(path, name, fields, centred=_centred(path, fields, default=centred)),
        _extrinsics(path, name, fields),
    )


def _lens(path: Path, name: str, fields: Plain, *, centred: bool) -> LensNumbers:
    _require_whole_picture(path, name, fields)
    model = distortion_model(path, name, fields)
    matrix, listed = first(fields, MATRIX), first(fields, DISTORTION)
    by_name = {
        key: number(path, name, key, value)
        for key, spellings in PARAMETERS.items()
        if (value := first(fields, spellings)) is not None
    }
    if matrix is not None:
        numbers = array(path, matrix, f"camera matrix of {quoted(name)}")
        if numbers.shape == (4,):
            numbers = matrix_of_four(numbers)
        elif numbers.shape == (9,):
            numbers = numbers.reshape(3, 3)
        if numbers.shape != (3, 3):
            raise bad_calibration(path, f"the camera matrix of {quoted(name)} is not 3 × 3 numbers")
    elif _has_parameters(fields):
        numbers = lens_of_parameters(path, name, by_name, model, centred_pixels=centred).matrix
    else:
        raise bad_calibration(path, f"{quoted(name)} has no camera matrix")
    if listed is not None or not any(key in by_name for key in BROWN_ORDER):
        given = [] if listed is None else array(path, listed, f"distortion of {quoted(name)}").ravel().tolist()
        return LensNumbers(numbers, given, model, centred)
    parameters = {**by_name, "fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0}
    coefficients = lens_of_parameters(path, name, parameters, model, centred_pixels=centred).distortion
    return LensNumbers(numbers, coefficients, model, centred)


def _require_whole_picture(path: Path, name: str, fields: Plain) -> None:
    """Refuse ROS's messages of pictures that are a part of the sensor's, or smaller than what was calibrated."""
    roi = fields.get("roi")
    cut = isinstance(roi, Mapping) and any(roi.get(key) for key in ("x_offset", "y_offset", "width", "height"))
    small = [key for key in ("binning_x", "binning_y") if fields.get(key) not in (None, 0, 1)]
    if cut or small:
        what = small[0] if small else "roi"
        raise bad_calibration(path, f"{quoted(name)} has a {what}: its pictures are not those that were calibrated")


def _extrinsics(path: Path, name: str, fields: Plain) -> F64 | None:
    whole = first(fields, EXTRINSIC)
    if whole is not None:
        return rigid_motion(path, whole, f"world_to_camera of {quoted(name)}")
    rotation, translation = first(fields, ROTATION), first(fields, TRANSLATION)
    if rotation is None and translation is None:
        return None
    if translation is None and first(fields, RECTIFIED) is not None:
        return None
    if rotation is None or translation is None:
        raise bad_calibration(path, f"{quoted(name)} has a rotation without a translation, or the other way round")
    turn = rotation_matrix(path, name, array(path, rotation, f"rotation of {quoted(name)}"))
    shift = array(path, translation, f"translation of {quoted(name)}").ravel()
    if shift.shape != (3,):
        raise bad_calibration(path, f"the translation of {quoted(name)} is not 3 numbers")
    return np.concatenate([turn, shift[:, None]], axis=1)


def _centred(path: Path, fields: Plain, *, default: bool) -> bool:
    origin = fields.get("pixel_origin")
    if origin is None:
        return default
    if origin not in ("corner", "centre", "center"):
        raise bad_calibration(path, "“pixel_origin” is neither “corner” nor “centre”")
    return bool(origin != "corner")
