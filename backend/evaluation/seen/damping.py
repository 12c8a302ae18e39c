"""How much of a true motion the second detector tells, on rendered people and on renders of our head.

What it sees of a head drawn by us moves less than the head, and what it sees of a person less than the person; a slope
of one on the other is only worth something once both are divided out. Both are measured in the same poses: what it sees
of a clip's own fitted head mixes in other motions (a mouth that goes aside takes the chin along), which the footage's
has as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.plain_mesh import PlainFaceMesh
from backend.evaluation.benchmark.head import BenchmarkHead
from backend.evaluation.benchmark.scene import make_scene
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.evaluation.benchmark.studio import Studio
from backend.evaluation.mesh_landmarks import landmarks_px
from backend.evaluation.metrics.curves import regression
from backend.evaluation.seen.measures import GROUPS, MEASURES, Ruler, measures_of
from backend.evaluation.seen.performance import Performance, Portrait
from backend.evaluation.seen.watch import Watcher
from backend.evaluation.types import MeshSequence
from backend.head_model.model import HeadModel, actions_of
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

PEOPLE = 3
SIDE = 512
STRENGTHS = (1 / 3, 2 / 3, 1.0)
_SMILE, _STRETCH, _PUCKER = {"mouthSmile": 1.0}, {"mouthStretch": 1.0}, {"mouthPucker": 1.0}
_BROWS_UP, _BROWS_DOWN = {"browInnerUp": 1.0, "browOuterUp": 1.0}, {"browDown": 1.0}
_OPEN = {"jawOpen": 0.7}
Pose = Mapping[str, float]
OWN_POSES: dict[str, tuple[Pose, ...]] = {
    "mouth opening": (_OPEN,),
    "mouth width": (_SMILE, _STRETCH, _PUCKER),
    "corners": (_SMILE, {"mouthFrown": 1.0}),
    "lids": ({"eyeBlink": 1.0}, {"eyeWide": 1.0}),
    "inner brows": (_BROWS_UP, _BROWS_DOWN),
    "outer brows": (_BROWS_UP, _BROWS_DOWN),
    "chin": (_OPEN,),
    "jaw aside": ({"jawLeft": 1.0}, {"jawRight": 1.0}),
}
"""By group of measures, the poses that move it and little else.

Others mislead: an open mouth looks wider to the detector while its corners come together, and a mouth that goes aside
takes the chin along.
"""
POSES: tuple[Pose, ...] = tuple({tuple(pose.items()): pose for poses in OWN_POSES.values() for pose in poses}.values())
_FACING = np.diag([1.0, -1.0, -1.0])  # head space to camera space of a head that looks into the camera
_FOCAL, _DISTANCE = 900.0, 0.65


@dataclass(frozen=True, eq=False)
class Damping:
    """Slope and correlation (M,) of what the second detector sees on what is so; NaN where nothing moved."""

    slope: F64
    correlation: F64


def pose_weights() -> F64:
    """(n,52) the poses at each strength, after one without any, in the order of ``ARKIT_ACTIONS``."""
    rows = [np.zeros(len(ARKIT_ACTIONS))]
    for pose in POSES:
        full = np.zeros(len(ARKIT_ACTIONS))
        for action, amount in pose.items():
            for name in _sided(action):
                full[ARKIT_ACTIONS.index(name)] = amount
        rows += [strength * full for strength in STRENGTHS]
    return np.array(rows)


def _sided(action: str) -> tuple[str, ...]:
    """ARKit's names of an action that is named as ICT-FaceKit does, or without a side for both."""
    named = action.replace("_L", "Left").replace("_R", "Right")
    return (named,) if named in ARKIT_ACTIONS else (f"{named}Left", f"{named}Right")


def damping_on_people(ict: BenchmarkHead, watcher: Watcher, on_frame: Callable[[int], None] | None = None) -> Damping:
    """On the benchmark's dev people, drawn as its sequences are. Raises UserError ``no_opengl``, ``no_backgrounds``."""
    return _damping((_person(ict, number) for number in range(PEOPLE)), watcher, on_frame)


def damping_on_head(head: HeadModel, watcher: Watcher, on_frame: Callable[[int], None] | None = None) -> Damping:
    """On our head with identities from its own prior, drawn as fitted heads are. Raises UserError ``no_opengl``."""
    return _damping((_model(head, number) for number in range(PEOPLE)), watcher, on_frame)


Filmed = tuple[MeshSequence, Iterator[Image]]


