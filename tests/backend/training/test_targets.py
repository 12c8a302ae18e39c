"""The dense target, and what a measurement says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.training.data.sources import held_out, person_of
from backend.training.dense_target import DenseTarget, cells_in_triangles
from backend.training.validate import Validation

SIDE = 16


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


def test_where_the_picture_is_the_atlas_every_cell_lies_at_its_own_centre(head: HeadModel) -> None:
    """With every vertex at its own place in an atlas without seams, F' is the identity wherever it is known."""
    square = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    flat = replace(head, uv=square, uv_vertices=square, uv_triangles=triangles, triangles=triangles)
    mu = torch.from_numpy(np.column_stack([square[:, 0], 1 - square[:, 1]]) * SIDE).float()[None]
    weight = torch.tensor([[1.0, 1.0, 1.0, 0.25]])
    positions, known = DenseTarget(flat, SIDE)(mu, weight)
    centres = torch.arange(SIDE) + 0.5
    inside = (centres > 0.1 * SIDE) & (centres < 0.9 * SIDE)
    assert torch.equal(known[0] > 0, inside[:, None] & inside[None])
    for row in torch.nonzero(inside).flatten().tolist():
        for column in torch.nonzero(inside).flatten().tolist():
            assert positions[0, :, row, column].tolist() == pytest.approx([column + 0.5, row + 0.5], abs=1e-4)
    assert set(known.unique().tolist()) == {0.0, 0.25, 1.0}


def test_a_cell_is_where_the_vertex_at_its_centre_is(head: HeadModel) -> None:
    uv_size = 64
    nu = np.column_stack([head.uv[:, 0], 1 - head.uv[:, 1]])
    offset = np.abs((nu * uv_size) % 1 - 0.5).max(axis=1)
    target = DenseTarget(head, uv_size)
    rng = np.random.default_rng(0)
    # a smooth map of the atlas, as flow on the face is
    bend = rng.normal(0, 0.1, (2, 2))
    mu = torch.from_numpy(100 * (nu + nu @ bend)).float()[None]
    positions, known = target(mu, torch.ones(1, len(nu)))
    for vertex in np.flatnonzero((offset < 0.02) & head.regions["face"]):
        column, row = (nu[vertex] * uv_size).astype(int)
        assert known[0, row, column] == 1
        assert np.allclose(positions[0, :, row, column], mu[0, vertex], atol=0.1)


def test_shares_add_up_to_one_inside_their_triangle(head: HeadModel) -> None:
    cells, corners, shares = cells_in_triangles(head, 32)
    assert len(np.unique(cells)) == len(cells) == len(corners)
    assert len(cells) > 0.6 * 32 * 32
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert shares.min() > -1e-5


def test_a_measurement_of_known_errors(head: HeadModel) -> None:
    validation = Validation(head, 192)
    count = len(validation.points)
    rng = np.random.default_rng(1)
    sigma = rng.uniform(1, 4, (4, count)).astype(np.float32)
    error = rng.standard_normal((4, count, 2)).astype(np.float32) * sigma[..., None]
    distance = np.linalg.norm(error, axis=-1)
    known = np.ones((4, count), bool)
    found = validation.accuracy(distance, sigma, known, known)
    assert found.calibration == pytest.approx(1, abs=0.03)
    assert 0.2 < found.spearman < 0.6
    assert validation.accuracy(distance, 2 * sigma, known, known).calibration == pytest.approx(0.5, abs=0.02)
    sure = 0.02 * validation.inter_ocular * rng.uniform(0.9, 1.1, (4, count)).astype(np.float32)
    right = validation.accuracy(sure, sigma, known, known)
    assert right.nme == pytest.approx(2, abs=0.02)
    assert right.regions["nose"] == pytest.approx(2, abs=0.03)
    known[:, : head.vertex_count] = False
    assert "ears" not in validation.accuracy(distance, sigma, known, known).regions


def test_a_person_is_held_out_with_all_their_pictures() -> None:
    names = [
        f"london_{kind}/{n:03d}_{code}" for n in range(40) for kind, code in (("neutral", "03"), ("smiling", "08"))
    ]
    kept = held_out([person_of(name) for name in names])
    assert 4 <= len(kept) <= 7
    assert {person_of("london_neutral/022_03"), person_of("london_smiling/022_08")} == {"22"}
    assert person_of("clips/intel_headpose_male") == person_of("clips/intel_headpose_female")
