"""What deformation transfer takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.rigid import Similarity

F64 = NDArray[np.float64]
Triangles = NDArray[np.int32]
Mask = NDArray[np.bool_]

LEAST_VERTICES, MOST_VERTICES, MOST_TRIANGLES = 100, 500_000, 1_000_000
FURTHEST = 1e7
"""Units that a vertex may be away: ten kilometres where they are millimetres."""


@dataclass(frozen=True, eq=False)
class TargetMesh:
    """A mesh of any size, place and orientation: vertices (V,3), triangles (F,3) counter-clockwise seen from outside.

    ``points`` are places (3,) on it that a user gave, by the names of ``protocol.transfer.FACE_POINTS``; where there
    are any, they alone guide the registration. ``up`` and ``forward`` are directions (3,), where known.
    """

    vertices: F64
    triangles: Triangles
    points: Mapping[str, F64] = field(default_factory=dict)
    up: F64 | None = None
    forward: F64 | None = None


@dataclass(frozen=True, eq=False)
class Transferred:
    """The actions of a mesh: by name ``deltas (52,V,3)`` in its own unit and axes at strength 1.

    ``frame`` takes the mesh to head space, metres at the open head's size; ``figures`` tell how well it went.
    """

    names: tuple[str, ...]
    deltas: NDArray[np.float32]
    frame: Similarity
    figures: Mapping[str, float]


def checked(mesh: TargetMesh) -> TargetMesh:
    """The mesh in plain types, if it is one. Raises ``UserError`` ``bad_mesh``, ``mesh_size``."""
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or triangles.ndim != 2 or triangles.shape[1:] != (3,):
        raise _bad(f"its arrays are {vertices.shape} and {triangles.shape}, expected (V, 3) and (F, 3)")
    if vertices.dtype.kind not in "fiu" or triangles.dtype.kind not in "iu":
        raise _bad(f"its arrays hold {vertices.dtype} and {triangles.dtype}")
    if not LEAST_VERTICES <= len(vertices) <= MOST_VERTICES or len(triangles) > MOST_TRIANGLES:
        raise UserError(
            ErrorCode.MESH_SIZE,
            f"The mesh has {len(vertices)} vertices and {len(triangles)} triangles; a face mesh has {LEAST_VERTICES} "
            f"to {MOST_VERTICES} vertices and at most {MOST_TRIANGLES} triangles.",
            "Use the mesh without subdivision, or one with a face.",
        )
    if not np.isfinite(vertices).all():
        raise _bad("a vertex is not finite")
    if not len(triangles) or triangles.min() < 0 or triangles.max() >= len(vertices):
        raise _bad(f"its faces point outside its {len(vertices)} vertices" if len(triangles) else "it has no faces")
    if np.abs(vertices.astype(np.float64)).max() > FURTHEST:
        raise _bad(f"a vertex is more than {FURTHEST:g} units away")
    if np.ptp(vertices, axis=0).max() <= 1 / FURTHEST**2:
        raise _bad("all its vertices are at one place")
    directions = [_direction(mesh.up), _direction(mesh.forward)]
    points = {name: np.asarray(point, np.float64) for name, point in mesh.points.items()}
    return TargetMesh(vertices.astype(np.float64), triangles.astype(np.int32), points, *directions)


def _direction(given: NDArray[Any] | None) -> F64 | None:
    return None if given is None else np.asarray(given, np.float64) / max(float(np.linalg.norm(given)), 1e-12)


def _bad(reason: str) -> UserError:
    return UserError(ErrorCode.BAD_MESH, f"The mesh cannot be given actions: {reason}.", "Export or choose it again.")
