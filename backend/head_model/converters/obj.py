"""Reads the vertices and faces of Wavefront OBJ files; materials and groups are not needed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

MAX_BYTES = 256 << 20


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
    lines = _lines(path)
    vertices = _vertices(path, lines)
    corners = [line.split()[1:] for line in lines if line.startswith("f ")]
    try:
        faces = [[int(corner.split("/", 1)[0]) for corner in face] for face in corners]
    except ValueError as error:
        raise _unreadable(path, f"a face is not made of numbers ({error})") from error
    triangles = [(face[0], face[k], face[k + 1]) for face in faces for k in range(1, len(face) - 1)]
    if not triangles:
        raise _unreadable(path, "it has no faces")
    index = np.array(triangles, np.int64)
    index = np.where(index < 0, index + len(vertices), index - 1)  # negative ones count from the end
    if index.min() < 0 or index.max() >= len(vertices):
        raise _unreadable(path, f"a face points outside its {len(vertices)} vertices")
    sizes = np.array([len(face) for face in faces])
    first = (np.cumsum(np.maximum(sizes - 2, 0)) - 2)[sizes == 4]
    return ObjMesh(vertices, index.astype(np.int32), np.stack([first, first + 1], axis=1).astype(np.int32))


def read_obj_vertices(path: Path) -> NDArray[np.float64]:
    """Only the vertices (V,3). Raises ``UserError`` ``bad_mesh``."""
    return _vertices(path, _lines(path))


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable(path, f"it is larger than {MAX_BYTES >> 20} MiB")
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _vertices(path: Path, lines: list[str]) -> NDArray[np.float64]:
    rows = [line.split()[1:4] for line in lines if line.startswith("v ")]
    try:
        vertices = np.array(rows, np.float64).reshape(len(rows), 3)
    except ValueError as error:
        raise _unreadable(path, "a vertex does not have three numbers") from error
    if not len(vertices):
        raise _unreadable(path, "it has no vertices")
    if not np.isfinite(vertices).all():
        raise _unreadable(path, "a vertex is not finite")
    return vertices


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        ErrorCode.BAD_MESH, f"{path} cannot be read as an OBJ mesh: {reason}.", "Fetch or export the file again."
    )
