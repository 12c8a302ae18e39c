"""How strange a look is: its leverage, by the formula of the books, as a multiple of the learnt ones'."""

from __future__ import annotations

import numpy as np
import pytest

from backend.appearance.regressor import RIDGE_CODES, Learnt, fit_regressor
from backend.appearance.trust import LEAST_NOISE, fit_trust


@pytest.mark.parametrize(("count", "width"), [(300, 24), (40, 90)])
def test_strangeness_is_leverage_over_the_learnt_looks_own(count: int, width: int) -> None:
    rng = np.random.default_rng(3)
    features = (rng.normal(size=(count, width)) * np.linspace(2, 0.4, width)).astype(np.float32)
    learnt = Learnt.of(features)
    trust = fit_trust(learnt, np.zeros((count, 5, 2)), np.zeros((count, 2, 2)))
    inverse = np.linalg.inv(learnt.x.T @ learnt.x + RIDGE_CODES * count * np.eye(width))
    usual = np.percentile(np.einsum("nf,fg,ng->n", learnt.x, inverse, learnt.x), 95)
    others = (rng.normal(size=(6, width)) * np.array([[0.1], [1], [2], [4], [8], [16]])).astype(np.float32)
    wanted = np.maximum(np.einsum("nf,fg,ng->n", others, inverse, others) / usual, 1)
    told = trust.strangeness(others)
    assert np.allclose(told, wanted, rtol=0.05)
    assert told[0] == 1 and told[-1] > 50
    assert (trust.strangeness(learnt.x.astype(np.float32)) == 1).mean() > 0.9


def test_what_lies_between_the_networks_points_and_the_persons_is_kept_with_its_spread() -> None:
    rng = np.random.default_rng(4)
    learnt = Learnt.of(rng.normal(size=(2000, 4)).astype(np.float32))
    off = rng.normal(size=(2000, 2, 2)) * np.array([[[4.0], [0.1]]]) + 7
    trust = fit_trust(learnt, off, off + np.array([0.0, 1.0]))
    assert np.allclose(trust.noise, (4, LEAST_NOISE), rtol=0.05)
    assert np.allclose(trust.iris, [[7, 8], [7, 8]], atol=0.3)
    assert np.allclose(trust.iris_noise, trust.noise, rtol=0.01)


def test_of_what_a_strange_look_says_of_points_as_little_is_believed() -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(400, 8)).astype(np.float32)
    off = (features @ rng.normal(size=(8, 6)) + 3).reshape(400, 3, 2).astype(np.float64)
    regressor = fit_regressor(Learnt.of(features), np.zeros((400, 1)), off)
    x, own = regressor.whitened(features[:2]), np.zeros((2, 3, 2))
    whole, half, none = (regressor.place(x, own, np.full(2, share)) for share in (1.0, 0.5, 0.0))
    assert np.allclose(none, off.mean(axis=0), atol=1e-4)
    assert np.allclose(half, (whole + none) / 2, atol=1e-4)
    assert np.abs(whole - off[:2]).mean() < np.abs(none - off[:2]).mean()
