"""A head of few vertices that fulfils the HeadModel contract, for tests that need one but no face."""

from __future__ import annotations

import numpy as np

from backend.head_model.model import HeadModel, SurfacePoints


def small_head() -> HeadModel:
    """Seven triangles of skin, eyes, teeth and tongue, every vertex its own; numbers are random, so swaps show."""
    random = np.random.default_rng(7)
    parts = ["skin", "skin", "left_eyeball", "right_eyeball", "teeth", "tongue", "skin"]
    vertices = 3 * len(parts)
    regions = {
        name: np.repeat([part == name for part in parts], 3)
        for name in ("skin", "left_eyeball", "right_eyeball", "teeth", "tongue")
    }
    regions["lashes"] = np.zeros(vertices, bool)
    regions["face"] = regions["skin"].copy()
    weights = np.zeros((vertices, 5), np.float32)
    weights[:, 1] = 1
    regressor = random.uniform(size=(5, vertices)).astype(np.float32)
    triangles = np.arange(vertices, dtype=np.int32).reshape(-1, 3)
    points = SurfacePoints(np.array([0, 2], np.int32), np.full((2, 3), 1 / 3, np.float32))
    return HeadModel(
        id="small",
        template=random.normal(size=(vertices, 3)).astype(np.float32),
        shape_basis=random.normal(size=(4, vertices, 3)).astype(np.float32),
        expression_basis=random.normal(size=(2, vertices, 3)).astype(np.float32),
        expression_names=("jawOpen", "mouthFunnel"),
        expression_bounds=np.array([[0, 1], [-np.inf, np.inf]], np.float32),
        triangles=triangles,
        uv=random.uniform(size=(vertices, 2)).astype(np.float32),
        uv_vertices=random.uniform(size=(vertices, 2)).astype(np.float32),
        uv_triangles=triangles.copy(),
        joint_regressor=regressor / regressor.sum(axis=1, keepdims=True),
        skinning_weights=weights,
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        regions=regions,
        landmarks={"mediapipe478": points, "ibug68": points},
        vertex_weight=np.ones(vertices, np.float32),
        licence="none",
    )
