"""Landmarks of a person's neutral scan carried to scans of expressions, by optical flow between their pictures.

Seeds/000 D.1: the annotated landmarks and those preselected on the topology follow the skin, which a registration that
looks at the surface alone lets slide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.head_model.render import HeadRenderer
from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.surface import MeshSurface
from backend.training.scans.flow import GOOD, Carried, FlowMethod, carry
from backend.training.scans.landmarks import LEAST, NAMES, LandmarkFile, annotated_points, mediapipe_points, preselected
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.register import Registered
from backend.training.scans.views import ScanView, draw_scan, lifted, seen

F64 = NDArray[np.float64]

SIDE = 768
_YAWS = (0.0, 0.45, -0.45)
_FOCAL = 3.2
"""Of the picture's side, from a metre away: the face fills two thirds of it."""
_LEAST_SIGMA = 0.0005  # metres, of a point that all views followed without a fault
_APART = 0.002
"""Metres between what two views say of a point, from which on the worse one does not count."""
_RIGID_ROUNDS, _RIGID_REACH = 12, 0.02


@dataclass(frozen=True, eq=False)
class Neutral:
    """A registered neutral and what is carried from it: ``position (N,3)`` metres of the 44 and the ``vertices``."""

    mesh: ScanMesh
    registered: Registered
    position: F64
    vertices: NDArray[np.intp]
    by: str
    still: F64  # (n,3) of the upper face, which expressions move least

    @classmethod
    def of(cls, head: HeadModel, mesh: ScanMesh, registered: Registered, by: str) -> Neutral:
        """All points as they lie on the registered surface; ``mesh`` in the file's unit."""
        on = annotated_points(head) if by == "annotated" else mediapipe_points(head)
        vertices = preselected(head)
        vertices = vertices[registered.known[vertices]]
        places = _positions(head, on, registered.vertices)
        points = np.concatenate([places, registered.vertices[vertices]])
        chosen = head.regions["face"] & registered.known & (head.template[:, 1] > 0)
        still = registered.vertices[chosen | (head.regions["nose"] & registered.known)]
        return cls(mesh.scaled(registered.unit), registered, points, vertices, by, still)


def _positions(head: HeadModel, on: SurfacePoints, vertices: F64) -> F64:
    return np.asarray(surface_positions(on, head.triangles, vertices), np.float64)


@dataclass(eq=False)
class _Side:
    """One view's pictures, drawn as they are asked for, and what hides what in the latest."""

    renderer: HeadRenderer
    view: ScanView
    scans: Iterator[tuple[ScanMesh, Similarity]]
    latest: tuple[ScanMesh, ScanView, NDArray[np.int32]] | None = field(default=None)

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        for mesh, moved in self.scans:
            pose = self.view.world_to_camera
            # the camera goes with the head
            turn = pose[:, :3] @ moved.rotation.T
            view = replace(self.view, world_to_camera=np.column_stack([turn, pose[:, 3] - turn @ moved.translation]))
            picture = draw_scan(self.renderer, mesh, view)
            triangle = self.renderer.surface(mesh.vertices, mesh.triangles, **view.optics).triangle
            self.latest = mesh, view, triangle
            yield picture


def propagate(
    neutral: Neutral,
    scans: Iterable[ScanMesh],
    flow: Callable[[], FlowMethod],
    *,
    in_time: bool,
    side: int = SIDE,
) -> Iterator[LandmarkFile]:
    """The neutral's landmarks on each of ``scans``, which are in the neutral's unit; one after the other.

    ``in_time`` scans follow each other in a performance: each picture's flow begins where the last one's ended.
    Otherwise each expression is compared with the neutral alone. Of three views those that see a point and follow it
    there and back say where it is. ``side`` are the pictures' pixels.

    Raises UserError ``registration_poor`` where a scan's landmarks cannot be followed, ``no_opengl``.
    """
    unit = neutral.registered.unit
    if in_time:
        yield from _carried(neutral, (scan.scaled(unit) for scan in scans), flow, side, 1)
        return
    for number, scan in enumerate(scans, start=1):
        yield from _carried(neutral, iter([scan.scaled(unit)]), flow, side, number)


