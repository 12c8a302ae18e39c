"""Reads PLY meshes: vertices, triangles and, where there are some, colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.converters.obj import FURTHEST, MAX_BYTES, MAX_FACES, MAX_VERTICES
from backend.reading import FileFault, read_ordinary, shown

MAX_HEADER = 1 << 16
TEXTURE = "texcoord"
_KINDS = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}

Ply = tuple[NDArray[np.float64], NDArray[np.int32], None, None, NDArray[np.float32] | None]


@dataclass
class _Element:
    name: str
    count: int
    fields: list[tuple[str, str]]  # name, kind
    lists: list[tuple[str, str, str]]  # name, kind of the count, kind of the values


def read_ply(path: Path) -> Ply:
    """Vertices (V,3), triangles (F,3), two Nones, colours (V,3) in 0…1 or None: the parts of a ``ScanMesh``.

    ASCII and binary, faces that are all triangles. Raises UserError ``bad_mesh`` for anything else.
    """
    try:
        data = read_ordinary(path, MAX_BYTES)
        order, elements, body = _header(data)
        tables = _ascii_tables(body, elements) if not order else _binary_tables(body, elements, order)
        return _mesh(tables)
    except (FileFault, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        reason = error.reason if isinstance(error, FileFault) else str(error)[:200]
        raise UserError(
            ErrorCode.BAD_MESH,
            f"{shown(path)} cannot be read as a PLY mesh: {reason}.",
            "Export it as triangles again.",
        ) from error


def _header(data: bytes) -> tuple[str, list[_Element], bytes]:
    end = data.find(b"end_header", 0, MAX_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("it has no PLY header")
    line_end = data.index(b"\n", end) + 1
    order, elements = None, list[_Element]()
    for line in data[:end].decode("ascii", "replace").splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            order = _FORMATS[words[1]]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), [], []))
        elif words[:2] == ["property", "list"]:
            elements[-1].lists.append((words[4], _KINDS[words[2]], _KINDS[words[3]]))
        elif words[:1] == ["property"]:
            elements[-1].fields.append((words[2], _KINDS[words[1]]))
    if order is None:
        raise ValueError("it does not say its format")
    for element in elements:
        limit = MAX_VERTICES if element.name == "vertex" else MAX_FACES
        if not 0 <= element.count <= limit:
            raise ValueError(f"it claims {element.count} of {element.name}, at most {limit:,} are read")
    return order, elements, data[line_end:]


def _dtype(element: _Element, order: str) -> np.dtype[Any]:
    """A row; of lists, which come first, each has three values (texture places on a triangle six)."""
    if element.lists and element.name != "face":
        raise ValueError(f"{element.name} holds lists")
    lists = [
        column
        for name, count, kind in element.lists
        for column in ((f"{name} count", order + count), (name, order + kind, (6 if name == TEXTURE else 3,)))
    ]
    return np.dtype([*lists, *((name, order + kind) for name, kind in element.fields)])


def _binary_tables(body: bytes, elements: list[_Element], order: str) -> dict[str, NDArray[Any]]:
    tables, place = {}, 0
    for element in elements:
        dtype = _dtype(element, order)
        size = dtype.itemsize * element.count
        if place + size > len(body):
            raise ValueError("it is cut off, or its faces are not all triangles")
        table = np.frombuffer(body, dtype, element.count, place)
        place += size
        _require_triangles(element, table)
        tables[element.name] = table
        if element.name == "face":
            break  # what follows is not needed
    return tables


def _ascii_tables(body: bytes, elements: list[_Element]) -> dict[str, NDArray[Any]]:
    lines = iter(body.decode("ascii", "replace").splitlines())
    tables = {}
    for element in elements:
        dtype = _dtype(element, "")
        width = sum(int(np.prod(dtype[name].shape or (1,))) for name in dtype.names or ())
        rows = np.array([next(lines, "").split() for _ in range(element.count)], np.float64).reshape(-1, width)
        table = np.zeros(element.count, dtype)
        column = 0
        for name in dtype.names or ():
            wide = int(np.prod(dtype[name].shape or (1,)))
            table[name] = rows[:, column : column + wide].reshape(table[name].shape)
            column += wide
        _require_triangles(element, table)
        tables[element.name] = table
        if element.name == "face":
            break
    return tables


def _require_triangles(element: _Element, table: NDArray[Any]) -> None:
    for name, _, _ in element.lists:
        if (table[f"{name} count"] != (6 if name == TEXTURE else 3)).any():
            raise ValueError("its faces are not all triangles")


def _mesh(tables: dict[str, NDArray[Any]]) -> Ply:
    vertex, face = tables["vertex"], tables["face"]
    points = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float64)
    name = "vertex_indices" if "vertex_indices" in (face.dtype.names or ()) else "vertex_index"
    triangles = face[name].astype(np.int64)
    if not len(points) or not len(triangles):
        raise ValueError("it has no faces")
    if not np.isfinite(points).all() or np.abs(points).max() > FURTHEST:
        raise ValueError("a vertex is not finite, or too far away")
    if triangles.min() < 0 or triangles.max() >= len(points):
        raise ValueError(f"a face points outside its {len(points)} vertices")
    colors = None
    if {"red", "green", "blue"} <= set(vertex.dtype.names or ()):
        raw = np.stack([vertex[channel] for channel in ("red", "green", "blue")], axis=1)
        colors = (raw.astype(np.float32) / (1 if raw.dtype.kind == "f" else np.iinfo(raw.dtype).max)).astype(np.float32)
    return points, triangles.astype(np.int32), None, None, colors
