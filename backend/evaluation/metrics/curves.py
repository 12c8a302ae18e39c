"""What an animator asks of ARKit-52 curves: no contradictions, rest, symmetry, smoothness, and the right meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]
Weights = NDArray[np.floating[Any]]

ON = 0.1
"""The weight above which an action counts as on: a tenth of its full strength shows on a face."""
CALM_SHARE = 0.05
MOVES = 0.05
"""The standard deviation of a true curve from which its correlation says something: of a curve that is on for a tenth
of the time at a sixth of its strength. Below, tracking noise of a few hundredths decides."""
GAZE = tuple(name for name in ARKIT_ACTIONS if name.startswith("eyeLook"))
MIRRORED = tuple(
    (name, name.replace("Left", "Right")) for name in ARKIT_ACTIONS if name.endswith("Left") and name not in GAZE
)
"""Each action of the left side without gaze, and its counterpart."""


def action_index(names: tuple[str, ...]) -> NDArray[np.intp]:
    """The columns of actions in weights that are in the order of ``ARKIT_ACTIONS``."""
    return np.array([ARKIT_ACTIONS.index(name) for name in names], np.intp)


NOT_GAZE = action_index(tuple(name for name in ARKIT_ACTIONS if name not in GAZE))


@dataclass(frozen=True)
class CurveFigures:
    """How fit for use a take's curves are; NaN where there are too few frames.

    ``contradictions``: the share of frames in which both of a pair of ``OPPOSED_ACTIONS`` are above ``ON``, mean of the
    pairs. ``rest``: the sum of all weights without gaze that the calmest 5 % of the frames stay below. ``asymmetry``:
    mean difference of left and right without gaze. ``jitter``: mean second difference of all 52 over three frames.
    Apple's own on a lively performance (the facecap character): 0.001, 3.6, 0.057 and 0.0085.
    """

    contradictions: float
    rest: float
    asymmetry: float
    jitter: float


def curve_figures(weights: Weights, tracked: NDArray[np.bool_] | None = None) -> CurveFigures:
    """The figures of weights (T,52) in the order of ``ARKIT_ACTIONS``; frames not ``tracked (T,)`` do not count."""
    w = np.asarray(weights, np.float64)
    seen = np.ones(len(w), bool) if tracked is None else np.asarray(tracked, bool)
    shown = w[seen]
    if not len(shown):
        return CurveFigures(*[float("nan")] * 4)
    one, other = (action_index(names) for names in zip(*OPPOSED_ACTIONS, strict=True))
    left, right = (action_index(names) for names in zip(*MIRRORED, strict=True))
    steps = np.abs(w[2:] - 2 * w[1:-1] + w[:-2])[seen[2:] & seen[1:-1] & seen[:-2]]
    return CurveFigures(
        contradictions=float(((shown[:, one] > ON) & (shown[:, other] > ON)).mean()),
        rest=float(np.quantile(shown[:, NOT_GAZE].sum(axis=1), CALM_SHARE)),
        asymmetry=float(np.abs(shown[:, left] - shown[:, right]).mean()),
        jitter=float(steps.mean()) if len(steps) else float("nan"),
    )


@dataclass(frozen=True, eq=False)
class CurveAgreement:
    """Found curves beside the true ones, each (52,) in the order of ``ARKIT_ACTIONS``.

    ``correlation`` (Pearson; NaN where the true curve does not move, 0 where only the found one does not), ``slope`` of
    the regression of found on true, ``error`` mean absolute difference, ``moves`` where the true curve does.
    ``wrong`` names actions that run against the truth: negatively correlated, or, of a mirrored pair, with the
    difference of left and right the other way round than the truth's.
    """

    correlation: F64
    slope: F64
    error: F64
    moves: NDArray[np.bool_]
    wrong: tuple[str, ...]

    @property
    def mean_correlation(self) -> float:
        """Over the actions that move, without gaze."""
        return _mean(self.correlation[NOT_GAZE][self.moves[NOT_GAZE]])

    @property
    def mean_error(self) -> float:
        """Over the actions that move, without gaze."""
        return _mean(self.error[NOT_GAZE][self.moves[NOT_GAZE]])


def compare_curves(found: Weights, true: Weights, tracked: NDArray[np.bool_] | None = None) -> CurveAgreement:
    """Compare weights (T,52) with the true ones (T,52) on the frames that are ``tracked (T,)``."""
    seen = np.ones(len(true), bool) if tracked is None else np.asarray(tracked, bool)
    f, t = np.asarray(found, np.float64)[seen], np.asarray(true, np.float64)[seen]
    correlation, slope, moves = regression(f, t)
    left, right = (action_index(names) for names in zip(*MIRRORED, strict=True))
    aside, _, leans = regression(f[:, left] - f[:, right], t[:, left] - t[:, right])
    wrong = {ARKIT_ACTIONS[k] for k in NOT_GAZE if moves[k] and correlation[k] < 0}
    for pair, value, matters in zip(MIRRORED, aside, leans, strict=True):
        if matters and value < 0:
            wrong |= set(pair)
    error = np.abs(f - t).mean(axis=0) if len(t) else np.full(t.shape[1], np.nan)
    return CurveAgreement(correlation, slope, error, moves, tuple(sorted(wrong)))


def regression(found: F64, true: F64, moves_from: float = MOVES) -> tuple[F64, F64, NDArray[np.bool_]]:
    """Correlation and slope (N,) of found curves (T,N) on true ones (T,N), and which of the true ones move (N,).

    A true curve moves where its standard deviation is at least ``moves_from``; both figures are NaN where it does not.
    """
    if len(true) < 3:
        nothing = np.full(true.shape[1], np.nan)
        return nothing, nothing.copy(), np.zeros(true.shape[1], bool)
    f, t = found - found.mean(axis=0), true - true.mean(axis=0)
    spread_f, spread_t = np.sqrt((f**2).mean(axis=0)), np.sqrt((t**2).mean(axis=0))
    moves = spread_t >= moves_from
    both = (f * t).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(moves, both / spread_t**2, np.nan)
        correlation = np.where(moves, np.where(spread_f > 1e-9, both / (spread_f * spread_t), 0.0), np.nan)
    return correlation, slope, moves


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
