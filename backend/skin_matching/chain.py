"""A keypoint's displacements over time, from what pictures say of each other: a chain, solved robustly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROBUST = 2.0
"""σ beyond which a comparison's pull fades (Cauchy)."""
AGREES = 3.0
"""σ within which a comparison counts as agreeing with what all say."""
FIT_SIGMA = 4.0
"""Texels: by how much a fit misplaces skin. Far more than it does: it only holds what nothing else is said of."""
ITERATIONS = 8

LEAST_SIGMA = 0.02
"""Texels: pictures that are the same to the bit, as of a held frame, miss by nothing."""


@dataclass(frozen=True, eq=False)
class Said:
    """What was said of the displacements d (T,P,2), in texels, NaN where nothing was.

    ``relative (T,P,2)`` of d_t − d_{t−1}, with ``relative_sigma (T,P)``; ``absolute (T,P,2)`` of d_t but for a
    constant, with ``absolute_sigma (T,P)``; ``facing (T,P)`` how well each frame sees a keypoint, which weighs Σ d = 0.
    """

    relative: F64
    relative_sigma: F64
    absolute: F64
    absolute_sigma: F64
    facing: F64


@dataclass(frozen=True, eq=False)
class Chains:
    """Displacements ``offset (T,P,2)`` texels, their ``sigma (T,P)``, and where they are known, ``valid (T,P)``."""

    offset: F64
    sigma: F64
    valid: Bools


def solve(said: Said, *, anchored: bool = True) -> Chains:
    """The displacements that explain what was said, with Σ facing · d = 0 for every keypoint over time.

    ``anchored``: only where what is absolute, or a chain of steps from there, says so.
    """
    step, step_weight = _known(said.relative, said.relative_sigma)
    level, level_weight = _known(said.absolute, said.absolute_sigma)
    step_fade, level_fade = np.ones_like(step_weight), np.ones_like(level_weight)
    offset, middle = np.zeros_like(step), np.zeros(step.shape[1:])
    step_miss = level_miss = np.zeros(step_weight.shape)
    for _ in range(ITERATIONS):
        middle = _middle(level - offset, level_weight * level_fade)
        offset, variance = _tridiagonal(step, step_weight * step_fade, level - middle, level_weight * level_fade)
        step_miss = np.linalg.norm(np.diff(offset, axis=0, prepend=offset[:1]) - step, axis=2) * np.sqrt(step_weight)
        level_miss = np.linalg.norm(offset + middle - level, axis=2) * np.sqrt(level_weight)
        step_fade, level_fade = 1 / (1 + (step_miss / ROBUST) ** 2), 1 / (1 + (level_miss / ROBUST) ** 2)
    step_agrees = (step_weight > 0) & (step_miss < AGREES)
    level_agrees = (level_weight > 0) & (level_miss < AGREES)
    valid = _supported(step_agrees, level_agrees, anchored)
    weight = said.facing * valid
    mean = (offset * weight[..., None]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9)[:, None]
    return Chains(offset - mean, np.sqrt(variance) * _tension(step_miss, level_miss, step_agrees, level_agrees), valid)


def _known(values: F64, sigma: F64) -> tuple[F64, F64]:
    """Values, 0 where unknown, and weights 1/σ², 0 there."""
    known = np.isfinite(values[..., 0]) & np.isfinite(sigma)
    sigma = np.maximum(sigma, LEAST_SIGMA)
    return np.where(known[..., None], values, 0), np.where(known, 1 / np.square(np.where(known, sigma, 1)), 0)


def _middle(off: F64, weight: F64) -> F64:
    """(P,2) weighted means over time of ``off (T,P,2)``."""
    return np.asarray((off * weight[..., None]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9)[:, None])


def _tridiagonal(step: F64, step_weight: F64, level: F64, level_weight: F64) -> tuple[F64, F64]:
    """Least squares of all chains at once (T,P,2), and variances (T,P), by elimination forwards and backwards."""
    count = len(step)
    own = level_weight + step_weight + FIT_SIGMA**-2
    own[:-1] += step_weight[1:]
    right = level_weight[..., None] * level + step_weight[..., None] * step
    right[:-1] -= step_weight[1:, :, None] * step[1:]
    ahead, told = np.empty_like(own), np.empty_like(right)  # with all before eliminated
    ahead[0], told[0] = own[0], right[0]
    for t in range(1, count):
        share = step_weight[t] / ahead[t - 1]
        ahead[t] = own[t] - share * step_weight[t]
        told[t] = right[t] + share[:, None] * told[t - 1]
    offset, variance = np.empty_like(right), np.empty_like(own)
    offset[-1], variance[-1] = told[-1] / ahead[-1][:, None], 1 / ahead[-1]
    for t in range(count - 2, -1, -1):
        gain = step_weight[t + 1] / ahead[t]
        offset[t] = told[t] / ahead[t][:, None] + gain[:, None] * offset[t + 1]
        variance[t] = 1 / ahead[t] + gain**2 * variance[t + 1]
    return offset, variance


def _supported(step: Bools, level: Bools, anchored: bool) -> Bools:
    """(T,P) where at least two comparisons agree on a keypoint; ``anchored``: one of them with the mean texture, in
    this frame or one next to it."""
    following = np.zeros_like(step)
    following[:-1] = step[1:]
    tally = step.astype(int) + following + level
    if not (anchored and step.any()):
        return np.asarray(tally >= 1)
    near = level.copy()
    near[1:] |= step[1:] & level[:-1]
    near[:-1] |= following[:-1] & level[1:]
    return np.asarray((tally >= 2) & near)


def _tension(step_miss: F64, level_miss: F64, step: Bools, level: Bools) -> F64:
    """(T,P) by how much those that agree disagree more than they should, in σ; 1 where they do not."""
    squared, tally = np.where(step, step_miss**2, 0), step.astype(float)
    squared[:-1] += np.where(step[1:], step_miss[1:] ** 2, 0)
    tally[:-1] += step[1:]
    squared += np.where(level, level_miss**2, 0)
    tally += level
    return np.sqrt(np.maximum(squared / np.maximum(2 * tally, 1), 1))
