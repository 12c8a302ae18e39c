"""A driver on disk: one npz without pickles, with a JSON header inside."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.appearance.driver import DriverModel
from backend.appearance.model import Appearance
from backend.appearance.pca import Components
from backend.appearance.person import Person, chosen_points
from backend.appearance.regressor import Regressor
from backend.appearance.trust import Trust
from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.reading import parse_json, shown

FORMAT = "flowface-driver-2"
SUFFIX = ".npz"
MAX_BYTES = 256 << 20
"""Unpacked. A driver of the open head has 7 million bytes."""
MOST_CODES = 512
_PERSON = ("identity", "deformation", "action_corrections")
_TEXELS = ("rows", "columns")
_MATRICES = ("codes", "points")
"""Of a regressor; its other arrays are vectors."""
_TRUST = {"directions": 2, "shares": 1, "noise": 1, "iris": 2, "iris_noise": 1}
"""Arrays, and how many dimensions each has."""


def save_driver(model: DriverModel, path: Path) -> None:
    """Write a driver, atomically. Raises UserError ``output_unwritable``."""
    person, appearance = model.person, model.appearance
    header = {
        "format": FORMAT,
        "head_id": person.head_id,
        "head_hash": person.head_hash,
        "side": appearance.side,
        "texture_unit": appearance.texture_unit,
        "noise": appearance.components.noise,
        "beyond": model.trust.beyond,
        "usual": model.trust.usual,
        "focal_ratio": model.focal_ratio,
        "name": model.name,
        "about": model.about,
    }
    arrays: dict[str, NDArray[Any]] = {
        "header": np.frombuffer(json.dumps(header, ensure_ascii=False).encode(), np.uint8),
        **{name: getattr(person, name) for name in _PERSON},
        "to_balanced": appearance.to_balanced,
        **{name: getattr(appearance, name).astype(np.int32) for name in _TEXELS},
        "mean": appearance.components.mean.astype(np.float32),
        "basis": appearance.components.basis.astype(np.float32),
        "deviation": appearance.components.deviation,
        **{f"regressor_{item.name}": getattr(model.regressor, item.name) for item in fields(Regressor)},
        **{f"trust_{name}": getattr(model.trust, name) for name in _TRUST},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, arrays, public=True)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{path} cannot be written: {error.strerror or error}.") from error


def load_driver(path: Path) -> DriverModel:
    """Read a driver.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``, ``head_changed``, and as ``load_head``.
    """
    arrays = read_npz(path, "driver", MAX_BYTES)
    try:
        model = _assembled(_header(arrays), arrays)
        _require_whole(model)
    except _NotWhole as fault:
        raise UserError(
            ErrorCode.BAD_FILE, f"{shown(path)} is not a whole driver: {fault}.", "Learn it anew: flowface driver train"
        ) from fault
    return model


class _NotWhole(Exception):  # noqa: N818 - a clause of a sentence for the user
    """What is wrong with a file. An exception of its own, so that no fault of the code counts as the file's."""


