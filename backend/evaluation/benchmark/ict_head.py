"""The ICT-FaceKit head that the benchmark renders: another topology and other people than the tracker's heads."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark.head import EYES, F32, BenchmarkHead, Int, follows_head
from backend.files import read_npz
from backend.head_model.model import SurfacePoints

# Transparent in a full renderer: the tear film, shadow cards, and the inner eye seen through a clear cornea. The outer
# eye is drawn opaque, with the iris painted on. Lashes are
# cards that need a transparent texture.
_NOT_DRAWN = ("lacrimal_fluid", "eye_blend", "eye_occlusion", "iris", "eyelashes")
_EYE = 4
# (scale, left, bottom) of each of the archive's tiles, and of the eyes, in one picture; the face takes the most of it.
_CELLS = np.array([(0.75, 0, 0.25), (0.25, 0.75, 0.75), (0.25, 0.75, 0.5), (0.25, 0.75, 0.25), (0.25, 0, 0)])


def load_ict_head(path: Path) -> BenchmarkHead:
    """Read ``ict_facekit.npz``; cached. Raises UserError ``ict_missing`` or ``bad_file``."""
    if not path.is_file():
        raise UserError(
            ErrorCode.ICT_MISSING,
            f"The ICT-FaceKit archive that the benchmark is rendered from is not at {path}.",
            "Say where ict_facekit.npz lies.",
        )
    return _read(path)


@lru_cache(maxsize=1)
def _read(path: Path) -> BenchmarkHead:
    try:
        archive = read_npz(path, "ICT-FaceKit", texts=True)
        names = {
            key: tuple(map(str, archive[key])) for key in ("expression_names", "vertex_group_names", "range_names")
        }
        arrays = {key: archive[key] for key in _NEEDED}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"{path} is not the ICT-FaceKit archive: {error}.") from error
    ranges = {
        name: slice(int(a), int(b)) for name, (a, b) in zip(names["range_names"], arrays["vertex_ranges"], strict=True)
    }
    count = len(arrays["neutral"])
    drawn = np.ones(count, bool)
    for name, where in ranges.items():
        if name.startswith(_NOT_DRAWN):
            drawn[where] = False
    renumbered = np.cumsum(drawn, dtype=np.int32) - 1
    kept = drawn[arrays["triangles"]].all(axis=1)
    narrow = np.zeros(count, bool)
    narrow[ranges["narrow_face_area"]] = True
    group = arrays["vertex_group"][drawn]
    triangles = renumbered[arrays["triangles"][kept]]
    eyes = [names["vertex_group_names"].index(eye) for eye in EYES]
    return BenchmarkHead(
        template=_metres(arrays["neutral"][drawn]),
        identity_basis=_metres(arrays["identity_deltas"][:, drawn]),
        expression_basis=_metres(arrays["expression_deltas"][:, drawn]),
        expression_names=names["expression_names"],
        triangles=triangles,
        corner_uv=_laid_out(arrays["uv"][arrays["uv_triangles"][kept]], np.isin(group[triangles[:, 0]], eyes)),
        groups={name: group == index for index, name in enumerate(names["vertex_group_names"])},
        narrow_face=narrow[drawn],
        landmarks68=_at_vertices(renumbered[arrays["landmarks_68"]], triangles),
        follows_head=follows_head(arrays["neutral"][drawn] * 0.01),
    )


_NEEDED = (
    "neutral",
    "identity_deltas",
    "expression_deltas",
    "triangles",
    "uv",
    "uv_triangles",
    "vertex_group",
    "vertex_ranges",
    "landmarks_68",
)


def _metres(centimetres: NDArray[Any]) -> F32:
    return centimetres.astype(np.float32) * np.float32(0.01)


def _laid_out(corner_uv: NDArray[np.floating[Any]], on_eye: NDArray[np.bool_]) -> F32:
    """The archive's tiles (u ≥ 1 is the next one) side by side in one picture; both eyes share a cell of their own."""
    tile = np.floor(corner_uv[..., 0].mean(axis=1)).astype(int)
    base = np.where(on_eye, 0, tile)
    cell = _CELLS[np.where(on_eye, _EYE, tile)]
    placed = (corner_uv - np.stack([base, 0 * base], axis=1)[:, None]) * cell[:, None, :1] + cell[:, None, 1:]
    return np.asarray(placed, np.float32)


def _at_vertices(vertices: Int, triangles: Int) -> SurfacePoints:
    triangle = np.empty(len(vertices), np.int32)
    barycentric = np.zeros((len(vertices), 3), np.float32)
    for index, vertex in enumerate(vertices):
        rows, corners = np.nonzero(triangles == vertex)
        triangle[index] = rows[0]
        barycentric[index, corners[0]] = 1.0
    return SurfacePoints(triangle, barycentric)