def _damping(people: Iterator[Filmed], watcher: Watcher, on_frame: Callable[[int], None] | None) -> Damping:
    true: list[F64] = []
    seen: list[F64] = []
    used: list[NDArray[np.intp]] = []
    done = 0
    for mesh, pictures in people:
        points = np.full((mesh.frame_count, 68, 2), np.nan)
        with PlainFaceMesh(min_confidence=0.3, looks=2) as follow:
            for frame, picture in enumerate(pictures):
                found = follow(picture)
                if found is not None:
                    points[frame] = watcher.points68(picture, found[:, :2] * SIDE)
                done += 1
                if on_frame is not None:
                    on_frame(done)
        ruler, known = Ruler.of(mesh), np.isfinite(points[:, 0, 0])
        for into, of in ((true, landmarks_px(mesh)), (seen, points)):
            into.append(measures_of(of, ruler)[known])
        used.append(np.flatnonzero(known))
    return _own_slopes(true, seen, used)


def _own_slopes(true: list[F64], seen: list[F64], used: list[NDArray[np.intp]]) -> Damping:
    """Of each measure over its own poses: true and seen (n,M) of each person, ``used (n,)`` of ``pose_weights``."""
    correlation, slope = np.full(len(MEASURES), np.nan), np.full(len(MEASURES), np.nan)
    for group, names in GROUPS.items():
        own = [
            0,
            *(1 + len(STRENGTHS) * POSES.index(pose) + k for pose in OWN_POSES[group] for k in range(len(STRENGTHS))),
        ]
        kept = [np.isin(frames, own) for frames in used]
        columns = [MEASURES.index(name) for name in names]
        t, s = (
            np.concatenate([v[k][:, columns] - v[k][:, columns].mean(axis=0) for v, k in zip(of, kept, strict=True)])
            for of in (true, seen)
        )
        correlation[columns], slope[columns], _ = regression(s, t, moves_from=0.5)
    return Damping(slope, correlation)


def _person(ict: BenchmarkHead, number: int) -> Filmed:
    spec = SequenceSpec("dev", 20260, number, "extreme", 60)
    scene = make_scene(spec)
    neutral = ict.neutral(spec.identity(len(ict.identity_basis)))
    weights = np.stack([_curve(name) for name in ict.expression_names], axis=1)
    vertices = neutral + np.einsum("tk,kvc->tvc", weights, ict.expression_basis)
    middle = neutral[ict.landmark_vertices[17:]].mean(axis=0)
    placed = ((vertices - middle) @ _FACING.T + scene.place).astype(np.float32)
    mesh = _mesh(placed, ict.triangles, scene.focal_px, (ict.landmarks68.triangle, ict.landmarks68.barycentric))

    def pictures() -> Iterator[Image]:
        with Studio(spec, ict, scene, len(placed)) as studio:
            for frame, posed in enumerate(placed):
                yield studio.grained(studio.picture(posed), frame)

    return mesh, pictures()


def _curve(ict_name: str) -> NDArray[np.float32]:
    """The poses' weights (n,) of an expression of ICT-FaceKit, which has some on two sides that ARKit has on one."""
    whole, sided = ict_name[:-2], ict_name.replace("_L", "Left").replace("_R", "Right")
    found = next((ARKIT_ACTIONS.index(name) for name in (sided, whole) if name in ARKIT_ACTIONS), None)
    poses = pose_weights()
    return np.asarray(np.zeros(len(poses)) if found is None else poses[:, found], np.float32)


def _model(head: HeadModel, number: int) -> Filmed:
    identity = np.random.default_rng(number).standard_normal(len(head.shape_basis)) * (number > 0)
    neutral = head.neutral(identity)
    names, basis = actions_of(head)
    weights = pose_weights()[:, [ARKIT_ACTIONS.index(name) for name in names]].astype(np.float32)
    vertices = neutral + np.einsum("tk,kvc->tvc", weights, basis)
    points = head.landmarks["ibug68"]
    corners = neutral[head.triangles[points.triangle[17:]]]
    middle = np.einsum("nk,nkc->nc", points.barycentric[17:], corners).mean(axis=0)
    placed = ((vertices - middle) @ _FACING.T + (0.0, 0.0, _DISTANCE)).astype(np.float32)
    mesh = _mesh(placed, head.triangles, _FOCAL, (points.triangle, points.barycentric))

    def pictures() -> Iterator[Image]:
        with Portrait(Performance(head, mesh, pose_weights().astype(np.float32))) as portrait:
            for frame in range(mesh.frame_count):
                yield portrait.picture(frame)

    return mesh, pictures()


def _mesh(
    vertices: NDArray[np.float32],
    triangles: NDArray[np.int32],
    focal: float,
    landmarks68: tuple[NDArray[np.int32], NDArray[np.float32]],
) -> MeshSequence:
    return MeshSequence(
        vertices=vertices,
        triangles=triangles,
        focal_px=np.full(len(vertices), focal),
        principal_point=np.array([SIDE / 2, SIDE / 2]),
        image_size=(SIDE, SIDE),
        frame_rate=25.0,
        tracked=np.ones(len(vertices), bool),
        landmarks68=landmarks68,
    )
