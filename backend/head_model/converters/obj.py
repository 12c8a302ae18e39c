"""Reads the vertices and faces of Wavefront OBJ files; materials and groups are not needed here."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.reading import FileFault, read_ordinary, shown

MAX_BYTES = 256 << 20
MAX_VERTICES, MAX_FACES = 2_000_000, 4_000_000
"""Of a mesh: scanners' finest faces have about a million triangles."""
MAX_LINES = 5 * MAX_FACES
"""Positions, places on the texture, normals and faces, each a line, and as many ends of lines of two characters."""
FURTHEST = 1e7
"""Units that a vertex may be away: ten kilometres where they are millimetres."""


@dataclass(frozen=True, eq=False)
class ObjMesh:
    """Vertices (V,3) in the file's unit and triangles (F,3); larger faces are cut into fans.

    ``quads (Q,2)`` are the two triangles of each face with four corners.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    quads: NDArray[np.int32]


def read_obj(path: Path) -> ObjMesh:
    """Read a mesh. Raises ``UserError`` ``bad_mesh`` for what is not one."""
    numbers, corners = array("d"), array("q")
    sizes: list[int] = []
    for line in obj_lines(path):
        if line.startswith("v "):
            _add_vertex(path, line, numbers)
        elif line.startswith("f "):
            _add_face(path, line, corners, sizes)
    vertices = _vertices(path, numbers)
    counts = np.array(sizes, np.int64)
    if not len(counts) or counts.max() < 3:
        raise _unreadable(path, "it has no faces")
    index = np.array(corners, np.int64)
    index = np.where(index < 0, index + len(vertices), index - 1)  # negative ones count from the end
    if index.min() < 0 or index.max() >= len(vertices):
        raise _unreadable(path, f"a face points outside its {len(vertices)} vertices")
    start = np.cumsum(counts) - counts
    fan = np.maximum(counts - 2, 0)
    after = np.arange(fan.sum()) - np.repeat(np.cumsum(fan) - fan, fan)  # which triangle of its face each is
    first = np.repeat(start, fan)
    triangles = np.stack([index[first], index[first + after + 1], index[first + after + 2]], axis=1)
    halves = (np.cumsum(fan) - 2)[counts == 4]
    return ObjMesh(vertices, triangles.astype(np.int32), np.stack([halves, halves + 1], axis=1).astype(np.int32))


def read_obj_vertices(path: Path) -> NDArray[np.float64]:
    """Only the vertices (V,3). Raises ``UserError`` ``bad_mesh``."""
    numbers = array("d")
    for line in obj_lines(path):
        if line.startswith("v "):
            _add_vertex(path, line, numbers)
    return _vertices(path, numbers)


def obj_lines(path: Path) -> Iterator[str]:
    """The lines of an OBJ, one after the other: all at once take many times its bytes. Raises ``bad_mesh``."""
    try:
        data = read_ordinary(path, MAX_BYTES)
    except FileFault as fault:
        raise _unreadable(path, fault.reason) from fault
    if data.count(b"\n") + data.count(b"\r") > MAX_LINES:
        raise _unreadable(path, f"it has more than {MAX_LINES:,} lines")
    for line in io.TextIOWrapper(io.BytesIO(data), "utf-8", "replace"):
        yield line.rstrip("\n")


def _add_vertex(path: Path, line: str, numbers: array[float]) -> None:
    try:
        x, y, z = (float(text) for text in line.split(maxsplit=4)[1:4])
    except ValueError as error:
        raise _unreadable(path, "a vertex does not have three numbers") from error
    numbers.extend((x, y, z))
    if len(numbers) > 3 * MAX_VERTICES:
        raise _unreadable(path, f"it has more than {MAX_VERTICES:,} vertices")


def _add_face(path: Path, line: str, corners: array[int], sizes: list[int]) -> None:
    try:
        face = [int(corner.split("/", 1)[0]) for corner in line.split()[1:]]
        corners.extend(face)
    except (ValueError, OverflowError) as error:
        raise _unreadable(path, f"a face is not made of numbers ({str(error)[:100]})") from error
    sizes.append(len(face))
    if len(corners) > 4 * MAX_FACES or len(sizes) > MAX_FACES:
        raise _unreadable(path, f"it has more than {MAX_FACES:,} faces")


def _vertices(path: Path, numbers: array[float]) -> NDArray[np.float64]:
    vertices = np.array(numbers, np.float64).reshape(-1, 3)
    if not len(vertices):
        raise _unreadable(path, "it has no vertices")
    if not np.isfinite(vertices).all():
        raise _unreadable(path, "a vertex is not finite")
    if np.abs(vertices).max() > FURTHEST:
        raise _unreadable(path, f"a vertex is more than {FURTHEST:g} units away")
    if not np.ptp(vertices, axis=0).any():
        raise _unreadable(path, "all its vertices are at one place")
    return vertices


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        ErrorCode.BAD_MESH, f"{shown(path)} cannot be read as an OBJ mesh: {reason}.", "Fetch or export the file again."
    )
