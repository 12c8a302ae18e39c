"""The numbers of arrays, sparse matrices and chumpy objects in a pickle that was read as plain data."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from backend.head_model.converters.restricted_pickle import ARRAY, DTYPE, SPARSE, PickleFault, Record

MAX_DENSE = 50_000_000
"""Numbers that a sparse matrix may have once it is dense: 400 MB."""

_MAX_DEPTH = 8
"""The depth to which arrays may lie inside each other's descriptions; chumpy's selection of a plain array is 3 deep."""


def to_array(value: object, depth: int = 0) -> NDArray[Any]:
    """The numbers of a value from ``read_pickle``: an array, a sparse matrix, chumpy's ``Ch`` or ``Select``.

    Sparse matrices are made dense. ``depth`` counts how far inside other arrays' descriptions the value lies.

    Raises ``PickleFault`` for anything else and for whatever contradicts itself.
    """
    if depth > _MAX_DEPTH:
        raise PickleFault("its parts are nested too deeply")
    if isinstance(value, int | float):
        return np.asarray(value)
    if not isinstance(value, Record):
        raise PickleFault(f"it is a {type(value).__name__}, not an array")
    if value.kind == ARRAY:
        return _array(value.state)
    if not isinstance(value.state, dict):
        raise PickleFault(f"it is a {value.kind} without content")
    if value.kind == "chumpy.ch.Ch" and "x" in value.state:
        return to_array(value.state["x"], depth + 1)
    if value.kind == "chumpy.reordering.Select":
        return _select(value.state, depth)
    if SPARSE.fullmatch(value.kind):
        return _dense(value.kind, value.state, depth + 1)
    raise PickleFault(f"it is a {value.kind}, which is not a plain array")


def _dtype(record: object) -> np.dtype[Any]:
    if not isinstance(record, Record) or record.kind != DTYPE:
        raise PickleFault("its type is not a numpy type")
    code = record.arguments[0]
    if not re.fullmatch(r"[<>|=]?([fiu][1248]|b1)", code) or code.endswith("f1"):
        raise PickleFault(f"it holds numpy's type {code[:20]!r}, not numbers")
    order = record.state[1] if isinstance(record.state, tuple) and len(record.state) > 1 else "="
    if order not in ("<", ">", "|", "="):
        raise PickleFault("its byte order is unknown")
    return np.dtype(code.lstrip("<>|=")).newbyteorder(cast(Literal["<", ">", "|", "="], order))


def _array(state: object) -> NDArray[Any]:
    """The array of numpy's own pickle state: (version, shape, dtype, Fortran order, raw bytes)."""
    if not isinstance(state, tuple) or len(state) not in (4, 5):
        raise PickleFault("it is an array without content")
    shape, record, fortran, raw = state[-4:]
    dtype = _dtype(record)
    if isinstance(raw, str):
        raw = raw.encode("latin-1")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise PickleFault("it is an array without a shape")
    if not isinstance(raw, bytes | bytearray) or math.prod(shape) * dtype.itemsize != len(raw):
        raise PickleFault(f"it is an array {shape} without that many numbers")
    flat = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _select(state: dict[str, Any], depth: int) -> NDArray[Any]:
    """chumpy's ``Select``: chosen numbers of another array in another shape."""
    source, index = to_array(state.get("a"), depth + 1).ravel(), to_array(state.get("idxs"), depth + 1).ravel()
    shape = state.get("preferred_shape")
    if index.dtype.kind not in "iu" or (index.size and (index.min() < 0 or index.max() >= source.size)):
        raise PickleFault("its chumpy selection points outside what it selects from")
    if not isinstance(shape, tuple | list) or not all(type(n) is int and n >= 0 for n in shape):
        shape = index.shape
    if math.prod(shape) != index.size:
        raise PickleFault("its chumpy selection does not fill its shape")
    return source[index].reshape(tuple(shape))


def _dense(kind: str, state: dict[str, Any], depth: int) -> NDArray[Any]:
    """A sparse matrix's numbers; duplicates add up, as scipy has it."""
    shape = state.get("_shape")
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(type(n) is int and n >= 0 for n in shape):
        raise PickleFault("it is a sparse matrix without a shape")
    if math.prod(shape) > MAX_DENSE:
        raise PickleFault(f"it is a sparse matrix of {shape[0]} × {shape[1]} numbers, more than {MAX_DENSE}")
    data = to_array(state.get("data"), depth).ravel()
    if "coo" in kind:
        pair = state.get("coords", (state.get("row"), state.get("col")))
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise PickleFault("it is a sparse matrix without rows and columns")
        row, column = (to_array(part, depth).ravel() for part in pair)
    else:
        inner, pointer = to_array(state.get("indices"), depth).ravel(), to_array(state.get("indptr"), depth).ravel()
        length = shape[1] if "csc" in kind else shape[0]
        if pointer.dtype.kind not in "iu" or len(pointer) != length + 1:
            raise PickleFault("it is a sparse matrix with a pointer for every column of another one")
        steps = np.diff(pointer.astype(np.int64))
        if (steps < 0).any() or pointer[0] != 0 or pointer[-1] != len(data):
            raise PickleFault("it is a sparse matrix whose pointers do not rise to its count")
        outer = np.repeat(np.arange(length), steps)
        row, column = (inner, outer) if "csc" in kind else (outer, inner)
    for part, bound in ((row, shape[0]), (column, shape[1])):
        if (
            part.dtype.kind not in "iu"
            or len(part) != len(data)
            or (part.size and (part.min() < 0 or part.max() >= bound))
        ):
            raise PickleFault("it is a sparse matrix with entries outside itself")
    dense = np.zeros(shape, np.float64)
    np.add.at(dense, (row.astype(np.int64), column.astype(np.int64)), data)
    return dense