def _carried(
    neutral: Neutral,
    scans: Iterator[ScanMesh],
    flow: Callable[[], FlowMethod],
    side: int,
    first: int,
) -> Iterator[LandmarkFile]:
    with HeadRenderer((side, side)) as renderer:
        queues: list[list[tuple[ScanMesh, Similarity]]] = [[] for _ in _YAWS]
        sides = [
            _Side(renderer, _view(neutral, yaw, side), _popped(queue)) for yaw, queue in zip(_YAWS, queues, strict=True)
        ]
        moved = Similarity(1.0, np.eye(3), np.zeros(3))
        _queue(queues, neutral.mesh, moved)
        tracks = [_track(side, neutral, flow()) for side in sides]
        for track in tracks:
            next(track)
        for number, mesh in enumerate(scans, start=first):
            moved = _followed_head(neutral.still, mesh, moved)
            _queue(queues, mesh, moved)
            yield _joined(neutral, [(next(track), side) for track, side in zip(tracks, sides, strict=True)], number)


def _queue(queues: list[list[tuple[ScanMesh, Similarity]]], mesh: ScanMesh, moved: Similarity) -> None:
    for queue in queues:
        queue.append((mesh, moved))


def _popped(queue: list[tuple[ScanMesh, Similarity]]) -> Iterator[tuple[ScanMesh, Similarity]]:
    while queue:
        yield queue.pop(0)


def _view(neutral: Neutral, yaw: float, side: int) -> ScanView:
    """A metre from the face, turned about its own axes."""
    turn = neutral.registered.move.rotation
    middle = neutral.position[: len(NAMES)].mean(axis=0)
    level = ScanView.towards(np.zeros(3), 1.0, _FOCAL * side, side, yaw)
    rotation = level.world_to_camera[:, :3] @ turn.T
    pose = np.column_stack([rotation, level.world_to_camera[:, 3] - rotation @ middle])
    return replace(level, world_to_camera=pose)


def _track(side: _Side, neutral: Neutral, flow: FlowMethod) -> Iterator[Carried]:
    """The points in each of a view's pictures; those that it does not see on the neutral stay unknown."""
    pixels, _ = side.view.project(neutral.position)
    depth = side.renderer.surface(neutral.mesh.vertices, neutral.mesh.triangles, **side.view.optics).depth
    visible = seen(depth, side.view, neutral.position)
    return carry(side.pictures(), np.where(visible[:, None], pixels, np.nan), flow)


def _followed_head(still: F64, mesh: ScanMesh, start: Similarity) -> Similarity:
    """The rigid motion of the upper face from the neutral to a scan, from where the last one was."""
    target = MeshSurface(mesh.vertices, mesh.triangles)
    for _ in range(_RIGID_ROUNDS):
        now = start.apply(still)
        foot = target.closest_nearby(now)
        near = foot.distance < max(_RIGID_REACH, float(np.median(foot.distance)))
        start = similarity_between(still[near], foot.position[near], scaled=False)
    return start


def _joined(neutral: Neutral, found: list[tuple[Carried, _Side]], number: int) -> LandmarkFile:
    """What the views say of each point, by how well they followed it."""
    places, sigmas = [], []
    for carried, side in found:
        assert side.latest is not None
        mesh, view, triangle = side.latest
        place = lifted(triangle, mesh, view, np.where(carried.followed[:, None], carried.position, np.nan))
        places.append(place)
        depth = view.project(np.nan_to_num(place))[1]
        sigma = np.hypot(_LEAST_SIGMA, carried.error * depth / view.focal_px)
        sigmas.append(np.where(np.isfinite(place).all(axis=1) & (carried.error <= GOOD), sigma, np.inf))
    place, sigma = np.stack(places), np.stack(sigmas)
    best = sigma.argmin(axis=0)
    row = np.arange(place.shape[1])
    chosen = place[best, row]
    agrees = np.linalg.norm(np.nan_to_num(place, nan=np.inf) - np.nan_to_num(chosen), axis=2) < _APART
    weight = np.where(agrees, 1 / sigma**2, 0.0)
    total = weight.sum(axis=0)
    mean = np.einsum("vn,vnc->nc", weight, np.nan_to_num(place)) / np.maximum(total, 1e-30)[:, None]
    known = total > 0
    if known.sum() < LEAST:
        raise UserError(
            ErrorCode.REGISTRATION_POOR,
            f"Only {int(known.sum())} landmarks could be followed to scan {number} of the expressions.",
            "It must show the same person lit alike, with its picture, in the neutral's unit.",
        )
    position = np.where(known[:, None], mean, np.nan) / neutral.registered.unit
    sigma_of = np.where(known, np.sqrt(1 / np.maximum(total, 1e-30)), np.inf)
    return LandmarkFile(
        position[: len(NAMES)], neutral.by, neutral.vertices, position[len(NAMES) :], np.maximum(sigma_of, 3e-4)
    )
