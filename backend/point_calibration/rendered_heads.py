"""Rendered people of the dev split with their heads turned, and where a picture's points lie on them.

The people are those of ``backend.evaluation.benchmark`` (ICT-FaceKit, even identity modes only), each with a face,
skin, light, lens and background of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.evaluation.benchmark import BenchmarkHead, SequenceSpec
from backend.evaluation.benchmark.head import EYES, NECK_PIVOT, FaceMotion, camera_vertices
from backend.evaluation.benchmark.scene import Scene, make_scene
from backend.evaluation.benchmark.studio import Studio
from backend.head_model.render import HeadRenderer
from backend.synthesis.performance import FACING_CAMERA

F64 = NDArray[np.float64]
Picture = NDArray[np.uint8]

EXPRESSIONS: tuple[Mapping[str, float], ...] = (
    {},
    {"jawOpen": 0.35, "mouthUpperUp_L": 0.3, "mouthUpperUp_R": 0.3},
    {"mouthSmile_L": 0.8, "mouthSmile_R": 0.8, "cheekSquint_L": 0.5, "cheekSquint_R": 0.5},
    {"mouthPucker": 0.8, "browInnerUp_L": 0.7, "browInnerUp_R": 0.7},
)
_SEED = 478


def dev_person(person: int, pictures: int) -> SequenceSpec:
    """One of the rendered dev people, whose identity, skin, light and lens follow from the number."""
    return SequenceSpec("dev", _SEED, person, "turns", pictures)


def pictures(
    ict: BenchmarkHead, spec: SequenceSpec, expression: Mapping[str, float] | Sequence[Mapping[str, float]], turns: F64
) -> Iterator[tuple[F64, Picture]]:
    """Vertices (V,3) in camera space and the picture, for each of ``turns (n,2)``: yaw and pitch in radians.

    Yaw is positive to the subject's left, pitch upwards; both are about the head's own axes, yaw first. ``expression``
    holds the actions' strengths, of all pictures or of each.
    """
    if isinstance(expression, Mapping):
        expression = [expression] * len(turns)
    scene, neutral = make_scene(spec), ict.neutral(spec.identity(len(ict.identity_basis)))
    posed = camera_vertices(
        neutral, ict.expression_basis, (ict.groups[EYES[0]], ict.groups[EYES[1]]), ict.follows_head,
        _turning(ict, neutral, scene, expression, turns),
    )  # fmt: skip
    with Studio(spec, ict, scene, len(turns)) as studio:
        for number, vertices in enumerate(posed):
            yield vertices.astype(np.float64), studio.grained(studio.picture(vertices), number)


def _turning(
    ict: BenchmarkHead,
    neutral: NDArray[np.float32],
    scene: Scene,
    expressions: Sequence[Mapping[str, float]],
    turns: F64,
) -> FaceMotion:
    """The head turned on shoulders that stay, the eyes still in the head."""
    count = len(turns)
    strengths = np.zeros((count, len(ict.expression_names)), np.float32)
    for own, expression in zip(strengths, expressions, strict=True):
        for action, strength in expression.items():
            own[ict.expression_names.index(action)] = strength
    rotation = FACING_CAMERA * Rotation.from_euler("YX", turns * (1, -1))
    pivot = np.array(NECK_PIVOT)
    base = np.array(scene.place) + FACING_CAMERA.apply(pivot - neutral[ict.narrow_face].mean(axis=0))
    return FaceMotion(
        expression=strengths,
        gaze=np.zeros((count, 2, 2), np.float32),
        rotation=rotation.as_matrix(),
        translation=base - rotation.apply(pivot),
        trunk_rotation=FACING_CAMERA.as_matrix(),
        trunk_translation=base - FACING_CAMERA.apply(pivot),
    )


@dataclass(frozen=True, eq=False)
class Lifted:
    """The surface points (478,) under image points: corner vertices (478,3) and weights, NaN where there is no head."""

    corners: NDArray[np.int32]
    weights: F64
    focal_px: float
    middle: float

    def seen(self, vertices: F64) -> F64:
        """Image positions (478,2) of the same surface points on other vertices (V,3) of the head."""
        points = np.einsum("nk,nkc->nc", self.weights, vertices[self.corners])
        return np.asarray(points[:, :2] / points[:, 2:] * self.focal_px + self.middle)


def lift(ict: BenchmarkHead, spec: SequenceSpec, vertices: F64, points: F64) -> Lifted:
    """The places of the image points (478,2) of a picture made with ``spec`` on the head that it shows."""
    scene, middle = make_scene(spec), spec.side / 2
    with HeadRenderer((spec.side, spec.side)) as renderer:
        seen = renderer.surface(
            vertices,
            ict.triangles,
            focal_px=scene.focal_px,
            principal_point=(middle, middle),
            world_to_camera=np.eye(3, 4),
        ).triangle
    column, row = np.clip(points, 0, spec.side - 1).astype(int).T
    corners = ict.triangles[seen[row, column]]
    rays = np.column_stack([(points - middle) / scene.focal_px, np.ones(len(points))])
    weights = np.linalg.solve(vertices[corners].transpose(0, 2, 1), rays[..., None])[..., 0]
    weights /= weights.sum(axis=1, keepdims=True)
    weights[seen[row, column] < 0] = np.nan
    return Lifted(corners, weights, scene.focal_px, middle)
