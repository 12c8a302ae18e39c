"""The MakeHuman people of the benchmark: other people, other actions and another topology than ICT-FaceKit's.

Their mesh and their actions, MakeHuman's own, are those of the open head's first edition; the tracker's head has
scan-derived actions instead. ``draw_makehuman`` drew the people. What they wear is made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.benchmark.head import F32, F64, BenchmarkHead, Int, follows_head
from backend.evaluation.benchmark.specs import PEOPLE
from backend.files import read_npz
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions

PEOPLE_FILE = Path(__file__).with_name("makehuman_people.npz")
LONG_HAIRED = (1, 4, 8)
BESPECTACLED = (2, 4, 7)
"""Who of a split's people has long hair, and who wears glasses."""

_UNSIDED = {"jawLeft", "jawRight", "mouthLeft", "mouthRight"}
_HEAD_CELL = (0.84, 0.0, 0.16)  # (scale, left, bottom) of the first edition's atlas in the picture
_CELLS = {"bust": (0.15, 0.845, 0.80), "hair": (0.15, 0.845, 0.60), "glasses": (0.15, 0.845, 0.40)}
_HAIRLINE, _TEMPLES, _CHEEKS = 0.078, 0.045, 0.068  # metres: above in y, behind in z or aside in x, the face is free
_RIM_RADIUS, _RIM_WIDTH = 0.0235, 0.0016  # metres
_ROUND, _ACROSS = 40, 6
_EYES = ((range(42, 48), 1.0), (range(36, 42), -1.0))  # iBUG points of the left and the right lids, and x's sign


def first_edition() -> HeadModel:
    """The open head's first edition: MakeHuman's mesh and actions."""
    return load_head("open1")


@dataclass(frozen=True, eq=False)
class _Piece:
    """What is drawn besides the head: every person's vertices (n,v,3), faces (f,3), and their part's name."""

    name: str
    people: F64
    triangles: Int


@lru_cache(maxsize=1)
def load_makehuman_head() -> BenchmarkHead:
    """The head whose k-th identity mode is the k-th person, 0 to 9 of dev and 10 to 19 of test."""
    head = first_edition()
    data = read_npz(PEOPLE_FILE, "MakeHuman people")
    template = head.template @ data["rotation"].T + data["translation"]
    people = template + data["offsets"].astype(np.float64)
    marks = np.stack([surface_positions(head.landmarks["ibug68"], head.triangles, person) for person in people])
    pieces = [
        _Piece("bust", data["bust"].astype(np.float64), _split(data["bust_quads"])),
        _Piece(
            "hair",
            _worn(data["hair"].astype(np.float64), people, LONG_HAIRED),
            _parted(data["hair"], data["hair_quads"]),
        ),
        _Piece("glasses", _worn(_glasses(marks), people, BESPECTACLED), _glasses_triangles()),
    ]
    everyone = np.concatenate([people, *(piece.people for piece in pieces)], axis=1)
    mean = everyone.mean(axis=0)
    for piece, start in zip(pieces, _starts(head, pieces), strict=True):
        worn = LONG_HAIRED if piece.name == "hair" else BESPECTACLED if piece.name == "glasses" else ()
        if worn:  # painted where they sit, not where they are put away
            mean[start : start + piece.people.shape[1]] = piece.people[_of_both_splits(worn)].mean(axis=0)
    mean[: len(template)] = template
    triangles, corner_uv = _surface(head, pieces, mean)
    actions = np.zeros((len(head.expression_basis), *mean.shape), np.float32)
    actions[:, : len(template)] = head.expression_basis @ data["rotation"].T
    return BenchmarkHead(
        template=mean.astype(np.float32),
        identity_basis=(everyone - mean).astype(np.float32),
        expression_basis=actions,
        expression_names=tuple(_ict_spelling(name) for name in head.expression_names),
        triangles=triangles,
        corner_uv=corner_uv,
        groups=_groups(head, pieces, len(mean)),
        narrow_face=_padded(head.regions["face"] & head.regions["skin"], len(mean)),
        landmarks68=_landmarks(head),
        follows_head=_follows(mean, pieces, head),
    )


def _of_both_splits(people: tuple[int, ...]) -> list[int]:
    return [*people, *(PEOPLE + person for person in people)]


def _worn(piece: F64, people: F64, who: tuple[int, ...]) -> F64:
    """The piece (n,v,3) of those who wear it; the others have it shrunk to a point inside their heads."""
    away = np.broadcast_to(people.mean(axis=1, keepdims=True), piece.shape).copy()
    chosen = _of_both_splits(who)
    away[chosen] = piece[chosen]
    return away


def _ict_spelling(name: str) -> str:
    if name in _UNSIDED:
        return name
    return name.replace("Left", "_L") if name.endswith("Left") else name.replace("Right", "_R")


def _parted(hair: NDArray[np.floating[Any]], quads: NDArray[np.integer[Any]]) -> Int:
    """The strands (n,v,3) that do not hang over the face."""
    middle = hair.astype(np.float64).mean(axis=0)[quads].mean(axis=1)
    return _split(quads[(middle[:, 1] > _HAIRLINE) | (middle[:, 2] < _TEMPLES) | (np.abs(middle[:, 0]) > _CHEEKS)])


def _split(quads: NDArray[np.integer[Any]]) -> Int:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def _starts(head: HeadModel, pieces: list[_Piece]) -> list[int]:
    return [head.vertex_count + int(n) for n in np.cumsum([0, *(piece.people.shape[1] for piece in pieces[:-1])])]


