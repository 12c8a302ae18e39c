"""A take whose face is at rest somewhere: the shape explains the rest, and expressions are zero there."""

from __future__ import annotations

import numpy as np
import pytest

from backend.fitting import FitOptions
from backend.fitting.neutral import AtRest
from backend.solving import SolvedTake, solve_take
from tests.backend.fitting.made_takes import ACTIONS, Seen, head, noise, performance, view

FRAMES, CALM = 30, slice(10, 20)
SOMEBODY = np.array([0.8, -0.6, 0.5, 0.9, -0.4, 0.3, -0.7, 0.2, 0.4, -0.3])
HELD = np.array([not name.startswith(("eyeBlink", "eyeLook")) for name in ACTIONS])


def smiling() -> np.ndarray:
    curve = np.full(FRAMES, 0.8)
    curve[CALM] = 0.0
    return curve


def solved(**options: object) -> SolvedTake:
    truth = performance(
        FRAMES, dict.fromkeys(("mouthSmileLeft", "mouthSmileRight", "mouthPucker"), smiling()), identity=SOMEBODY
    )
    # what no shape and no action explains, and is always there: as landmark networks are off
    seen = Seen(noise=noise(FRAMES, 0.15) + noise(1, 0.5, seed=8))
    return solve_take(head(), [view(truth, seen)], FitOptions(**options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> SolvedTake:
    return solved()


def test_expressions_are_zero_at_rest_and_what_they_were_elsewhere(found: SolvedTake) -> None:
    assert found.at_rest is not None and not found.at_rest.marked
    assert set(found.at_rest.numbers) <= set(range(11, 21)) and len(found.at_rest.numbers) >= 6
    rest = found.fit.expression[CALM][:, HELD].sum(axis=1)
    assert rest.mean() < 0.15
    smile = found.fit.expression[:, ACTIONS.index("mouthSmileLeft")]
    assert smile[:8].mean() == pytest.approx(0.8, abs=0.12)
    assert np.isfinite(found.fit.uncertainty_mm).all() and found.fit.uncertainty_mm.min() > 0.3


def test_marked_frames_are_believed() -> None:
    """Even where they smile, with 2.4 in all: the smile is then this person's neutral as far as shapes have it."""
    marked = solved(neutral_frames=(3, 4, 5))
    assert marked.at_rest == AtRest((3, 4, 5), marked=True)
    assert marked.fit.expression[2:5][:, HELD].sum(axis=1).max() < 1.6


def test_a_face_known_to_be_neutral_and_a_still_are_left_alone() -> None:
    assert solved(neutral=True).at_rest is None
    still = view(performance(1, identity=SOMEBODY), Seen())
    assert solve_take(head(), [still]).at_rest is None
