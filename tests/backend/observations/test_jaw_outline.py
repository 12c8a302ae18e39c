"""The table of the jaw's outline: what it adds to its points' own evidence, and what it leaves alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.observations import PointSet
from backend.observations.jaw_outline import JawOutline, load_jaw_outline, turned
from tests.backend.fitting.made_takes import places


def seen(degrees: float = 0.0, sigma: float = 1.0, hidden: int | None = None) -> PointSet:
    """One picture of the open head from far away, turned to the side."""
    head = places() @ Rotation.from_euler("Y", degrees, degrees=True).as_matrix().T
    mu = (head[None, :, :2] * (3000.0, -3000.0)).astype(np.float32)
    valid = np.ones((1, 478), bool)
    if hidden is not None:
        valid[0, hidden] = False
    return PointSet.of("mediapipe478", mu, np.full((1, 478), sigma, np.float32), valid, "mediapipe")


def test_point_and_outline_together_tell_what_was_measured() -> None:
    table = JawOutline(np.array([172, 136, 150]), np.array([0.25]), 0.5, "")
    told = table.precision(seen(sigma=4.0)) + 1 / 4.0**2
    np.testing.assert_allclose(told, 1 / (0.25 * 4.0) ** 2, rtol=1e-3)


def test_normals_are_across_the_jaw() -> None:
    table = load_jaw_outline()
    frontal = seen()
    normal = table.normals(frontal)[0]
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1.0, rtol=1e-6)
    around = frontal.mu[0, table.points] - frontal.mu[0].mean(axis=0)
    outwards = np.abs((around * normal).sum(axis=1)) / np.linalg.norm(around, axis=1)
    assert outwards.min() > 0.6
    chin = table.points.tolist().index(152)
    assert abs(normal[chin, 1]) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("degrees", "low", "high"), [(0.0, 0.0, 0.02), (10.0, 0.2, 0.3), (-30.0, 0.65, 0.95)])
def test_a_turned_head_is_told_by_its_points(degrees: float, low: float, high: float) -> None:
    assert low <= turned(seen(degrees))[0] < high


def test_the_more_a_head_is_turned_the_less_its_outline_tells() -> None:
    table = load_jaw_outline()
    told = [table.precision(seen(degrees))[0] for degrees in (0.0, 10.0, 20.0, -60.0)]
    assert all((more >= less).all() and more.sum() > less.sum() for more, less in pairwise(told))
    assert not told[-1].any()


def test_a_point_whose_neighbour_is_hidden_says_nothing() -> None:
    table = load_jaw_outline()
    hidden = seen(hidden=152)
    silent = np.isin(table.points, (148, 152, 377))
    assert ((table.precision(hidden)[0] == 0) == silent).all()
    assert not table.normals(hidden)[0, silent].any() and not table.positions(hidden)[0, silent].any()
    assert not table.precision(seen(hidden=1)).any(), "without the nose nobody knows how the head is turned"


def test_the_committed_table_is_of_the_jaw_and_symmetric() -> None:
    table = load_jaw_outline()
    assert table.chain[[0, -1]].tolist() == [361, 132] and 152 in table.points
    assert table.share.min() > 0.1 and table.share.max() < 1
    np.testing.assert_allclose(table.share, table.share[::-1], rtol=1e-6)
