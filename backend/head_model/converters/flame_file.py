"""The arrays of a FLAME file (.pkl or .npz), read without trusting it and checked against each other."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import opened_archive
from backend.head_model.converters.pickled_arrays import to_array
from backend.head_model.converters.restricted_pickle import PickleFault, Record, UnsafePickle, read_pickle
from backend.reading import FileFault, read_ordinary, shown

FloatArray = NDArray[np.float64]

SHAPES, EXPRESSIONS, JOINTS = 300, 100, 5
FIELDS = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
MAX_BYTES = 512 << 20
"""FLAME's own files have 50 to 150 MB."""

_HINT = "Download the file again from https://flame.is.tue.mpg.de (FLAME 2023 Open, 2023 or 2020)."
_PARENTS = [-1, 0, 1, 1, 1]


@dataclass(frozen=True, eq=False)
class FlameArrays:
    """A FLAME model (Li et al. 2017), by its own names, in its own units: metres, +x the subject's left, +y up."""

    v_template: FloatArray  # (V,3) m
    f: NDArray[np.int32]  # (F,3)
    shapedirs: FloatArray  # (V,3,400) m per standard deviation: 300 shapes, then 100 expressions
    posedirs: FloatArray  # (V,3,36) m per entry of the rotation matrices, less the identity, of joints 1 to 4
    J_regressor: FloatArray  # (5,V) joints: root, neck, jaw, left eye, right eye
    weights: FloatArray  # (V,5) skinning weights
    parents: NDArray[np.int64]  # (5,) -1 for the root
    sha256: str  # of the file


