"""From a start far away a fit comes back to where it ends from its own first guess.

The Cauchy kernel needs no graduation for that: on real clips (lp_d3, lp_d10) as here it converges from 120° off, with
all actions at 1, half or twice the distance. Begun with a kernel sixteen times as wide it does not from 150°, where it
does without.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, FitResult, fit_take
from tests.backend.fitting.made_takes import Seen, fit, head, noise, performance, view

FRAMES = 8
OPTIONS = FitOptions(identity_components=10)


@pytest.fixture(scope="module")
def seen() -> Seen:
    """A tenth of the points are far off."""
    off = noise(FRAMES, 0.7)
    off[:, np.random.default_rng(0).choice(468, 47, replace=False)] += 25.0
    return Seen(noise=off)


TRUTH = performance(FRAMES, {"jawOpen": 0.4, "browInnerUp": 0.5}, degrees=(15.0, -5.0))


@pytest.fixture(scope="module")
def near(seen: Seen) -> FitResult:
    return fit(TRUTH, seen, OPTIONS)


@pytest.mark.parametrize(
    ("axis", "degrees", "weight", "distance"),
    [("x", 60, 0.0, 1.0), ("y", 60, 1.0, 1.0), ("z", 60, 1.0, 1.0), ("y", 90, 1.0, 2.0), ("x", 90, 0.0, 0.5)],
)
def test_a_fit_comes_back_from_afar(
    seen: Seen, near: FitResult, axis: str, degrees: float, weight: float, distance: float
) -> None:
    turned = Rotation.from_matrix(near.head_rotation) * Rotation.from_euler(axis, degrees, degrees=True)
    far = replace(
        near,
        head_rotation=turned.as_matrix(),
        head_translation=near.head_translation * distance,
        expression=np.full_like(near.expression, weight),
    )
    back = fit_take(head(), [view(TRUTH, seen)], OPTIONS, initial=far)
    assert back.energy[-1] == pytest.approx(near.energy[-1], rel=2e-3)
    off = Rotation.from_matrix(back.head_rotation) * Rotation.from_matrix(near.head_rotation).inv()
    assert np.rad2deg(off.magnitude()).max() < 0.1
    assert np.abs(back.expression - near.expression).max() < 0.05
