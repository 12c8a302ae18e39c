"""The 44 landmarks by which a scan is laid under the open head, in a file that people annotate (seeds/000 D.1).

The supplement names their parts and number alone: eyebrows, eyes, nose and lips. Here they are iBUG-68's 18th to 60th,
as annotators know those, and the middle of the upper lip's lower edge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE
from backend.head_model.model import HeadModel, SurfacePoints
from backend.reading import read_json, shown

F64 = NDArray[np.float64]

_GROUPS = {"right_brow": 5, "left_brow": 5, "nose": 9, "right_eye": 6, "left_eye": 6, "lips": 12, "lip_middle": 1}
NAMES = tuple(f"{group}_{n + 1}" for group, count in _GROUPS.items() for n in range(count))
"""In iBUG's order, "right" the subject's: brows from the subject's right, the nose downwards and then to its left, eyes
and outer lips around from their right corner over the top."""
IBUG = (*range(17, 60), 62)
"""Rows of ``HeadModel.landmarks["ibug68"]``."""
LEAST = 12
"""Landmarks without which neither a face's pose nor its proportions are told apart."""

ANNOTATED_SIGMA, MEDIAPIPE_SIGMA = 0.001, 0.0015
"""Metres that people's clicks and MediaPipe's points on renders are usually off."""
SHUT = 0.14
"""Of an eye's width; open, the lids are 0.3 to 0.4 of it apart, the open head's after a full blink 0.115"""
MAX_FILE_BYTES = 1 << 20
_PRESELECTED = 120
_CLEAR_OF_RIMS = 0.006  # metres from the edges of lids and lips, where flow of neighbours runs apart


@dataclass(frozen=True, eq=False)
class Landmarks:
    """``position (N,3)`` of points of the open head's surface ``on (N,)`` on a scan, in the scan's frame and unit.

    ``sigma (N,)``, in the open head's metres, is how far off they may be.
    """

    on: SurfacePoints
    position: F64
    sigma: F64


@dataclass(frozen=True, eq=False)
class LandmarkFile:
    """What a landmark file holds; positions in the scan's frame and unit.

    ``position (44,3)``, NaN where not annotated; ``by`` annotators or MediaPipe. Of landmarks that were carried from a
    neutral also ``vertices (n,)`` of the open head with their ``places (n,3)``, and how far off all of them may be,
    ``sigma (44+n,)`` in metres, where that is known.
    """

    position: F64
    by: str = "annotated"
    vertices: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    places: F64 = field(default_factory=lambda: np.zeros((0, 3)))
    sigma: F64 | None = None

    def on_head(self, head: HeadModel) -> Landmarks:
        """Those that are known, with their places on the open head."""
        points = annotated_points(head) if self.by == "annotated" else mediapipe_points(head)
        corner = _corner_of(head)[self.vertices]
        triangle = np.concatenate([points.triangle, corner[:, 0]]).astype(np.int32)
        weights = np.concatenate([points.barycentric, np.eye(3, dtype=np.float32)[corner[:, 1]]])
        position = np.concatenate([self.position, self.places])
        usual = ANNOTATED_SIGMA if self.by == "annotated" else MEDIAPIPE_SIGMA
        sigma = np.full(len(position), usual) if self.sigma is None else self.sigma
        known = np.isfinite(position).all(axis=1) & np.isfinite(sigma)
        return Landmarks(SurfacePoints(triangle[known], weights[known]), position[known], sigma[known])

    def shut(self) -> tuple[bool, bool]:
        """Whether the subject's (left, right) lids meet: their points' distance over the eye's width says so."""
        return _shut(self.position, "left_eye"), _shut(self.position, "right_eye")


def _shut(position: F64, eye: str) -> bool:
    """iBUG's points of an eye: a corner, two above, the other corner, two below."""
    first = NAMES.index(f"{eye}_1")
    corner, above, above_too, other, below_too, below = position[first : first + 6]
    apart = np.linalg.norm(above - below) + np.linalg.norm(above_too - below_too)
    return bool(apart / 2 < SHUT * np.linalg.norm(other - corner))


def _corner_of(head: HeadModel) -> NDArray[np.intp]:
    """(V,2) a triangle of each vertex, and which corner of it the vertex is."""
    found = np.zeros((head.vertex_count, 2), np.intp)
    for k in range(3):
        found[head.triangles[:, k]] = np.column_stack([np.arange(len(head.triangles)), np.full(len(head.triangles), k)])
    return found


def annotated_points(head: HeadModel) -> SurfacePoints:
    """The 44 on the open head, where people put them."""
    ibug = head.landmarks["ibug68"]
    return SurfacePoints(ibug.triangle[list(IBUG)], ibug.barycentric[list(IBUG)])


def mediapipe_points(head: HeadModel) -> SurfacePoints:
    """The 44 on the open head, where MediaPipe puts its nearest ones."""
    rows = mediapipe_rows()
    points = head.landmarks["mediapipe478"]
    return SurfacePoints(points.triangle[rows], points.barycentric[rows])


