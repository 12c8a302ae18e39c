"""The correspondence of another head's vertices with points of the open head: the two surfaces laid over each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.errors import ErrorCode, UserError
from backend.head_model.model import BoolArray, HeadModel, surface_positions
from backend.head_model.registration.face_points import POINTS, FacePoints, find_face_points, sphere_centre
from backend.head_model.registration.identity_fit import fit_identity
from backend.head_model.registration.nonrigid import Anchors, bend_onto
from backend.head_model.registration.parts import CAVITIES, EYEBALLS, HIDDEN, Parts, parts_of_open_head, pieces_of
from backend.head_model.registration.types import OpenFaceMesh, SourceHead
from backend.head_model.registration.warp import SpaceWarp
from backend.head_model.render import vertex_normals
from backend.head_model.surface import ClosestPoints, MeshSurface

F64 = NDArray[np.float64]

REACH = 0.003
"""Metres from the open head's bent surface within which outer skin lies on it. What lies farther and beyond its rim at
the neck fades out over ``FADE``; inside nostrils and ears the other head is deeper, but moves with what is around."""
FADE = 0.012
LANDMARK_SIGMA = 0.0015  # metres; MediaPipe's scatter over views is larger than its mean's error
SCALES = (0.6, 1.6)  # of a head against the open one; beyond, its unit is not the metre
FOOT_FIELDS = ("triangle", "barycentric", "position", "distance")
_CENTRES = 700


@dataclass(frozen=True, eq=False)
class Correspondence:
    """The open head ``bent (V0,3)`` onto another, and where each of the other's vertices lies on it.

    ``foot`` refers to the open head's triangles; ``weight (V,)`` is 1 where the surfaces correspond, 0 where the other
    has something that the open head lacks. ``warp`` takes points of the open head's template space to the other's.
    """

    bent: F64
    foot: ClosestPoints
    weight: F64
    warp: SpaceWarp
    found: FacePoints  # MediaPipe's points on the other head's renders
    mapped: F64  # (468,3) the same points as found on the open head, carried over

    def carried(self, values: NDArray[Any], open_head: HeadModel) -> NDArray[Any]:
        """Values (V0,…) of the open head's vertices at the other's vertices (V,…)."""
        return self.foot.of(np.asarray(values, np.float64), open_head.triangles)


def correspond(
    source: SourceHead,
    parts: Parts,
    open_head: HeadModel,
    face_mesh: OpenFaceMesh,
    on_progress: Callable[[float, str], None],
    given: FacePoints | None = None,
) -> Correspondence:
    """Lay the open head over ``source``, guided by MediaPipe's points, or by those ``given``.

    Raises ``UserError`` ``face_not_found``, ``head_scale``, ``no_opengl``.
    """
    template = np.asarray(source.template, np.float64)
    own = parts_of_open_head(open_head)
    on_progress(0.0, "looking for the face")
    found = given or find_face_points(parts.bare(template, source.triangles), source.id, face_mesh)
    on_progress(0.2, "looking for the face")
    on_open = _points_on_open(open_head, face_mesh) if given is None else _embedded_points(open_head)
    on_progress(0.3, "fitting the identity")
    start, anchors, mapping = _start(open_head, own, on_open, found, source.id)
    outer = np.flatnonzero(own["outer"])
    target = MeshSurface(template, source.triangles, parts.inside("outer", source.triangles))
    triangles = _within(open_head.triangles, own["outer"])
    skin = bend_onto(
        start[outer],
        triangles,
        np.ones(len(outer), bool),
        target,
        Anchors(anchors.rows[:, outer], anchors.position, anchors.weight),
        lambda share: on_progress(0.3 + 0.5 * share, "bending the open head onto it"),
    )
    on_progress(0.8, "carrying over what lies inside")
    bent, warp = _whole_head(open_head, own, outer, skin, start, template, parts)
    foot, weight = _feet(source, parts, open_head, own, bent)
    return Correspondence(bent, foot, weight, warp, found, mapping @ bent)


@lru_cache(maxsize=1)
def _points_on_open(open_head: HeadModel, face_mesh: OpenFaceMesh) -> FacePoints:
    own = parts_of_open_head(open_head)
    return find_face_points(own.bare(open_head.template, open_head.triangles), open_head.id, face_mesh)


def _embedded_points(open_head: HeadModel) -> FacePoints:
    """The open head's calibrated landmarks, which lie where people see them."""
    position = surface_positions(open_head.landmarks["mediapipe478"], open_head.triangles, open_head.template)
    return FacePoints(position[:POINTS].astype(np.float64), np.zeros(POINTS))


