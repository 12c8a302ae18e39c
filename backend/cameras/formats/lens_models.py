"""Which lens model a calibration means, by the names that other programs have for it; what is not known is refused.

Coefficients of one model taken for another's give wrong numbers without any error, so nothing is guessed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.cameras.formats.fields import Plain, bare, spelled
from backend.cameras.named import LensNumbers, bad_calibration, quoted
from protocol.messages import DistortionModel

NAMED_BY = (
    *("distortionmodel", "distortiontype", "cameramodel", "cameratype", "projectionmodel", "projection"),
    *("projectiontype", "lensmodel", "lenstype", "modeltype", "model"),
)
"""Keys, spelled without case and punctuation, under which a lens model is named."""
FISHEYE_FLAGS = ("fisheyemodel", "fisheye", "isfisheye", "usefisheye")
"""Keys that are true for a fisheye: OpenCV's calibration sample has ``fisheye_model``, instant-ngp ``is_fisheye``."""
MODEL_KEYS = (*NAMED_BY, *FISHEYE_FLAGS, "xi")

_PINHOLES = ("pinhole", "perspective", "simplepinhole", "none", "nodistortion", "opencv", "standard", "rectilinear")
_BROWN = (
    *("brownconrady", "brown", "plumbbob", "radtan", "radialtangential", "pinholeradtan"),
    *("rationalpolynomial", "rational", "fullopencv", "simpleradial", "radial", "opencvpinhole", "pinholeopencv"),
    *("pinholeradialtangential", "pinholebrownconrady"),
)
_FISHEYES = (
    *("fisheye", "opencvfisheye", "equidistant", "equi", "pinholeequi", "pinholeequidistant", "opencvequidistant"),
    *("kannalabrandt", "kannalabrandt4", "kannalabrandt8", "kb", "kb4", "kb8", "fisheyeopencv", "pinholefisheye"),
    *("simpleradialfisheye", "radialfisheye"),
)
_KNOWN: dict[str, DistortionModel | None] = {
    **dict.fromkeys(_PINHOLES),
    **dict.fromkeys(_BROWN, DistortionModel.BROWN_CONRADY),
    **dict.fromkeys(_FISHEYES, DistortionModel.FISHEYE),
}
_FLAGS = {"0": False, "1": True, "false": False, "true": True, "no": False, "yes": True, "0.0": False, "1.0": True}

BROWN_ORDER = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE_ORDER = ("k1", "k2", "k3", "k4")


def distortion_model(path: Path, name: str, fields: Plain) -> DistortionModel:
    """The lens model that a camera's map names, OpenCV's pinhole model where it names none.

    Raises:
        UserError: ``bad_calibration`` where the name is not known, or two names contradict each other.
    """
    if fields.get("xi") is not None:
        raise bad_calibration(
            path, f"{quoted(name)} is an omnidirectional camera (it has a xi), which is not supported"
        )
    meant: dict[str, DistortionModel] = {}
    for key, value in spelled(fields, NAMED_BY).items():
        word = bare(value) if isinstance(value, str) else None
        if word == "":
            continue
        if word not in _KNOWN:
            raise bad_calibration(
                path,
                f"{quoted(name)} has the {key[:60]} {quoted(value)}, which is not known; known are OpenCV's pinhole "
                "model (plumb_bob, radtan, rational_polynomial) and its fisheye (equidistant, Kannala–Brandt)",
                "Calibrate with one of these; where it is the camera's make, leave it out.",
            )
        model = _KNOWN[word]
        if model is not None:
            meant[f"{key[:60]} {quoted(value)}"] = model
    for key, value in spelled(fields, FISHEYE_FLAGS).items():
        flag = _FLAGS.get(str(value).lower()[:9])
        if flag is None:
            raise bad_calibration(path, f"“{key}” of {quoted(name)} is {quoted(value)}, neither 0 nor 1")
        if flag:
            meant[f"{key} {value}"] = DistortionModel.FISHEYE
    if len(set(meant.values())) > 1:
        said = " and ".join(meant)
        raise bad_calibration(path, f"{quoted(name)} has {said}, which contradict each other")
    return next(iter(meant.values()), DistortionModel.BROWN_CONRADY)


def lens_of_parameters(
    path: Path, name: str, values: Mapping[str, float], model: DistortionModel, *, centred_pixels: bool
) -> LensNumbers:
    """The lens with parameters f or fx and fy, cx, cy, and k1 … p2 by name; what is absent is 0.

    Raises:
        UserError: ``bad_calibration`` where a fisheye has tangential terms, or terms of an order that is not modelled.
    """
    fx = values.get("fx", values.get("f", 0.0))
    matrix = _matrix(fx, values.get("fy", fx), values["cx"], values["cy"])
    order = FISHEYE_ORDER if model is DistortionModel.FISHEYE else BROWN_ORDER
    beyond = [key for key, value in values.items() if key[0] in "kps" and key not in order and value != 0]
    if beyond:
        kind = "fisheye" if model is DistortionModel.FISHEYE else "pinhole"
        raise bad_calibration(path, f"{quoted(name)} has the term {beyond[0]}, which OpenCV's {kind} model has not")
    numbers = [values.get(key, 0.0) for key in order]
    if model is DistortionModel.BROWN_CONRADY:
        last = max((i + 1 for i, number in enumerate(numbers) if number != 0), default=0)
        numbers = numbers[: next(count for count in (0, 4, 5, 8) if count >= last)]
    return LensNumbers(matrix, numbers, model, centred_pixels)


def matrix_of_four(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """K (3,3) of fx, fy, cx, cy."""
    return _matrix(*(float(number) for number in numbers))


def _matrix(fx: float, fy: float, cx: float, cy: float) -> NDArray[np.float64]:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def number(path: Path, name: str, key: str, value: Any) -> float:
    """A finite number under a key; raises UserError ``bad_calibration`` naming it."""
    right = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    if not right:
        raise bad_calibration(path, f"“{key}” of {quoted(name)} is {quoted(value)} and no number")
    return float(value)