def mediapipe_rows() -> NDArray[np.intp]:
    """MediaPipe's numbers (44,)."""
    return np.array(IBUG68_FROM_MEDIAPIPE)[list(IBUG)]


def preselected(head: HeadModel) -> NDArray[np.intp]:
    """Vertices of the open head's face that join the annotated landmarks once a neutral is registered.

    Spread evenly: each the farthest from those before, on skin away from the edges of lids and lips.
    """
    return _preselected(head)


@lru_cache(maxsize=2)
def _preselected(head: HeadModel) -> NDArray[np.intp]:
    regions, points = head.regions, head.template.astype(np.float64)
    inner = regions["mouth_bag"] | regions["eye_sockets"]
    candidates = np.flatnonzero(regions["face"] & regions["skin"] & ~inner & (head.vertex_weight == 1))
    across = inner[head.triangles].any(axis=1) & ~inner[head.triangles].all(axis=1)
    rims = points[np.unique(head.triangles[across])]
    away = cKDTree(rims).query(points[candidates])[0]
    candidates = candidates[away > _CLEAR_OF_RIMS]
    chosen = [int(points[candidates, 2].argmax())]
    nearest = np.linalg.norm(points[candidates] - points[candidates[chosen[0]]], axis=1)
    while len(chosen) < min(_PRESELECTED, len(candidates)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points[candidates] - points[candidates[chosen[-1]]], axis=1))
    return np.sort(candidates[chosen])


def write_landmarks(path: Path, found: LandmarkFile) -> None:
    """Write those that are known."""
    known = np.isfinite(found.position).all(axis=1)
    named = {name: row.tolist() for name, row, there in zip(NAMES, found.position, known, strict=True) if there}
    value: dict[str, Any] = {"by": found.by, "landmarks": named}
    if len(found.vertices):
        value["vertices"] = {
            str(number): row.tolist()
            for number, row in zip(found.vertices, found.places, strict=True)
            if np.isfinite(row).all()
        }
    if found.sigma is not None:
        keys = [*NAMES, *map(str, found.vertices)]
        value["sigma"] = {key: float(sigma) for key, sigma in zip(keys, found.sigma, strict=True) if np.isfinite(sigma)}
    write_atomic(path, json.dumps(value, indent=1).encode(), public=True)


def read_landmarks(path: Path, vertex_count: int) -> LandmarkFile:
    """The landmarks in a file ``{"landmarks": {"nose_1": [x, y, z], …}}``; ``vertex_count`` is the open head's.

    Raises UserError ``bad_file``.
    """
    value = read_json(path, "landmark", MAX_FILE_BYTES)
    table = value.get("landmarks") if isinstance(value, dict) else None
    more = value.get("vertices", {}) if isinstance(value, dict) else {}
    if not isinstance(table, dict) or not isinstance(more, dict):
        raise _bad(path, "it has no “landmarks”")
    by = value.get("by", "annotated")
    if by not in ("annotated", "mediapipe"):
        raise _bad(path, f"“by” is {str(by)[:40]}, expected annotated or mediapipe")
    unknown = sorted(set(table) - set(NAMES))
    if unknown:
        raise _bad(path, f"“{unknown[0][:40]}” is none of the 44")
    position = np.full((len(NAMES), 3), np.nan)
    for name, place in table.items():
        position[NAMES.index(name)] = _place(path, name, place)
    for key in more:
        if not (key.isascii() and key.isdigit() and len(key) < 9 and int(key) < vertex_count):
            raise _bad(path, f"“{key[:40]}” is no vertex of the open head")
    if len(table) + len(more) < LEAST:
        raise _bad(path, f"it has {len(table)} landmarks, at least {LEAST} are needed")
    places = np.array([_place(path, key, place) for key, place in more.items()]).reshape(-1, 3)
    sigma = _sigmas(path, value["sigma"], [*NAMES, *more]) if "sigma" in value else None
    return LandmarkFile(position, by, np.array([int(key) for key in more], np.intp), places, sigma)


def _place(path: Path, name: str, place: Any) -> list[float]:
    numbers = isinstance(place, list) and len(place) == 3 and all(type(x) in (int, float) for x in place)
    if not numbers or not np.isfinite(np.array(place, np.float64)).all():
        raise _bad(path, f"“{name}” is not three numbers")
    return list(place)


def _sigmas(path: Path, table: Any, keys: list[str]) -> F64:
    good = isinstance(table, dict) and all(type(x) in (int, float) and 1e-6 <= x <= 1 for x in table.values())
    if not good:
        raise _bad(path, "“sigma” is not a number of metres for each landmark")
    return np.array([table.get(key, np.inf) for key in keys], np.float64)


def _bad(path: Path, reason: str) -> UserError:
    return UserError(
        ErrorCode.BAD_FILE,
        f"The landmark file {shown(path)} cannot be used: {reason}.",
        f"Expected names are {NAMES[0]} … {NAMES[-1]}; “flowface scans landmarks” writes a file with all of them.",
    )
