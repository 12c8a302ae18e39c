"""Smoothing without delay: a Gaussian over time that looks as far ahead as back, and may leave fast moves alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

REACH = 3.0
"""Times σ: beyond it a Gaussian holds 0.3 % of its weight."""


def smoothed(times: F64, values: F64, sigma: F64, fast: float | None = None, *, together: bool = False) -> F64:
    """Values (T,K) at ascending ``times (T,)``, each column by its own ``sigma (K,)``, in the unit of the times.

    A column whose σ is 0 stays. With ``fast``, a frame counts the less the more its value differs from the one that
    is smoothed: at a difference of ``fast`` 61 %, at twice that 14 % (a bilateral filter). ``together`` takes all
    columns for one vector: what is fast in one is so in all.
    """
    out = values.astype(np.float64)
    columns = np.flatnonzero(sigma > 0)
    if not len(columns) or len(times) < 2:
        return out
    some, width = out[:, columns], sigma[columns]
    length = np.gradient(times)[:, None]  # of a frame: where they are denser each counts less
    weight = np.repeat(length, len(columns), axis=1)
    total = length * some
    for step in range(1, len(times)):
        apart = times[step:] - times[:-step]
        if apart.min() > REACH * width.max():
            break
        exponent = np.square(apart[:, None] / width)
        exponent[apart[:, None] > REACH * width] = np.inf
        if fast is not None:
            differs = np.square((some[step:] - some[:-step]) / fast)
            exponent = exponent + (differs.sum(axis=1, keepdims=True) if together else differs)
        share = np.exp(-0.5 * exponent)
        total[:-step] += share * length[step:] * some[step:]
        total[step:] += share * length[:-step] * some[:-step]
        weight[:-step] += share * length[step:]
        weight[step:] += share * length[:-step]
    out[:, columns] = total / weight
    return out
