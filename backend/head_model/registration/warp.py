"""A smooth map of space from the open head to another: it carries what is not on the skin, and what moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_CHUNK = 4096


class SpaceWarp:
    """The biharmonic spline (radial basis function |r| with a linear part) through ``source (N,3)`` → ``target (N,C)``.

    Carr et al. 2001, "Reconstruction and representation of 3D objects with radial basis functions", eqs. 5–7.
    ``smoothing`` metres is how far the map may miss where close neighbours disagree, as on touching lips.
    """

    def __init__(self, source: F64, target: F64, smoothing: float = 2e-4) -> None:
        self._centres = source
        count = len(source)
        linear = np.column_stack([np.ones(count), source])
        kernel = _distances(source, source)
        # |r| is conditionally negative definite, hence the sign of the ridge
        system = np.block([[kernel - smoothing * np.eye(count), linear], [linear.T, np.zeros((4, 4))]])
        solution = np.linalg.solve(system, np.concatenate([target, np.zeros((4, target.shape[1]))]))
        self._weights, self._linear = solution[:count], solution[count:]

    def __call__(self, points: NDArray[np.floating[Any]]) -> F64:
        """The places (n,C) of points (n,3) of the source space."""
        points = np.asarray(points, np.float64)
        out = self._linear[0] + points @ self._linear[1:]
        for start in range(0, len(points), _CHUNK):
            part = points[start : start + _CHUNK]
            out[start : start + _CHUNK] += _distances(part, self._centres) @ self._weights
        return np.asarray(out)


def _distances(one: F64, other: F64) -> F64:
    found = one @ (-2 * other.T)
    found += (one**2).sum(axis=1)[:, None]
    found += (other**2).sum(axis=1)
    np.maximum(found, 0, out=found)
    return np.sqrt(found, out=found)
