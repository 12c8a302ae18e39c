"""What Multiface's mesh has where: NoW's seven key points and the regions of seeds/001 figure 10, by vertices.

The data set does not say. Either a file tells it (``read_topology``)::

    keypoints = [1234, …]        seven vertices: eye corners from right to left, base of the nose, mouth corners
    [regions]
    face = [12, 13, …]           vertices; mouth, nose, eyes and, where wanted, ears likewise

or it is carried over from our own head, fitted to a frontal picture of the same moment (``carried_over``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.scan_distance import face_crop
from backend.evaluation.metrics.chamfer import keypoints7
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7, align_to_scan
from backend.evaluation.types import REGIONS, MeshSequence
from backend.files import write_atomic
from backend.head_model.model import HeadModel
from backend.head_model.rasterise import rasterise
from backend.head_model.surface import MeshSurface
from backend.reading import read_bounded, shown

F64 = NDArray[np.float64]

MAX_BYTES = 16 << 20
NEARBY = 0.015
"""Metres from our head within which a vertex may belong to one of its regions."""
OPTIONAL = ("ears",)


@dataclass(frozen=True, eq=False)
class Topology:
    """Seven vertices ``keypoints (7,)``, and ``regions``: vertices (n,) by name."""

    keypoints: NDArray[np.intp]
    regions: Mapping[str, NDArray[np.intp]]

    def masks(self, count: int) -> dict[str, NDArray[np.bool_]]:
        """(V,) for each region of a mesh of so many vertices."""
        found = {}
        for name, vertices in self.regions.items():
            found[name] = np.zeros(count, bool)
            found[name][vertices] = True
        return found

    @property
    def highest(self) -> int:
        """The highest vertex that is named."""
        return int(max(int(v.max()) for v in (self.keypoints, *self.regions.values()) if len(v)))

    def landmarks68(self, triangles: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The key points among iBUG-68's as triangles and weights, as ``MeshSequence`` has them; others are any."""
        triangle, weights = np.zeros(68, np.int32), np.zeros((68, 3), np.float32)
        for place, vertex in zip(KEYPOINTS7, self.keypoints, strict=True):
            row, corner = np.argwhere(triangles == vertex)[0]
            triangle[place], weights[place, corner] = row, 1.0
        return triangle, weights


def view_angles(keypoints: F64, camera: F64) -> tuple[float, float]:
    """From where a camera sees a face, degrees: to its left and above, 0 from the front.

    ``keypoints (7,3)`` and the camera's place (3,) in one space. To the left is along the eyes, up from the mouth to
    the eyes, and the front across both.
    """
    left = keypoints[3] - keypoints[0]
    left = left / np.linalg.norm(left)
    up = keypoints[:4].mean(axis=0) - keypoints[5:].mean(axis=0)
    up = up - (up @ left) * left
    up = up / np.linalg.norm(up)
    away = np.asarray(camera, np.float64) - keypoints.mean(axis=0)
    x, y, z = away @ left, away @ up, away @ np.cross(left, up)
    return float(np.rad2deg(np.arctan2(x, z))), float(np.rad2deg(np.arctan2(y, np.hypot(x, z))))


def read_topology(path: Path) -> Topology:
    """As above. Raises UserError ``file_missing``, ``bad_file`` naming the field."""
    try:
        told = tomllib.loads(read_bounded(path, "topology", MAX_BYTES).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} is no TOML: {str(error)[:200]}.") from error
    regions = told.get("regions")
    if not isinstance(regions, dict):
        raise _bad(path, "regions", "a table of regions")
    for name in (name for name in REGIONS if name not in regions and name not in OPTIONAL):
        raise _bad(path, f"regions.{name}", "a list of vertices")
    keypoints = _vertices(path, "keypoints", told.get("keypoints"))
    if len(keypoints) != 7:
        raise _bad(path, "keypoints", "seven vertices")
    found = {name: _vertices(path, f"regions.{name}", regions[name]) for name in REGIONS if name in regions}
    return Topology(keypoints, found)


def _vertices(path: Path, field: str, told: Any) -> NDArray[np.intp]:
    whole = isinstance(told, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in told)
    if not whole or not told or min(told) < 0 or max(told) > 1 << 24:
        raise _bad(path, field, "a list of vertices, whole numbers from 0")
    return np.array(told, np.intp)


def _bad(path: Path, field: str, expected: str) -> UserError:
    return UserError(
        ErrorCode.BAD_FILE,
        f"“{field}” of {shown(path)} must be {expected}.",
        "See backend/evaluation/challenges/multiface/topology.py.",
    )


def write_topology(path: Path, topology: Topology) -> None:
    """Write the file that ``read_topology`` reads."""
    lists = [f"keypoints = {topology.keypoints.tolist()}", "", "[regions]"]
    lists += [f"{name} = {vertices.tolist()}" for name, vertices in topology.regions.items()]
    write_atomic(path, ("\n".join(lists) + "\n").encode(), public=True)


def carried_over(head: HeadModel, ours: MeshSequence, true: MeshSequence) -> Topology | None:
    """The topology of a mesh by our ``head`` as it was tracked (its first frame) in a picture that shows both.

    Key points are where ours are seen in the picture, on ``true``'s surface behind them; regions those of the closest
    point of our surface, once it is aligned to the face. None where ours are seen beside the true mesh.
    """
    vertices = true.vertices[0].astype(np.float64)
    keypoints = _behind(keypoints7(ours, 0), ours, true)
    if keypoints is None:
        return None
    surface = MeshSurface(ours.vertices[0], ours.triangles)
    points = vertices[keypoints]
    face = vertices[face_crop(vertices, points)]
    motion = align_to_scan(surface, keypoints7(ours, 0), face, points, metrical=False)
    closest = surface.closest(motion.undo(vertices))
    near = closest.distance * motion.scale <= NEARBY
    regions = {}
    for name in REGIONS:
        share = closest.of(head.regions[name].astype(np.float64), ours.triangles)
        regions[name] = np.flatnonzero(near & (share >= 0.5))
    return Topology(keypoints, regions)


def _behind(points: F64, ours: MeshSequence, true: MeshSequence) -> NDArray[np.intp] | None:
    """(7,) the vertices of the true mesh behind camera-space points of ours (7,3), distinct; None where there are
    none."""
    seen = rasterise(
        true.vertices[0],
        true.triangles,
        focal_px=float(true.focal_px[0]),
        principal_point=true.principal_point,
        image_size=true.image_size,
    )
    place = points[:, :2] / points[:, 2:] * ours.focal_px[0] + ours.principal_point
    column, row = np.floor(place).astype(int).T
    height, width = seen.triangle.shape
    if (np.minimum(column, row) < 0).any() or (column >= width).any() or (row >= height).any():
        return None
    triangle = seen.triangle[row, column]
    if (triangle < 0).any():
        return None
    corner = seen.barycentric[row, column].argmax(axis=1)
    found = true.triangles[triangle, corner].astype(np.intp)
    return found if len(set(found.tolist())) == len(found) else None
