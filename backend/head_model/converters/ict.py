"""ICT-FaceKit (USC Institute for Creative Technologies, MIT): its folder of OBJ files, or one npz archive of it.

Li et al. 2020, "Learning formation of physically-based face attributes". The archive holds what the folder does:
``neutral (V,3)``, ``identity_deltas (100,V,3)``, ``expression_deltas (E,V,3)``, ``expression_names``, ``triangles``,
and, as it may, ``faces``: the quads that the triangles are halves of.
Units are centimetres; identity modes are scaled to one standard deviation; ``_L`` is the subject's left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_arrays
from backend.head_model.converters.obj import read_obj, read_obj_vertices
from backend.head_model.quads import halves_of, kept_pairs
from backend.head_model.registration.types import SourceHead
from backend.reading import FileFault, is_folder, shown

F32 = NDArray[np.float32]

LICENCE = "MIT (ICT-FaceKit, USC Institute for Creative Technologies)"
METRES = 0.01
MAX_ARCHIVE_BYTES = 1 << 30

NEUTRAL = "generic_neutral_mesh.obj"
VERTICES = 26719
# Half-open vertex ranges of the parts, as ICT-FaceKit's documentation lists them for its one topology.
_RANGES = {
    "face": (0, 9409),
    "head_and_neck": (9409, 11248),
    "mouth_bag": (11248, 13294),
    "eye_sockets": (13294, 14062),
    "gums": (14062, 16611),
    "tongue": (16611, 17039),
    "teeth": (17039, 21451),
    "left_eyeball": (21451, 22221),
    "right_eyeball": (23021, 23791),
}
"""Ranges of the vertices that are kept, by part.

Left out are the inner irises behind the cornea (irises are painted onto the outer eye here), and the tear film, lashes
and shadows about the eyes, which are cards for transparent textures and would hide the eye when drawn solid.
"""

_NOT_SHAPES = ("PupilDilate_L", "PupilDilate_R")
"""They move the inner irises only."""
_COMBINED = {"browInnerUp": ("browInnerUpLeft", "browInnerUpRight"), "cheekPuff": ("cheekPuffLeft", "cheekPuffRight")}
"""ARKit actions that ICT-FaceKit has one of for each side."""


@dataclass(frozen=True, eq=False)
class _Raw:
    """The model in its own units and topology."""

    neutral: NDArray[np.float64]
    triangles: NDArray[np.int32]
    quads: NDArray[np.int32]  # (Q,2) halves of a face with four corners
    identity: F32  # (K,V,3) offsets
    expression: F32  # (E,V,3) offsets
    expression_names: tuple[str, ...]


def read_ict(path: Path, name: str = "ict", on_progress: Callable[[float], None] = lambda _: None) -> SourceHead:
    """Read ICT-FaceKit from its OBJ folder or our npz archive.

    Raises ``UserError`` ``ict_missing`` (no such file or folder, or no neutral mesh in it), ``ict_unreadable``,
    ``ict_inconsistent`` (a file with another number of vertices, named), ``bad_mesh``.
    """
    raw = _read_folder(path, on_progress) if is_folder(path) else _read_archive(path)
    regions, kept = _parts(len(raw.neutral))
    number = np.cumsum(kept, dtype=np.int32) - 1
    whole = kept[raw.triangles].all(axis=1)
    names, expression, actions = _expressions(raw, kept)
    return SourceHead(
        id=name,
        template=(raw.neutral[kept] * METRES).astype(np.float32),
        triangles=number[raw.triangles[whole]],
        shape_basis=raw.identity[:, kept] * np.float32(METRES),
        expression_basis=expression,
        expression_names=names,
        expression_bounds=np.tile(np.array([0, 1], np.float32), (len(names), 1)),
        licence=LICENCE,
        provenance={"source": "ICT-FaceKit", "file": path.name, "identities": str(len(raw.identity))},
        regions={region: mask[kept] for region, mask in regions.items()},
        actions=actions,
        quads=kept_pairs(raw.quads, whole),
    )


def arkit_name(name: str) -> str:
    """ICT-FaceKit's ``browDown_L`` as ARKit's ``browDownLeft``."""
    side = {"_L": "Left", "_R": "Right"}.get(name[-2:], "")
    return name[:-2] + side if side else name


def _expressions(raw: _Raw, kept: NDArray[np.bool_]) -> tuple[tuple[str, ...], F32, dict[str, F32]]:
    rows = [n for n, name in enumerate(raw.expression_names) if name not in _NOT_SHAPES]
    names = tuple(arkit_name(raw.expression_names[n]) for n in rows)
    basis = raw.expression[rows][:, kept] * np.float32(METRES)
    actions = {
        action: basis[names.index(left)] + basis[names.index(right)]
        for action, (left, right) in _COMBINED.items()
        if left in names and right in names
    }
    return names, basis, actions


def _parts(count: int) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
    """Region masks (V,) and which vertices are kept; another topology's parts are found by its registration."""
    if count != VERTICES:
        return {}, np.ones(count, bool)
    masks = {}
    for name, (start, stop) in _RANGES.items():
        masks[name] = np.zeros(count, bool)
        masks[name][start:stop] = True
    kept = np.any(list(masks.values()), axis=0)
    skin = masks.pop("face") | masks.pop("head_and_neck") | masks["mouth_bag"] | masks["eye_sockets"]
    return {**masks, "skin": skin}, kept


