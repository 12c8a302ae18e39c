"""The open head's topology fitted onto a scan, guided by landmarks (seeds/000 D.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.errors import ErrorCode, UserError
from backend.head_model.model import BoolArray, HeadModel, SurfacePoints
from backend.head_model.registration.checks import LIMITS
from backend.head_model.registration.correspondence import SCALES
from backend.head_model.registration.nonrigid import SCHEDULE, Anchors, Step, bend_onto
from backend.head_model.registration.parts import EYEBALLS, Parts, parts_of_open_head
from backend.head_model.registration.warp import SpaceWarp
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.surface import MeshSurface
from backend.training.scans.folds import unfolded
from backend.training.scans.hidden import seen_from_outside
from backend.training.scans.landmarks import LandmarkFile, Landmarks
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.report import ScanReport, measured
from backend.training.scans.start import Shapes, Start, fit_start

F64 = NDArray[np.float64]
Progress = Callable[[float, str], None]

KNOWN = 0.002
"""Metres from the scan within which a vertex lies on it: beyond, the scanner saw nothing there, or something else."""
LANDMARK_SIGMA = 0.0015
"""Metres; a landmark known so well pulls as the registration of other heads has its points pull."""
_CENTRES = 700
_TURNED = 0.3  # least cosine of a known vertex's normal with the scan's


@dataclass(frozen=True, eq=False)
class Registered:
    """The open head on a scan: ``vertices (V,3)``, metres, in the scan's frame; ``known (V,)`` where the scan has them.

    ``unit`` are the metres of the scan file's unit; ``move`` brought the open head's frame there; ``report`` how well.
    """

    vertices: F64
    known: BoolArray
    unit: float
    move: Similarity
    report: ScanReport


def register_scan(
    head: HeadModel,
    mesh: ScanMesh,
    landmarks: LandmarkFile,
    *,
    unit: float | None = None,
    neutral: Registered | None = None,
    schedule: Sequence[Step] = SCHEDULE,
    on_progress: Progress = lambda *_: None,
) -> Registered:
    """The open ``head`` on a scan; takes about 10 s.

    Without ``unit``, metres per unit of the file, the open head's size is taken for the person's: heads differ by a few
    percent. With the person's ``neutral`` only the expression is fitted first, in the neutral's unit.
    The scan may be turned and placed in any way.

    Raises UserError ``head_scale`` where ``unit`` makes the head none, ``registration_poor``, ``no_opengl``.
    """
    began = time.monotonic()
    parts = parts_of_open_head(head)
    marks = landmarks.on_head(head)
    if unit is None:
        unit = neutral.unit if neutral else _guessed_unit(head, marks)
    wanted = marks.position * unit
    _require_size(head, marks.on, wanted)
    scan = mesh.scaled(unit)
    target = MeshSurface(scan.vertices, scan.triangles)
    on_progress(0.0, "fitting identity and expression")
    shapes = _shapes(head, landmarks, neutral)
    drawn = head.regions["face"] | head.regions["ears"]
    start = fit_start(
        shapes, parts, head.triangles, marks.on, wanted, marks.sigma, target, drawn, scaled=neutral is None
    )
    on_progress(0.15, "bending the open head onto the scan")
    vertices = _bent(
        head, parts, start, marks, wanted, scan, target, schedule, lambda x: on_progress(0.15 + 0.75 * x, "bending")
    )
    on_progress(0.9, "measuring")
    known = _known(head, parts, vertices, start.move.rotation, target, open_rim(scan))
    move = start.move
    if neutral is not None:
        move = Similarity(neutral.move.scale, move.rotation, move.translation)
    report = measured(head, parts, start.vertices, vertices, scan, marks.on, wanted, known, start.move.rotation)
    found = Registered(vertices, known, unit, move, report.taking(time.monotonic() - began))
    _require_usable(report)
    return found


def _shapes(head: HeadModel, landmarks: LandmarkFile, neutral: Registered | None) -> Shapes:
    if neutral is None:
        return Shapes.of_head(head, landmarks.shut())
    level = (neutral.vertices - neutral.move.translation) @ neutral.move.rotation
    return Shapes.of_person(head, level, neutral.move.scale, landmarks.shut())


def _guessed_unit(head: HeadModel, marks: Landmarks) -> float:
    points = _points(head, marks.on, head.template.astype(np.float64))
    scale = similarity_between(points, marks.position).scale
    return 1 / scale if scale > 0 else 1.0


def _require_size(head: HeadModel, on: SurfacePoints, wanted: F64) -> None:
    scale = similarity_between(_points(head, on, head.template.astype(np.float64)), wanted).scale
    if not SCALES[0] < scale < SCALES[1]:
        raise UserError(
            ErrorCode.HEAD_SCALE,
            f"By its landmarks the scan is {scale:.3g} times the size of a human head.",
            "Say its unit with --unit, or leave that out.",
        )


def _points(head: HeadModel, on: SurfacePoints, vertices: F64) -> F64:
    return np.asarray(np.einsum("nk,nkc->nc", on.barycentric.astype(np.float64), vertices[head.triangles[on.triangle]]))


def _bent(
    head: HeadModel,
    parts: Parts,
    start: Start,
    marks: Landmarks,
    wanted: F64,
    scan: ScanMesh,
    target: MeshSurface,
    schedule: Sequence[Step],
    on_step: Callable[[float], None],
) -> F64:
    """All vertices (V,3): skin bent onto the scan, the rest carried along."""
    outer = np.flatnonzero(parts["outer"])
    number = np.cumsum(parts["outer"]) - 1
    triangles = np.asarray(number[head.triangles[parts["outer"][head.triangles].all(axis=1)]], np.int32)
    rows = sparse.coo_matrix(
        (
            marks.on.barycentric.astype(np.float64).ravel(),
            (np.arange(len(wanted)).repeat(3), head.triangles[marks.on.triangle].ravel()),
        ),
        (len(wanted), head.vertex_count),
    ).tocsr()
    weight = np.minimum((LANDMARK_SIGMA / marks.sigma) ** 2, 4.0)
    # the edges of closed lids are behind each other, and the scan has nothing there that they could lie on
    lids = head.regions["lids"] | head.regions["eyes"]
    drawn = ~lids | seen_from_outside(start.vertices, head.triangles, head.regions["face"], start.move.rotation)
    skin = bend_onto(
        start.vertices[outer],
        triangles,
        drawn[outer],
        target,
        Anchors(rows[:, outer], wanted, weight),
        on_step,
        schedule=schedule,
        unfollowed=open_rim(scan),
    )
    skin = unfolded(start.vertices[outer], skin, triangles, ~drawn[outer])
    return _carried_along(head, parts, outer, start.vertices, skin)


def open_rim(mesh: ScanMesh) -> BoolArray:
    """(F,) the triangles at the edge of an open surface: nearest points there pull along the surface.

    Vertices at one place are one: files split them where the picture has a seam.
    """
    _, same = np.unique(mesh.vertices, axis=0, return_inverse=True)
    triangles = same.reshape(-1)[mesh.triangles]
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    keys = edges[:, 0].astype(np.int64) * (int(triangles.max()) + 1) + edges[:, 1]
    _, place, uses = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray((uses[place] == 1).reshape(3, -1).any(axis=0))


def _carried_along(head: HeadModel, parts: Parts, outer: NDArray[np.intp], start: F64, skin: F64) -> F64:
    """The skin as bent; what lies inside moves with it, eyeballs as the round bodies that they are."""
    fine = head.regions["lids"][outer] | head.regions["lips"][outer]
    rest = np.flatnonzero(~fine)
    centres = np.concatenate([np.flatnonzero(fine), rest[:: max(1, len(rest) // _CENTRES)]])
    warp = SpaceWarp(start[outer[centres]], skin[centres])
    vertices = np.empty_like(start)
    inner = np.ones(len(start), bool)
    inner[outer] = False
    vertices[outer] = skin
    vertices[inner] = warp(start[inner])
    for name in EYEBALLS:
        ball = parts[name]
        vertices[ball] = similarity_between(start[ball], vertices[ball]).apply(start[ball])
    return vertices


def _known(head: HeadModel, parts: Parts, vertices: F64, turn: F64, target: MeshSurface, rim: BoolArray) -> BoolArray:
    normals = vertex_normals(vertices, head.triangles)
    foot = target.closest_nearby(vertices, normals)
    along = np.einsum("nc,nc->n", target.normals[foot.triangle], normals)
    seen = seen_from_outside(vertices, head.triangles, head.regions["face"], turn)
    return np.asarray(parts["outer"] & seen & (foot.distance < KNOWN) & (along > _TURNED) & ~rim[foot.triangle])


def _require_usable(report: ScanReport) -> None:
    """Raises UserError ``registration_poor``, as registrations of heads do and with their limits."""
    for name, (limit, what) in LIMITS.items():
        value = getattr(report, name, 0.0)
        if not value <= limit:
            raise UserError(
                ErrorCode.REGISTRATION_POOR,
                f"The open head does not lie on the scan: {value:.3g} {what}, where at most {limit:g} is usable.",
                "Are the landmarks on this scan, each where its name says, and is the face's surface whole?",
            )