def read_flame_file(path: Path) -> FlameArrays:
    """Read and check a FLAME file.

    Raises ``UserError``: ``flame_missing`` (no such file), ``flame_unsafe`` (the pickle asks for something that no head
    model needs), ``flame_unreadable`` (damaged, cut off, too large or something else), ``flame_field`` (a field that is
    missing, has a wrong shape, is not finite or contradicts another one).
    """
    try:
        data = read_ordinary(path, MAX_BYTES)
    except FileFault as fault:
        if fault.missing:
            raise UserError(ErrorCode.FLAME_MISSING, f"There is no file {shown(path)}.", _HINT) from fault
        code = ErrorCode.FLAME_UNREADABLE if fault.too_large else ErrorCode.FLAME_MISSING
        raise UserError(code, f"The file {shown(path)} cannot be read: {fault.reason}.", _HINT) from fault
    field = _npz_fields(path, data) if data.startswith(b"PK") else _pickle_fields(path, data)
    arrays = {name: _number_field(path, name, field) for name in FIELDS}
    _check_shapes(path, arrays)
    _check_values(path, arrays)
    return FlameArrays(
        v_template=arrays["v_template"],
        f=arrays["f"].astype(np.int32),
        shapedirs=arrays["shapedirs"],
        posedirs=arrays["posedirs"],
        J_regressor=arrays["J_regressor"],
        weights=arrays["weights"],
        parents=np.array(_PARENTS, np.int64),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _unreadable(path: Path, reason: object) -> NoReturn:
    raise UserError(ErrorCode.FLAME_UNREADABLE, f"{path} is not a FLAME file or is damaged: {reason}.", _HINT)


def _wrong(path: Path, name: str, reason: object) -> NoReturn:
    raise UserError(ErrorCode.FLAME_FIELD, f"The field {name} of {path} does not fit FLAME: {reason}.", _HINT)


def _pickle_fields(path: Path, data: bytes) -> Callable[[str], object]:
    try:
        content = read_pickle(data)
    except UnsafePickle as fault:
        raise UserError(
            ErrorCode.FLAME_UNSAFE,
            f"{path} was refused: it asks for {fault.name}, which no head model needs, so it may be malicious.",
            _HINT,
        ) from fault
    except PickleFault as fault:
        _unreadable(path, fault)
    if not isinstance(content, dict):
        _unreadable(path, f"it holds a {type(content).__name__} where named fields were expected")
    return content.__getitem__


def _npz_fields(path: Path, data: bytes) -> Callable[[str], object]:
    try:
        with opened_archive(io.BytesIO(data), MAX_BYTES):
            archive = zipfile.ZipFile(io.BytesIO(data))
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
    except Exception as error:  # zipfile raises many unrelated types on bad bytes
        _unreadable(path, error)
    return lambda name: _npy(archive.read(members[name]))


def _npy(data: bytes) -> object:
    """The array in an npy file; what numpy would unpickle is read as plain data."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = reader(file)  # type: ignore[no-untyped-call]
    rest = data[file.tell() :]
    if dtype.hasobject:
        held = read_pickle(rest)
        content = held.state[-1] if isinstance(held, Record) and isinstance(held.state, tuple) else None
        if isinstance(content, list) and len(content) == 1:
            return content[0]  # np.savez wraps a sparse matrix so
        raise PickleFault("it holds Python objects, not numbers")
    if math.prod(shape) * dtype.itemsize != len(rest):
        raise PickleFault(f"it is an array {shape} without that many numbers")
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")


def _number_field(path: Path, name: str, field: Callable[[str], object]) -> NDArray[Any]:
    """A field's numbers, float64 or int64."""
    try:
        value = field(name)
        array = value if isinstance(value, np.ndarray) else to_array(value)
    except KeyError:
        _wrong(path, name, "it is missing")
    except UnsafePickle as fault:
        raise UserError(
            ErrorCode.FLAME_UNSAFE, f"{path} was refused: its field {name} asks for {fault.name}.", _HINT
        ) from fault
    except Exception as error:  # damaged bytes: zipfile, zlib and numpy raise many unrelated types
        _wrong(path, name, error)
    if array.dtype.kind not in "biuf":
        _wrong(path, name, f"it holds {array.dtype}, not numbers")
    if name in ("f", "kintree_table"):
        whole = array.astype(np.int64)
        if array.dtype.kind == "f" and not np.array_equal(whole, array):
            _wrong(path, name, "it holds fractions where indices were expected")
        return whole
    array = np.array(array, np.float64, order="C")
    if not np.isfinite(array).all():
        _wrong(path, name, "it holds values that are not finite")
    return array


def _check_shapes(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    vertices = len(arrays["v_template"]) if arrays["v_template"].ndim else 0
    faces = len(arrays["f"]) if arrays["f"].ndim else 0
    expected = {
        "v_template": (vertices, 3),
        "f": (faces, 3),
        "shapedirs": (vertices, 3, SHAPES + EXPRESSIONS),
        "posedirs": (vertices, 3, 9 * (JOINTS - 1)),
        "J_regressor": (JOINTS, vertices),
        "weights": (vertices, JOINTS),
        "kintree_table": (2, JOINTS),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            _wrong(path, name, f"its shape is {arrays[name].shape}, expected {shape}")


def _check_values(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    template, triangles, weights = arrays["v_template"], arrays["f"], arrays["weights"]
    size = float(np.ptp(template, axis=0).max(initial=0.0)) if len(template) else 0.0
    if not 0.1 < size < 1.0:
        _wrong(path, "v_template", f"it is {size:.3g} units large, and a head in metres is 0.2 to 0.4")
    if not len(triangles) or triangles.min() < 0 or triangles.max() >= len(template):
        _wrong(path, "f", f"it points outside the {len(template)} vertices")
    for name in ("shapedirs", "posedirs"):
        if np.abs(arrays[name]).max(initial=0.0) > 1.0:
            _wrong(path, name, "it moves vertices by more than a metre")
    if weights.min(initial=0.0) < -1e-3 or np.abs(weights.sum(axis=1) - 1).max(initial=0.0) > 1e-2:
        _wrong(path, "weights", "a vertex's weights are negative or do not sum to 1")
    if np.abs(arrays["J_regressor"].sum(axis=1) - 1).max() > 1e-2 or np.abs(arrays["J_regressor"]).max() > 10:
        _wrong(path, "J_regressor", "a joint is no weighted mean of vertices")
    parents = arrays["kintree_table"][0]
    if parents[0] not in (-1, 2**32 - 1) or parents[1:].tolist() != _PARENTS[1:]:
        _wrong(path, "kintree_table", f"its parents are {parents.tolist()}, expected {_PARENTS}")
    joints = arrays["J_regressor"] @ template
    if joints[3, 0] <= joints[4, 0]:
        _wrong(path, "J_regressor", "the left eye does not lie on the subject's left (+x) of the right one")