def _read_archive(path: Path) -> _Raw:
    try:
        data = read_arrays(path, MAX_ARCHIVE_BYTES, texts=True)
        raw = _Raw(
            data["neutral"].astype(np.float64),
            data["triangles"].astype(np.int32),
            _halves(data),
            data["identity_deltas"].astype(np.float32),
            data["expression_deltas"].astype(np.float32),
            tuple(map(str, data["expression_names"])),
        )
    except (FileFault, ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, FileFault) and error.missing:
            raise UserError(
                ErrorCode.ICT_MISSING,
                f"There is no file or folder {shown(path)}.",
                "Give ICT-FaceKit's folder of .obj files.",
            ) from error
        raise UserError(
            ErrorCode.ICT_UNREADABLE,
            f"{shown(path)} is not an ICT-FaceKit archive or is damaged ({error}).",
            "Give ICT-FaceKit's folder of .obj files, or an archive with neutral, identity_deltas and so on.",
        ) from error
    return _checked(raw, path)


def _halves(data: Mapping[str, NDArray[Any]]) -> NDArray[np.int32]:
    """The triangles (Q,2) of each of the archive's quads, where it has them: ``faces (N,4)``, -1 in a triangle."""
    faces = data.get("faces", np.zeros((0, 4), np.int32))
    if faces.ndim != 2 or faces.shape[1] != 4 or faces.dtype.kind != "i":
        raise ValueError(f"faces is {faces.dtype} {faces.shape}, expected int32 (N, 4)")
    return halves_of(faces, data["triangles"])


def _checked(raw: _Raw, path: Path) -> _Raw:
    count = len(raw.neutral)
    shapes: dict[str, tuple[NDArray[Any], tuple[int, ...]]] = {
        "neutral": (raw.neutral, (count, 3)),
        "triangles": (raw.triangles, (len(raw.triangles), 3)),
        "identity_deltas": (raw.identity, (len(raw.identity), count, 3)),
        "expression_deltas": (raw.expression, (len(raw.expression_names), count, 3)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise _inconsistent(path, f"{name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise _inconsistent(path, f"{name} holds values that are not finite")
    if raw.triangles.min(initial=0) < 0 or raw.triangles.max(initial=-1) >= count:
        raise _inconsistent(path, f"triangles point outside its {count} vertices")
    return raw


def _read_folder(path: Path, on_progress: Callable[[float], None]) -> _Raw:
    if not (path / NEUTRAL).is_file():
        raise UserError(
            ErrorCode.ICT_MISSING, f"The folder {path} holds no {NEUTRAL}.", "Give ICT-FaceKit's folder FaceXModel."
        )
    neutral = read_obj(path / NEUTRAL)
    shapes = [file for file in sorted(path.glob("*.obj")) if file.name != NEUTRAL]
    identity: list[F32] = []
    expression: dict[str, F32] = {}
    for n, file in enumerate(shapes):
        vertices = read_obj_vertices(file)
        if len(vertices) != len(neutral.vertices):
            raise _inconsistent(file, f"it has {len(vertices)} vertices, {NEUTRAL} has {len(neutral.vertices)}")
        offsets = (vertices - neutral.vertices).astype(np.float32)
        if re.fullmatch(r"identity\d+", file.stem):
            identity.append(offsets)
        else:
            expression[file.stem] = offsets
        on_progress((n + 1) / len(shapes))
    if not identity or not expression:
        missing = "identity000.obj and so on" if not identity else "expressions such as jawOpen.obj"
        raise UserError(
            ErrorCode.ICT_MISSING, f"The folder {path} holds no {missing}.", "Give ICT-FaceKit's folder FaceXModel."
        )
    return _Raw(
        neutral.vertices,
        neutral.triangles,
        neutral.quads,
        np.stack(identity),
        np.stack(list(expression.values())),
        tuple(expression),
    )


def _inconsistent(path: Path, reason: str) -> UserError:
    return UserError(ErrorCode.ICT_INCONSISTENT, f"{path} is inconsistent: {reason}.", "Fetch the files again.")