def _start(
    open_head: HeadModel, own: Parts, on_open: FacePoints, found: FacePoints, name: str
) -> tuple[F64, Anchors, sparse.csr_matrix]:
    """The start of the bending: the open head on the source, its anchors, and its points' rows.

    Its vertices (V0,3) by identity and similarity, MediaPipe's anchors, and its points' barycentric rows (468,V0).
    """
    near = MeshSurface(open_head.template, open_head.triangles, own.inside("outer", open_head.triangles))
    foot = near.closest_nearby(np.nan_to_num(on_open.position))
    basis = np.stack([foot.of(shape.astype(np.float64), open_head.triangles) for shape in open_head.shape_basis])
    both = ~np.isnan(on_open.position[:, 0]) & ~np.isnan(found.position[:, 0])
    sigma = np.maximum(np.hypot(on_open.spread, found.spread), LANDMARK_SIGMA)
    move, beta, _ = fit_identity(foot.position[both], basis[:, both], found.position[both], sigma[both])
    if not SCALES[0] < move.scale < SCALES[1]:
        raise UserError(
            ErrorCode.HEAD_SCALE,
            f"The head {name} is {move.scale:.3g} times the size of a human head in metres.",
            "Give its coordinates in the unit its format says.",
        )
    shaped = open_head.template.astype(np.float64) + np.tensordot(
        beta, open_head.shape_basis[: len(beta)].astype(np.float64), axes=1
    )
    count = len(shaped)
    mapping = sparse.coo_matrix(
        (foot.barycentric.ravel(), (np.arange(len(both)).repeat(3), open_head.triangles[foot.triangle].ravel())),
        (len(both), count),
    ).tocsr()
    anchors = Anchors(mapping[both], found.position[both], (LANDMARK_SIGMA / sigma[both]) ** 2)
    return move.apply(shaped), anchors, mapping


def _within(triangles: NDArray[np.int32], mask: BoolArray) -> NDArray[np.int32]:
    number = np.cumsum(mask) - 1
    return np.asarray(number[triangles[mask[triangles].all(axis=1)]], np.int32)


def _whole_head(
    open_head: HeadModel, own: Parts, outer: NDArray[np.int64], skin: F64, start: F64, template: F64, parts: Parts
) -> tuple[F64, SpaceWarp]:
    """All of the open head's vertices on the source: the skin as bent, eyeballs on eyeballs, the rest by the warp."""
    home = open_head.template.astype(np.float64)
    bent = start.copy()
    bent[outer] = skin
    chosen = [outer[_centres(open_head, outer)]]
    for name in EYEBALLS:
        ball = np.flatnonzero(own[name])
        if parts[name].any():
            centre, radius = _sphere(template[parts[name]])
            own_centre, own_radius = _sphere(home[ball])
            bent[ball] = centre + (home[ball] - own_centre) * (radius / own_radius)
            chosen.append(ball[::4])
    centres = np.concatenate(chosen)
    warp = SpaceWarp(home[centres], bent[centres])
    left = np.ones(len(home), bool)
    left[outer] = False
    for name in EYEBALLS:
        if parts[name].any():
            left &= ~own[name]
    bent[left] = warp(home[left])
    return bent, warp