def _surface(head: HeadModel, pieces: list[_Piece], template: F64) -> tuple[Int, F32]:
    """Triangles (F,3) of the head without its lashes, which are painted, and of the pieces; and their ``corner_uv``."""
    shown = ~head.regions["lashes"][head.triangles].any(axis=1)
    scale, left, bottom = _HEAD_CELL
    triangles = [head.triangles[shown]]
    uv = [head.uv_vertices[head.uv_triangles[shown]] * scale + (left, bottom)]
    for piece, start in zip(pieces, _starts(head, pieces), strict=True):
        corners = piece.triangles + start
        plane = template[start : start + piece.people.shape[1], :2]
        plane = (plane - plane.min(axis=0)) / np.ptp(plane, axis=0).max()
        scale, left, bottom = _CELLS[piece.name]
        triangles.append(corners.astype(np.int32))
        uv.append(plane[piece.triangles] * scale + (left, bottom))
    return np.concatenate(triangles), np.concatenate(uv).astype(np.float32)


def _padded(mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    return np.pad(mask, (0, count - len(mask)))


def _groups(head: HeadModel, pieces: list[_Piece], count: int) -> dict[str, NDArray[np.bool_]]:
    regions = head.regions
    left = head.template[:, 0] > 0
    inside = regions["mouth_bag"] | regions["eye_sockets"]
    groups = {
        "face": (regions["skin"] & ~inside) | regions["lashes"],
        "mouth_socket": regions["mouth_bag"],
        "eye_socket_left": regions["eye_sockets"] & left,
        "eye_socket_right": regions["eye_sockets"] & ~left,
        "gums_and_tongue": regions["tongue"],
        "teeth": regions["teeth"],
        "eyeball_left": regions["left_eyeball"],
        "eyeball_right": regions["right_eyeball"],
    }
    padded = {name: _padded(mask, count) for name, mask in groups.items()}
    for piece, start in zip(pieces, _starts(head, pieces), strict=True):
        mask = np.zeros(count, bool)
        mask[start : start + piece.people.shape[1]] = True
        padded[piece.name] = mask
    return padded


def _landmarks(head: HeadModel) -> SurfacePoints:
    """iBUG's points on the drawn triangles, which begin with the head's own but for the lashes."""
    kept = np.cumsum(~head.regions["lashes"][head.triangles].any(axis=1)) - 1
    points = head.landmarks["ibug68"]
    return SurfacePoints(kept[points.triangle].astype(np.int32), points.barycentric)


def _follows(template: F64, pieces: list[_Piece], head: HeadModel) -> F32:
    follows = follows_head(template)
    for piece, start in zip(pieces, _starts(head, pieces), strict=True):
        if piece.name == "glasses":
            follows[start : start + piece.people.shape[1]] = 1.0
    return follows


def _glasses(marks: F64) -> F64:
    """Rims before both eyes, a bridge and two temples, (n,v,3) for people with iBUG points (n,68,3)."""
    people = []
    for own in marks:
        rims = []
        for points, side in _EYES:
            eye = own[list(points)]
            ahead = own[[42, 45, 36, 39], 2].max() + 0.017
            centre = np.array([eye[:, 0].mean() + 0.003 * side, eye[:, 1].mean() - 0.003, ahead])
            rims.append(_tube(_ring(centre), closed=True))
        inner = [
            _ring(np.array([own[list(p), 0].mean() + 0.003 * s, own[list(p), 1].mean() - 0.003, ahead]))
            for p, s in _EYES
        ]
        nose = [inner[0][_ROUND // 2], inner[1][0]]
        bridge = np.linspace(nose[0], nose[1], _ROUND) + np.array([0, 0.004, 0.003]) * _arch()[:, None]
        rims.append(_tube(bridge, closed=False))
        for ring, side in zip(inner, (1.0, -1.0), strict=True):
            hinge = ring[0] if side > 0 else ring[_ROUND // 2]
            ear = np.array(
                [side * (np.abs(own[[0, 16], 0]).mean() + 0.004), hinge[1] + 0.004, own[[0, 16], 2].mean() - 0.01]
            )
            rims.append(_tube(np.linspace(hinge, ear, _ROUND), closed=False))
        people.append(np.concatenate(rims))
    return np.stack(people)


def _arch() -> F64:
    return np.sin(np.linspace(0, np.pi, _ROUND))


def _ring(centre: F64) -> F64:
    angle = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
    return centre + np.stack([_RIM_RADIUS * np.cos(angle), 0.82 * _RIM_RADIUS * np.sin(angle), 0 * angle], axis=1)


def _tube(path: F64, *, closed: bool) -> F64:
    """Rings (ROUND·ACROSS,3) of vertices about a path (ROUND,3)."""
    along = (np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)) if closed else np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    aside = np.cross(along, np.where(np.abs(along[:, 2:]) > 0.7, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    up = np.cross(along, aside)
    turn = np.linspace(0, 2 * np.pi, _ACROSS, endpoint=False)
    around = np.cos(turn)[:, None] * aside[:, None] + np.sin(turn)[:, None] * up[:, None]
    return np.asarray((path[:, None] + _RIM_WIDTH * around).reshape(-1, 3))


def _glasses_triangles() -> Int:
    quads = []
    for part, closed in enumerate((True, True, False, False, False)):
        for n in range(_ROUND if closed else _ROUND - 1):
            for k in range(_ACROSS):
                a, b = part * _ROUND + n, part * _ROUND + (n + 1) % _ROUND
                j = (k + 1) % _ACROSS
                quads.append([a * _ACROSS + k, a * _ACROSS + j, b * _ACROSS + j, b * _ACROSS + k])
    return _split(np.array(quads))
