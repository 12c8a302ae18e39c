"""Numbers, matrices and picture sizes of a calibration's maps, under the names that other programs give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.cameras.named import bad_calibration, quoted, rigid_inverse

F64 = NDArray[np.float64]
Plain = Mapping[str, Any]

SIZE = (
    *("imagesize", "imgsize", "resolution", "imageresolution", "cameraresolution", "calibrationresolution"),
    *("size", "dim", "framesize", "videosize"),
)
WIDTH = ("width", "imagewidth", "imgwidth", "camerawidth", "framewidth", "w")
HEIGHT = ("height", "imageheight", "imgheight", "cameraheight", "frameheight", "h")
"""Spelled without regard to case and punctuation, see ``spelled``."""
_BY_SIGN = re.compile(r"\s*([0-9]{1,7})\s*[x×,]\s*([0-9]{1,7})\s*")
_PUNCTUATION = re.compile(r"[^0-9a-z]+")


def first(fields: Plain, keys: Sequence[str]) -> Any:
    """The first value there is under one of the keys; None without any."""
    return next((fields[key] for key in keys if fields.get(key) is not None), None)


def bare(word: str) -> str:
    """A name without regard to case and punctuation: ``cameraResolution`` and ``camera_resolution`` are the same."""
    return _PUNCTUATION.sub("", word[:60].casefold())


def spelled(fields: Plain, names: Sequence[str]) -> dict[str, Any]:
    """What the map holds under any spelling of the bare ``names``, by the key that it has, in the order of names."""
    found = {key: value for key, value in fields.items() if value is not None and bare(key) in names}
    return dict(sorted(found.items(), key=lambda item: names.index(bare(item[0]))))


def image_size(path: Path, name: str, fields: Plain) -> list[Any] | None:
    """The picture size (width, height) under whatever name; None where the map does not say.

    Raises:
        UserError: ``bad_calibration`` where it is said twice and differently, or is no pair of numbers.
    """
    found: list[list[Any]] = []
    width, height = (next(iter(spelled(fields, names).values()), None) for names in (WIDTH, HEIGHT))
    if width is not None and height is not None:
        found.append([width, height])
    for key, value in spelled(fields, SIZE).items():
        found.append(_pair(path, name, key, value))
    if any(pair != found[0] for pair in found[1:]):
        raise bad_calibration(path, f"{quoted(name)} says its image size twice, and differently")
    return found[0] if found else None


def array(path: Path, value: Any, what: str) -> F64:
    """Numbers as nested lists, or as a map of rows, cols and data (OpenCV's matrices, and ROS's); all are finite.

    Raises:
        UserError: ``bad_calibration`` naming ``what`` it was to be.
    """
    try:
        numbers = _array(value)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise bad_calibration(path, f"the {what} is not a matrix of numbers") from error
    if not np.isfinite(numbers).all():
        raise bad_calibration(path, f"the {what} has numbers that are not finite")
    return numbers


def rigid_motion(path: Path, value: Any, what: str, *, inverse: bool = False) -> F64:
    """[R | t] (3,4) from 3 × 4 or 4 × 4 numbers, nested or flat; ``inverse`` of what is said.

    Raises:
        UserError: ``bad_calibration`` naming ``what`` it was to be.
    """
    matrix = array(path, value, what)
    if matrix.shape in ((16,), (12,)):
        matrix = matrix.reshape(-1, 4)
    if matrix.shape == (4, 4) and np.allclose(matrix[3], (0, 0, 0, 1)):
        matrix = matrix[:3]
    if matrix.shape != (3, 4):
        raise bad_calibration(path, f"the {what} is neither 3 × 4 nor 4 × 4 with 0 0 0 1 below")
    with np.errstate(over="ignore", invalid="ignore"):
        return rigid_inverse(matrix) if inverse else matrix


def _array(value: Any) -> F64:
    if isinstance(value, Mapping):
        numbers = _array(value["data"])
        return numbers.reshape(_side(value["rows"]), _side(value["cols"]))
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list):
        raise TypeError
    parts = [_array(item) if isinstance(item, Mapping) else item for item in value]
    numbers = np.array(parts)
    if numbers.size == 0:
        return np.zeros(0)
    if numbers.dtype.kind not in "iuf":
        raise TypeError
    return numbers.astype(np.float64)


def _side(value: Any) -> int:
    if not isinstance(value, int | float) or not 0 <= value <= 1 << 20:
        raise ValueError
    return int(value)


def _pair(path: Path, name: str, key: str, value: Any) -> list[Any]:
    """(width, height) as a list, an OpenCV matrix, a map, or text like 1920x1080."""
    if isinstance(value, Mapping) and "data" not in value:
        sides = [next(iter(spelled(value, names).values()), None) for names in (WIDTH, HEIGHT)]
        if None not in sides:
            return sides
    elif isinstance(value, str):
        match = _BY_SIGN.fullmatch(value[:40])
        if match:
            return [int(side) for side in match.groups()]
    elif isinstance(value, Mapping | list):
        numbers = array(path, value, f"image size (“{key}”) of {quoted(name)}").ravel().tolist()
        if len(numbers) == 2:
            return numbers
    raise bad_calibration(path, f"the image size (“{key[:60]}”) of {quoted(name)} is not a width and a height")