def _header(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    raw = _array(arrays, "header", 1, "u")
    try:
        header = parse_json(raw.tobytes())
    except ValueError as error:
        raise _NotWhole(f"its header is no JSON: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _NotWhole("its header is of something else")
    return header


def _array(arrays: dict[str, NDArray[Any]], name: str, dimensions: int, kinds: str = "iuf") -> NDArray[Any]:
    """An array of the file that has as many dimensions and is of one of ``kinds`` (numpy's letters)."""
    array = arrays.get(name)
    if array is None:
        raise _NotWhole(f"“{name}” is missing")
    if array.ndim != dimensions or array.dtype.kind not in kinds:
        raise _NotWhole(f"“{name}” is {array.dtype} of {array.ndim} dimensions, {dimensions} were expected")
    return array


def _number(header: dict[str, Any], name: str) -> float:
    value = header.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e12:
        raise _NotWhole(f"“{name}” in its header is no number")
    return float(value)


def _text(header: dict[str, Any], name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str):
        raise _NotWhole(f"“{name}” in its header is no text")
    return value


def _assembled(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> DriverModel:
    person = Person(
        _text(header, "head_id"),
        _text(header, "head_hash"),
        _array(arrays, "identity", 1).astype(np.float32),
        _array(arrays, "deformation", 2).astype(np.float32),
        _array(arrays, "action_corrections", 3).astype(np.float16),
    )
    components = Components(
        _array(arrays, "mean", 1).astype(np.float64),
        _array(arrays, "basis", 2).astype(np.float64),
        _array(arrays, "deviation", 1).astype(np.float64),
        _number(header, "noise"),
    )
    appearance = Appearance(
        components,
        _array(arrays, "to_balanced", 2).astype(np.float64),
        _number(header, "texture_unit"),
        int(_number(header, "side")),
        *(_array(arrays, name, 1, "iu").astype(np.intp) for name in _TEXELS),
    )
    regressor = Regressor(
        *(
            _array(arrays, f"regressor_{item.name}", 2 if item.name in _MATRICES else 1).astype(np.float32)
            for item in fields(Regressor)
        )
    )
    about = header.get("about")
    ratio, name = _number(header, "focal_ratio"), _text(header, "name")
    about = about if isinstance(about, dict) else {}
    return DriverModel(person, appearance, regressor, _trust(header, arrays), ratio, name, about)


def _trust(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Trust:
    told = {name: _array(arrays, f"trust_{name}", dimensions) for name, dimensions in _TRUST.items()}
    return Trust(
        directions=told["directions"].astype(np.float32),
        shares=told["shares"].astype(np.float32),
        beyond=_number(header, "beyond"),
        usual=_number(header, "usual"),
        noise=told["noise"].astype(np.float64),
        iris=told["iris"].astype(np.float64),
        iris_noise=told["iris_noise"].astype(np.float64),
    )


def _require_whole(model: DriverModel) -> None:
    """Raise _NotWhole where the parts do not fit each other or hold numbers that are not finite."""
    appearance, regressor, person, trust = model.appearance, model.regressor, model.person, model.trust
    codes, parameters = len(appearance.components.deviation), len(appearance.to_balanced)
    width = parameters + 3 * len(appearance.rows)
    features, points = len(regressor.middle), 2 * len(chosen_points())
    if not 1 <= codes <= MOST_CODES:
        raise _NotWhole(f"it has {codes} codes")
    wanted = {
        "basis": (appearance.components.basis, (codes, width)),
        "mean": (appearance.components.mean, (width,)),
        "to_balanced": (appearance.to_balanced, (parameters, parameters)),
        "columns": (appearance.columns, appearance.rows.shape),
        "scale": (regressor.scale, (features,)),
        "codes": (regressor.codes, (features, codes)),
        "codes_at": (regressor.codes_at, (codes,)),
        "points": (regressor.points, (features, points)),
        "points_at": (regressor.points_at, (points,)),
        "directions": (trust.directions, (features, len(trust.shares))),
        "shares": (trust.shares, (len(trust.shares),)),
        "noise": (trust.noise, (points // 2,)),
        "iris": (trust.iris, (2, 2)),
        "iris_noise": (trust.iris_noise, (2,)),
    }
    head = person.model  # raises where it is another head's
    wanted |= {
        "identity": (person.identity, (min(person.identity.size, len(head.shape_basis)),)),
        "deformation": (person.deformation, (head.vertex_count, 3) if person.deformation.size else (0, 3)),
        "action_corrections": (person.action_corrections, _corrections(person.action_corrections, head.vertex_count)),
    }
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise _NotWhole(f"“{name}” has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise _NotWhole(f"“{name}” holds a number that is not finite")
    if not (0 < model.focal_ratio < 100 and 1 <= appearance.side <= 4096 and 0 < appearance.texture_unit < np.inf):
        raise _NotWhole("its sizes are nobody's")
    if not (0 < trust.beyond < np.inf and 0 < trust.usual < np.inf and trust.noise.min() > 0 < trust.iris_noise.min()):
        raise _NotWhole("its trust in a look is none")
    if not 0 <= appearance.components.noise < np.inf:
        raise _NotWhole(f"its noise is {appearance.components.noise}")
    for name in _TEXELS:
        texels = getattr(appearance, name)
        if texels.size and not (texels.min() >= 0 and texels.max() < appearance.side):
            raise _NotWhole(f"“{name}” are outside its texture")


def _corrections(own: NDArray[Any], vertices: int) -> tuple[int, int, int]:
    """The shape that corrections of a head's actions may have: none of them, or each of all its points."""
    return (len(own), vertices if own.size else own.shape[1], 3)
