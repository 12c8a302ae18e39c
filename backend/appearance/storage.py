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
_TRUST = ("directions", "shares", "noise", "iris", "iris_noise")


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
        "trust": {"beyond": model.trust.beyond, "usual": model.trust.usual},
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
        header = _header(arrays)
        model = _assembled(header, arrays)
        _require_whole(model)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(
            ErrorCode.BAD_FILE, f"{shown(path)} is not a whole driver: {why}.", "Learn it anew: flowface driver train"
        ) from error
    return model


def _header(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    raw = arrays["header"]
    header = parse_json(raw.tobytes()) if raw.dtype == np.uint8 else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("its header is of something else")
    return header


def _assembled(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> DriverModel:
    person = Person(
        str(header["head_id"]),
        str(header["head_hash"]),
        arrays["identity"].astype(np.float32),
        arrays["deformation"].astype(np.float32),
        arrays["action_corrections"].astype(np.float16),
    )
    mean, basis, deviation = (arrays[name].astype(np.float64) for name in ("mean", "basis", "deviation"))
    appearance = Appearance(
        Components(mean, basis, deviation, float(header["noise"])),
        arrays["to_balanced"].astype(np.float64),
        float(header["texture_unit"]),
        int(header["side"]),
        *(arrays[name].astype(np.intp) for name in _TEXELS),
    )
    regressor = Regressor(*(arrays[f"regressor_{item.name}"].astype(np.float32) for item in fields(Regressor)))
    told = {name: arrays[f"trust_{name}"] for name in _TRUST}
    trust = Trust(
        directions=told["directions"].astype(np.float32),
        shares=told["shares"].astype(np.float32),
        beyond=float(header["trust"]["beyond"]),
        usual=float(header["trust"]["usual"]),
        noise=told["noise"].astype(np.float64),
        iris=told["iris"].astype(np.float64),
        iris_noise=told["iris_noise"].astype(np.float64),
    )
    about = header["about"] if isinstance(header["about"], dict) else {}
    return DriverModel(person, appearance, regressor, trust, float(header["focal_ratio"]), str(header["name"]), about)


def _require_whole(model: DriverModel) -> None:
    """Raise ValueError where the parts do not fit each other or hold numbers that are not finite."""
    appearance, regressor, person, trust = model.appearance, model.regressor, model.person, model.trust
    codes, parameters = len(appearance.components.deviation), len(appearance.to_balanced)
    width = parameters + 3 * len(appearance.rows)
    features, points = len(regressor.middle), 2 * len(chosen_points())
    if not 1 <= codes <= MOST_CODES:
        raise ValueError(f"it has {codes} codes")
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
        "action_corrections": (person.action_corrections, person.action_corrections.shape),
    }
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise ValueError(f"“{name}” has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"“{name}” holds a number that is not finite")
    if not (0 < model.focal_ratio < 100 and 1 <= appearance.side <= 4096 and 0 < appearance.texture_unit < np.inf):
        raise ValueError("its sizes are nobody's")
    if not (0 < trust.beyond < np.inf and 0 < trust.usual < np.inf and trust.noise.min() > 0 < trust.iris_noise.min()):
        raise ValueError("its trust in a look is none")
    if not 0 <= appearance.components.noise < np.inf:
        raise ValueError(f"its noise is {appearance.components.noise}")
    for name in _TEXELS:
        texels = getattr(appearance, name)
        if texels.size and not (texels.min() >= 0 and texels.max() < appearance.side):
            raise ValueError(f"“{name}” are outside its texture")
