"""The table of pairs: what it adds to its points' own evidence, and what it leaves alone."""

from __future__ import annotations

import numpy as np

from backend.head_model.lids import LID_PAIRS
from backend.observations import PointSet
from backend.observations.point_pairs import PairTable, load_pair_table


def seen(sigma: float, hidden: int | None = None) -> PointSet:
    mu = np.random.default_rng(2).normal(size=(2, 478, 2)).astype(np.float32)
    valid = np.ones((2, 478), bool)
    if hidden is not None:
        valid[1, hidden] = False
    return PointSet.of("mediapipe478", mu, np.full((2, 478), sigma, np.float32), valid, "mediapipe")


def test_points_and_pair_together_tell_what_was_measured() -> None:
    table = PairTable(np.array([3]), np.array([7]), np.array([0.25]), "")
    apart = 2 * 1.5**2
    np.testing.assert_allclose(1 / apart + table.precision(seen(1.5)), 1 / (0.25 * apart), rtol=1e-6)


def test_a_pair_of_which_one_point_is_hidden_says_nothing() -> None:
    table = PairTable(np.array([3, 3]), np.array([7, 9]), np.array([0.25, 0.5]), "")
    hidden = seen(1.0, hidden=7)
    assert (table.precision(hidden) > 0).tolist() == [[True, True], [False, True]]
    assert not table.difference(hidden)[1, 0].any()
    np.testing.assert_array_equal(table.difference(hidden)[0, 1], hidden.mu[0, 3] - hidden.mu[0, 9])


def test_points_that_are_less_sure_make_a_pair_less_sure() -> None:
    table = load_pair_table()
    np.testing.assert_allclose(table.precision(seen(4.0)), table.precision(seen(2.0)) / 4, rtol=1e-5)


def test_the_committed_table_has_lids_lips_corners_and_brows_on_both_sides() -> None:
    table = load_pair_table()
    pairs = dict(zip(zip(table.first.tolist(), table.second.tolist(), strict=True), table.share, strict=True))
    wanted = [pair for side in LID_PAIRS for pair in side] + [
        (0, 17),
        (61, 291),
        (61, 0),
        (291, 0),
        (55, 133),
        (285, 362),
    ]
    assert set(wanted) <= set(pairs)
    assert table.share.min() > 0 and table.share.max() < 0.9
    assert pairs[55, 133] == pairs[285, 362], "mirrored pairs are as good as each other"
