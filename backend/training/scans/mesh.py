"""A scan as its scanner left it: a triangle mesh with a picture laid over it, or with colours at its vertices."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.footage import read_image
from backend.head_model.converters.obj import MAX_FACES, MAX_VERTICES, obj_lines, read_obj
from backend.reading import is_file, shown
from backend.training.scans.ply import read_ply

F64 = NDArray[np.float64]

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}


@dataclass(frozen=True, eq=False)
class ScanMesh:
    """``vertices (V,3)``, ``triangles (F,3)``, counter-clockwise seen from outside; in the file's own frame and unit.

    ``texture (h,w,3)`` sRGB through ``corner_uv (F,3,2)`` in [0,1], v upwards; or ``colors (V,3)`` sRGB in 0…1; or
    neither.
    """

    vertices: F64
    triangles: NDArray[np.int32]
    corner_uv: NDArray[np.float32] | None = None
    texture: NDArray[np.uint8] | None = None
    colors: NDArray[np.float32] | None = None

    def scaled(self, factor: float) -> ScanMesh:
        """The same in a unit ``factor`` times smaller."""
        return replace(self, vertices=self.vertices * factor)

    @property
    def coloured(self) -> bool:
        """True where it can be drawn as it looked."""
        return self.colors is not None or (self.texture is not None and self.corner_uv is not None)


def read_scan(path: Path, texture: Path | None = None) -> ScanMesh:
    """The scan in an OBJ or PLY file.

    Its picture is ``texture``, or else what the OBJ's material names, or else the one picture of the OBJ's own name
    beside it. Raises UserError ``bad_mesh`` for another kind of file or a damaged one, and as ``read_image`` does.
    """
    suffix = path.suffix.lower()
    if suffix == ".ply":
        mesh = ScanMesh(*read_ply(path))
    elif suffix == ".obj":
        mesh = _read_textured_obj(path)
        texture = texture or _picture_of(path)
    else:
        raise UserError(
            ErrorCode.BAD_MESH,
            f"{shown(path)} cannot be read as a scan: it is neither .obj nor .ply.",
            "Convert it, in Blender for instance, to .obj with its picture beside it.",
        )
    if texture is None:
        return mesh
    if mesh.corner_uv is None:
        raise UserError(
            ErrorCode.BAD_MESH,
            f"{shown(path)} has no place on the picture {shown(texture)} for each of its corners.",
            "Export it with texture coordinates.",
        )
    return replace(mesh, texture=read_image(texture))


def metres_per_unit(unit: str) -> float:
    """The length of a unit: ``m``, ``cm``, ``mm``, or metres as a number. Raises UserError ``bad_unit``."""
    try:
        length = UNITS[unit] if unit in UNITS else float(unit)
    except ValueError:
        length = float("nan")
    if not 1e-6 <= length <= 1e6:
        raise UserError(
            ErrorCode.BAD_UNIT,
            f"“{unit}” is no unit of length: expected {', '.join(UNITS)} or how many metres it has.",
        )
    return length


def _read_textured_obj(path: Path) -> ScanMesh:
    geometry = read_obj(path)
    numbers, corners = array("d"), array("q")
    sizes: list[int] = []
    for line in obj_lines(path):
        if line.startswith("vt "):
            _add_place(path, line, numbers)
        elif line.startswith("f "):
            face = [corner.split("/") for corner in line.split()[1:]]
            sizes.append(len(face))
            _add_corners(path, face, corners)
    places = np.array(numbers, np.float64).reshape(-1, 2)
    index = np.array(corners, np.int64)
    if not len(places) or (index == 0).any():
        return ScanMesh(geometry.vertices, geometry.triangles)
    index = np.where(index < 0, index + len(places), index - 1)
    if index.min() < 0 or index.max() >= len(places) or not np.isfinite(places).all():
        raise UserError(ErrorCode.BAD_MESH, f"{shown(path)} has a face that points outside its texture coordinates.")
    return ScanMesh(geometry.vertices, geometry.triangles, places[_fans(index, sizes)].astype(np.float32))


def _add_place(path: Path, line: str, numbers: array[float]) -> None:
    try:
        numbers.extend(float(text) for text in line.split(maxsplit=3)[1:3])
    except ValueError as error:
        raise UserError(ErrorCode.BAD_MESH, f"{shown(path)} has a texture coordinate that is no number.") from error
    if len(numbers) % 2 or len(numbers) > 6 * MAX_VERTICES:
        raise UserError(ErrorCode.BAD_MESH, f"{shown(path)} has too many texture coordinates, or one that is half.")


def _add_corners(path: Path, face: Sequence[Sequence[str]], corners: array[int]) -> None:
    try:
        corners.extend(int(corner[1]) if len(corner) > 1 and corner[1] else 0 for corner in face)
    except (ValueError, OverflowError) as error:
        raise UserError(ErrorCode.BAD_MESH, f"{shown(path)} has a face that is not made of numbers.") from error
    if len(corners) > 4 * MAX_FACES:
        raise UserError(ErrorCode.BAD_MESH, f"{shown(path)} has more than {MAX_FACES:,} faces.")


def _fans(index: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int64]:
    """Corners of triangles (F,3), faces cut into fans as ``read_obj`` cuts them."""
    counts = np.array(sizes, np.int64)
    start = np.cumsum(counts) - counts
    fan = np.maximum(counts - 2, 0)
    after = np.arange(fan.sum()) - np.repeat(np.cumsum(fan) - fan, fan)
    first = np.repeat(start, fan)
    return np.asarray(np.stack([index[first], index[first + after + 1], index[first + after + 2]], axis=1))


def _picture_of(path: Path) -> Path | None:
    named = [line.split(maxsplit=1)[1].strip() for line in obj_lines(path) if line.startswith("mtllib ")]
    for library in named[:1]:
        material = path.parent / Path(library.replace("\\", "/")).name
        if not is_file(material):
            continue
        maps = [line.split()[-1] for line in obj_lines(material) if line.strip().lower().startswith("map_kd ")]
        found = [path.parent / Path(name.replace("\\", "/")).name for name in maps]
        present = [picture for picture in found if is_file(picture)]
        if len(set(present)) > 1:
            raise UserError(
                ErrorCode.BAD_MESH,
                f"{shown(path)} is laid under several pictures ({', '.join(p.name for p in present[:3])}).",
                "Bake them into one.",
            )
        if present:
            return present[0]
    beside = [path.with_suffix(suffix) for suffix in PICTURES if is_file(path.with_suffix(suffix))]
    return beside[0] if len(beside) == 1 else None
