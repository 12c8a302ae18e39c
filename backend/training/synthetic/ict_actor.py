"""ICT-FaceKit as an actor: registered to the canonical atlas once, then read from the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from backend.alignment.landmarks.plain_mesh import still_face_mesh
from backend.datasets.splits import identity_modes
from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.head_model.builder.landmarks import lower_jaw
from backend.head_model.converters.ict import read_ict
from backend.head_model.io import read_head, save_head
from backend.head_model.model import BoolArray, HeadModel
from backend.head_model.registration.correspondence import Correspondence, correspond
from backend.head_model.registration.parts import EYEBALLS, Parts, parts_of, parts_of_open_head
from backend.head_model.registration.register import register_head
from backend.head_model.registration.types import SourceHead
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface
from backend.training.synthetic.actors import Actor, OpenVertices, make_actor

REACH = 0.002
"""Metres. Where the open head, bent onto ICT's, stays farther than this from its skin, the two do not correspond."""

_VERSION = 1  # counts up whenever the same heads would give another correspondence
_MAX_BYTES = 1 << 24


def default_cache() -> Path:
    """The folder of registered heads on this system."""
    return platformdirs.user_cache_path("flowface", appauthor=False) / "synthetic"


def load_ict_actor(path: Path, open_head: HeadModel, cache: Path | None = None) -> Actor:
    """The ICT head at ``path`` (archive) with the training split's identity modes; takes 20 s the first time.

    ``open_head`` is the library's, whose mesh it is laid over.
    Raises UserError: ``read_ict``'s, ``register_head``'s, and ``cache_folder`` where nothing can be written.
    """
    source = read_ict(path)
    folder = cache or default_cache()
    key = hashlib.sha256(f"{_VERSION} {open_head.hash}".encode())
    for array in (source.template, source.triangles, source.shape_basis, source.expression_basis):
        key.update(np.ascontiguousarray(array).tobytes())
    name = f"ict_{key.hexdigest()[:16]}"
    head_file, points_file = folder / f"{name}_head.npz", folder / f"{name}_points.npz"
    if not (head_file.is_file() and points_file.is_file()):
        _register(source, open_head, head_file, points_file)
    arrays = read_npz(points_file, "correspondence of two heads", _MAX_BYTES)
    points = OpenVertices(arrays["corners"], arrays["weights"], arrays["known"])
    return make_actor("ict", read_head(head_file), points, identity_modes("train", len(source.shape_basis)))


def _register(source: SourceHead, open_head: HeadModel, head_file: Path, points_file: Path) -> None:
    parts = parts_of(source)
    match = correspond(source, parts, open_head, still_face_mesh, lambda *_: None)
    head, _ = register_head(source, still_face_mesh, match=match)
    points = _open_vertices(source, parts, open_head, match)
    unfinished = head_file.with_name(f".{head_file.stem}.{os.getpid()}.part")
    try:
        head_file.parent.mkdir(parents=True, exist_ok=True)
        save_head(head, unfinished)
        unfinished.replace(head_file)
        write_npz(points_file, {"corners": points.corners, "weights": points.weights, "known": points.known})
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UserError(
            ErrorCode.CACHE_FOLDER,
            f"Registered heads cannot be written to {head_file.parent}: {error.strerror or error}.",
        ) from error


def _open_vertices(source: SourceHead, parts: Parts, open_head: HeadModel, match: Correspondence) -> OpenVertices:
    """Every open-head vertex on the same part of the source: skin on skin, each lip on its own, eyes on eyes."""
    count = open_head.vertex_count
    facing = vertex_normals(match.bent, open_head.triangles)
    triangle, weights = np.zeros(count, np.int64), np.zeros((count, 3), np.float32)
    known = np.zeros(count, bool)
    skin = parts.inside("outer", source.triangles)
    for index, allowed, sure in _groups(source, parts, open_head, match, skin):
        surface = MeshSurface(source.template, source.triangles, allowed)
        foot = surface.closest_nearby(match.bent[index], facing[index])
        triangle[index], weights[index] = foot.triangle, foot.barycentric
        known[index] = sure & (foot.distance < REACH)
    return OpenVertices(source.triangles[triangle].astype(np.int32), weights, known)


def _groups(
    source: SourceHead, parts: Parts, open_head: HeadModel, match: Correspondence, skin: BoolArray
) -> list[tuple[NDArray[np.intp], BoolArray, bool]]:
    """Open-head vertices, the source's triangles (F,) they may lie on, and whether that is a correspondence at all.

    Teeth, tongue, lashes and cavities have other shapes: they lie wherever is near, and are not known.
    """
    own = parts_of_open_head(open_head)
    lower = lower_jaw(open_head)
    source_lower = match.carried(lower.astype(np.float64), open_head) > 0.5
    mouth = match.carried(open_head.regions["mouth"].astype(np.float64), open_head) > 0.5
    corners = source.triangles
    lips = own["outer"] & open_head.regions["lips"]
    around = skin & mouth[corners].any(axis=1)
    groups = [
        (own["outer"] & ~lips, skin, True),
        (lips & lower, around & source_lower[corners].any(axis=1), True),
        (lips & ~lower, around & (~source_lower)[corners].any(axis=1), True),
    ]
    groups += [(own[name], parts.inside(name, corners), True) for name in EYEBALLS]
    placed = np.any([mask for mask, _, _ in groups], axis=0)
    groups.append((~placed, np.ones(len(corners), bool), False))
    return [(np.flatnonzero(mask), allowed, sure) for mask, allowed, sure in groups if mask.any()]
