"""A tiny head with every part a fit looks at, so that dense references stay cheap."""

from __future__ import annotations

import numpy as np

from backend.head_model.model import JOINT_NAMES, HeadModel, SurfacePoints

EXPRESSIONS = (
    "jawOpen",
    "mouthClose",
    "eyeLookUpLeft",
    "eyeLookDownLeft",
    "eyeLookOutLeft",
    "eyeLookInLeft",
    "a_Left",
    "a_Right",
)


def small_head(seed: int = 0, identity_count: int = 4) -> HeadModel:
    """80 vertices on an ellipsoid (60 of skin, 10 on each eye), random smooth bases."""
    rng = np.random.default_rng(seed)
    skin = rng.normal(size=(60, 3))
    skin = skin / np.linalg.norm(skin, axis=1, keepdims=True) * [0.07, 0.1, 0.09]
    centres = np.array([[0.032, 0.03, 0.06], [-0.032, 0.03, 0.06]])
    eyes = [centre + 0.012 * _unit(rng.normal(size=(10, 3))) for centre in centres]
    template = np.concatenate([skin, *eyes]).astype(np.float32)
    count = len(template)
    expression = rng.normal(scale=0.003, size=(len(EXPRESSIONS), count, 3)).astype(np.float32)
    expression[:, 60:] = 0
    weights = np.zeros((count, len(JOINT_NAMES)), np.float32)
    weights[:60, 0] = weights[60:70, 3] = weights[70:, 4] = 1
    regressor = np.zeros((len(JOINT_NAMES), count), np.float32)
    regressor[3, 60:70] = regressor[4, 70:] = 0.1
    regressor[:3, :60] = 1 / 60
    triangles = np.arange(78).reshape(26, 3).astype(np.int32)
    triangles = np.concatenate([triangles, [[70, 78, 79], [60, 62, 69]]]).astype(np.int32)
    corner = rng.dirichlet(np.ones(3), size=len(triangles)).astype(np.float32)
    ibug = SurfacePoints(np.zeros(68, np.int32), np.tile(np.float32([1, 0, 0]), (68, 1)))
    ibug.triangle[45] = 1
    return HeadModel(
        id="small",
        template=template,
        shape_basis=rng.normal(scale=0.002, size=(identity_count, count, 3)).astype(np.float32),
        expression_basis=expression,
        expression_names=EXPRESSIONS,
        expression_bounds=np.tile(np.float32([0, 1]), (len(EXPRESSIONS), 1)),
        triangles=triangles,
        uv=np.zeros((count, 2), np.float32),
        uv_vertices=np.zeros((count, 2), np.float32),
        uv_triangles=triangles,
        joint_regressor=regressor,
        skinning_weights=weights,
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        regions={},
        landmarks={"all": SurfacePoints(np.arange(len(triangles), dtype=np.int32), corner), "ibug68": ibug},
        vertex_weight=np.ones(count, np.float32),
        licence="test",
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
