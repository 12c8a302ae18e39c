"""The dense point set that every loaded head has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.head_model.dense_points import (
    DENSE,
    DERIVED,
    EYE_POINTS,
    IRIS_POINTS,
    MOST,
    atlas_nu,
    dense_points,
    has_eye_points,
    with_dense_points,
)
from backend.head_model.io import read_head, save_head
from backend.head_model.library import OPEN_HEAD, add_head, load_head
from backend.head_model.model import HeadModel, surface_positions
from tests.backend import heads
from tests.backend.fitting import small_head as fitted

HEAD = load_head()
POINTS = HEAD.landmarks[DENSE]


def vertices_of() -> np.ndarray:
    return HEAD.triangles[POINTS.triangle, POINTS.barycentric.argmax(axis=1)][len(EYE_POINTS) :]


def test_it_begins_with_lids_and_irises_and_goes_on_with_vertices() -> None:
    mediapipe = surface_positions(HEAD.landmarks["mediapipe478"], HEAD.triangles, HEAD.template)
    here = surface_positions(POINTS, HEAD.triangles, HEAD.template)
    np.testing.assert_allclose(here[: len(EYE_POINTS)], mediapipe[list(EYE_POINTS)], atol=1e-6)
    np.testing.assert_allclose(here[len(EYE_POINTS) :], HEAD.template[vertices_of()], atol=1e-7)
    assert len(np.unique(vertices_of())) == len(vertices_of())
    assert 800 < len(POINTS) <= MOST


def test_it_lies_on_what_is_seen_of_a_face() -> None:
    chosen = vertices_of()
    assert (HEAD.vertex_weight[chosen] > 0.5).all()
    for name in ("eye_sockets", "mouth_bag", "teeth", "tongue", "lashes"):
        assert not HEAD.regions[name][chosen].any()
    for name in ("face", "ears", "lids", "lips", "nose", "left_eyeball", "right_eyeball"):
        assert HEAD.regions[name][chosen].sum() > 15, name


def test_it_covers_the_face_evenly_and_eyes_and_lips_more_densely() -> None:
    face = np.flatnonzero(HEAD.regions["face"] & (HEAD.vertex_weight > 0.5))
    fine = np.flatnonzero(HEAD.regions["lids"] | HEAD.regions["lips"])
    tree = cKDTree(HEAD.template[vertices_of()])
    assert tree.query(HEAD.template[face])[0].max() < 0.0085
    assert tree.query(HEAD.template[fine])[0].max() < 0.0045


def test_nu_is_the_vertices_own_place_in_the_atlas() -> None:
    nu = atlas_nu(HEAD, POINTS)
    chosen = vertices_of()
    expected = np.column_stack([HEAD.uv[chosen, 0], 1 - HEAD.uv[chosen, 1]])
    np.testing.assert_allclose(nu[len(EYE_POINTS) :], expected, atol=1e-5)
    assert nu.min() >= 0 and nu.max() <= 1


def test_it_is_the_same_every_time_and_leaves_hash_and_file_alone(tmp_path: Path) -> None:
    again = dense_points(read_head(OPEN_HEAD))
    np.testing.assert_array_equal(again.triangle, POINTS.triangle)
    np.testing.assert_array_equal(again.barycentric, POINTS.barycentric)
    assert HEAD.hash == read_head(OPEN_HEAD).hash
    save_head(HEAD, tmp_path / "head.npz")
    assert set(read_head(tmp_path / "head.npz").landmarks) == set(HEAD.landmarks) - {*DERIVED}


def test_a_head_without_mediapipe_points_has_its_vertices_only() -> None:
    """Nobody can tell its gaze from irises then, nor closed lids."""
    for head in (heads.small_head(), fitted.small_head()):
        assert not has_eye_points(head)
        dense = with_dense_points(head).landmarks[DENSE]
        positions = surface_positions(dense, head.triangles, head.template)
        distance, _ = cKDTree(head.template).query(positions)
        assert 0 < len(dense) <= head.vertex_count
        np.testing.assert_allclose(distance, 0, atol=1e-6)


def test_what_lies_inside_is_left_out_and_counts_are_kept() -> None:
    small = heads.small_head()
    dense = dense_points(small)
    inside = small.regions["teeth"] | small.regions["tongue"]
    owners = small.triangles[dense.triangle, dense.barycentric.argmax(axis=1)]
    assert not inside[owners].any()
    assert len(owners) == (small.regions["skin"] | small.regions["left_eyeball"] | small.regions["right_eyeball"]).sum()
    assert len(dense_points(small, 5)) == 5
    assert len(dense_points(replace(small, vertex_weight=np.zeros_like(small.vertex_weight)))) == 0


@pytest.mark.slow
def test_another_topology_has_one_too(
    registered_ict: HeadModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    add_head(registered_ict)
    ict = load_head("ict")
    points = ict.landmarks[DENSE]
    assert len(points) == MOST
    here = atlas_nu(ict, points)
    # One atlas for all heads: its irises lie where the open head's do, its skin on the open head's skin.
    irises = [EYE_POINTS.index(i) for eye in IRIS_POINTS for i in eye]
    np.testing.assert_allclose(here[irises], atlas_nu(HEAD, POINTS)[irises], atol=0.02)
    seen = HEAD.uv[HEAD.vertex_weight > 0.5] * [1, -1] + [0, 1]
    assert np.quantile(cKDTree(seen).query(here)[0], 0.99) < 0.03
