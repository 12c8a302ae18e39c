"""Principal components: numpy's decomposition of whole data, and the truth behind data with holes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.appearance.pca import find_components

RNG = np.random.default_rng(1)


def _rank_three(count: int, width: int) -> NDArray[np.float64]:
    spread = np.array([3.0, 2.0, 1.0])
    return np.asarray(RNG.normal(size=(count, 3)) * spread @ RNG.normal(size=(3, width)) + 5.0, np.float64)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_complete_data_give_what_numpys_decomposition_gives(shape: tuple[int, int]) -> None:
    data = RNG.normal(size=shape)
    found = find_components(data, np.ones(shape), 4)
    _, values, rows = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    assert np.allclose(found.deviation, values[:4] / np.sqrt(shape[0] - 1))
    assert np.allclose(np.abs(found.basis @ rows[:4].T), np.eye(4), atol=1e-8)
    assert np.allclose(found.mean, data.mean(axis=0))


def test_what_is_missing_is_told_by_what_is_there() -> None:
    truth = _rank_three(60, 30)
    weight = (RNG.random(truth.shape) > 0.3).astype(float)
    holed = np.where(weight > 0, truth, 1e3)  # whatever stands there must not matter
    found = find_components(holed, weight, 3, rounds=60)
    back = found.decode(found.encode(holed, weight))
    missing = weight == 0
    by_mean = np.abs((truth - truth.mean(axis=0))[missing]).mean()
    assert np.abs((back - truth)[missing]).mean() < 0.05 * by_mean


def test_a_code_is_of_unit_variance_and_leads_back() -> None:
    data = _rank_three(50, 20)
    found = find_components(data, np.ones(data.shape), 8)
    assert len(found) == 3  # more say nothing
    codes = found.encode(data, np.ones(data.shape))
    assert np.allclose(codes.std(axis=0, ddof=1), 1, atol=1e-3)
    assert np.allclose(found.decode(codes), data, atol=1e-3)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        find_components(np.zeros((1, 4)), np.ones((1, 4)), 2)