def _centres(open_head: HeadModel, outer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of ``outer`` to pin the warp at: all of lids and lips, and a spread of the rest."""
    fine = open_head.regions["lids"][outer] | open_head.regions["lips"][outer]
    rest = np.flatnonzero(~fine)
    step = max(1, len(rest) // _CENTRES)
    return np.concatenate([np.flatnonzero(fine), rest[::step]])


def _sphere(points: F64) -> tuple[F64, float]:
    centre = sphere_centre(points)
    return centre, float(np.median(np.linalg.norm(points - centre, axis=1)))


def _feet(source: SourceHead, parts: Parts, open_head: HeadModel, own: Parts, bent: F64) -> tuple[ClosestPoints, F64]:
    """Each source vertex's foot on the part of the bent open head that it is, and how far it corresponds."""
    template = np.asarray(source.template, np.float64)
    normals = vertex_normals(template, source.triangles)
    count = len(template)
    foot = ClosestPoints(np.zeros(count, np.intp), np.zeros((count, 3)), np.zeros((count, 3)), np.zeros(count))
    weight = np.ones(count)
    triangles = open_head.triangles
    rim = _rim(triangles)
    for kind, mask in parts.masks.items():
        if not mask.any():
            continue
        if kind in EYEBALLS:
            found = _by_direction(template[mask], bent, triangles, own[kind])
        elif kind in HIDDEN or (kind == "other" and not any(parts[name].any() for name in HIDDEN)):
            like = own[kind] if kind in HIDDEN else ~(own["left_eyeball"] | own["right_eyeball"])
            found = _by_piece(template, source.triangles, mask, normals, bent, triangles, like)
            weight[mask] = 1.0 if kind in HIDDEN else _fading(found.distance)
        else:
            kinds = ("outer", *CAVITIES) if kind == "other" else (kind,)
            chosen = np.any([own.inside(name, triangles) for name in kinds], axis=0)
            surface = MeshSurface(bent, triangles, chosen)
            found = surface.closest_nearby(template[mask], normals[mask])
            if kind == "outer" and not any(parts[cavity].any() for cavity in CAVITIES):
                inner = np.any([own.inside(name, triangles) for name in CAVITIES], axis=0)
                within = MeshSurface(bent, triangles, inner)
                found = _nearer(found, within.closest_nearby(template[mask], normals[mask]))
            over_rim = rim[triangles[found.triangle]].any(axis=1)
            weight[mask] = np.where(over_rim | (kind == "other"), _fading(found.distance), 1.0)
        for name in FOOT_FIELDS:
            getattr(foot, name)[mask] = getattr(found, name)
    return foot, weight


def _nearer(outer: ClosestPoints, inner: ClosestPoints) -> ClosestPoints:
    """Feet in a cavity where they are clearly nearer than those outside: the source does not say where its own are."""
    deeper = inner.distance + REACH < outer.distance
    fields = {}
    for name in FOOT_FIELDS:
        one, other = getattr(inner, name), getattr(outer, name)
        fields[name] = np.where(deeper.reshape(-1, *[1] * (one.ndim - 1)), one, other)
    return ClosestPoints(**fields)


def _rim(triangles: NDArray[np.int32]) -> BoolArray:
    """The vertices at the open head's cut through the neck: the ends of edges that one triangle alone has."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    edge, uses = np.unique(edges, axis=0, return_counts=True)
    rim = np.zeros(int(triangles.max()) + 1, bool)
    rim[edge[uses == 1]] = True
    return rim


def _fading(distance: F64) -> F64:
    share = np.clip((distance - REACH) / FADE, 0, 1)
    return np.asarray(1 - share * share * (3 - 2 * share))


def _by_piece(
    template: F64,
    source_triangles: NDArray[np.int32],
    mask: BoolArray,
    normals: F64,
    bent: F64,
    triangles: NDArray[np.int32],
    own: BoolArray,
) -> ClosestPoints:
    """Feet of loose pieces, each on the one piece of the open head it is closest to: a tooth is of one row as a whole.

    A source whose rows are one piece has its vertices decide one by one.
    """
    pieces = pieces_of(source_triangles, len(template))[mask]
    own_pieces = pieces_of(triangles, len(own))
    surfaces = [MeshSurface(bent, triangles, (own_pieces == n)[triangles[:, 0]]) for n in np.unique(own_pieces[own])]
    choices = [surface.closest_nearby(template[mask], normals[mask]) for surface in surfaces]
    score = np.stack([choice.distance for choice in choices])
    numbers, member = np.unique(pieces, return_inverse=True)
    if len(numbers) > 1:
        totals = [np.bincount(member, weights=row).astype(np.float64) for row in score]
        score = np.stack(totals)[:, member]
    best: NDArray[np.int64] = score.argmin(axis=0)
    fields = {name: np.stack([getattr(choice, name) for choice in choices]) for name in FOOT_FIELDS}
    row = np.arange(int(mask.sum()))
    return ClosestPoints(**{name: values[best, row] for name, values in fields.items()})


def _by_direction(points: F64, bent: F64, triangles: NDArray[np.int32], ball: BoolArray) -> ClosestPoints:
    """Feet on an eyeball by the direction from its centre, so that a bulging cornea lands on the iris."""
    centre, radius = _sphere(bent[ball])
    own_centre, _ = _sphere(points)
    directions = points - own_centre
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    near = MeshSurface(bent, triangles, ball[triangles].all(axis=1))
    return near.closest_nearby(centre + directions * (radius / np.maximum(length, 1e-9)))
