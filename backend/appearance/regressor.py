"""From what the landmark network sees to a person's code and to where the person's points lie: a linear layer.

The network's own points are linear in its last stage; so is all that is told here in the last two. Fitted in closed
form to every look at a take, it lays the head 1.03 (lp_s18), 1.08 (lp_d10), 1.09 (pyfeat_single_face) and 1.10
(grid_sbia1a) times as far from the landmarks as the fit, on the last fifth, from which it has not learnt. Finer stages
add nothing (8² cells: 1.08 on lp_d10). Pure numerics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

RIDGE_CODES, RIDGE_POINTS = 0.3, 3.0
"""Of the features' variance, for codes and for points. Of 0.03, 0.3 and 3 the best on what lp_d10 holds out
(1.098, 1.077 and 1.084 times the fit's error with one for both, 1.069 with these)."""
FLOOR = 0.1
"""Of the mean feature's deviation, added to each one's, so that those that hardly vary are not blown up."""


@dataclass(frozen=True, eq=False)
class Regressor:
    """Codes (B,Z) = x·``codes`` + ``codes_at`` and points = own + x·``points`` + ``points_at``, pixels of the crop,
    where x (B,F) = (features − ``middle``) · ``scale``."""

    middle: F32
    scale: F32
    codes: F32  # (F,Z)
    codes_at: F32
    points: F32  # (F,2K)
    points_at: F32

    def __call__(self, features: F32, own: F64) -> tuple[F64, F64]:
        """Codes (B,Z) and points (B,K,2) from features (B,F) and where the network sees the points (B,K,2)."""
        x = (features - self.middle) * self.scale
        off = (x @ self.points + self.points_at).reshape(own.shape)
        return (x @ self.codes + self.codes_at).astype(np.float64), own + off


def fit_regressor(features: F32, codes: F64, off: F64) -> Regressor:
    """The regressor that looks (N,F) with codes (N,Z), and points that lie ``off (N,K,2)`` from the network's, want."""
    middle = features.mean(axis=0)
    spread = features.std(axis=0)
    scale = 1 / (spread + FLOOR * max(float(spread.mean()), 1e-9))
    x = ((features - middle) * scale).astype(np.float64)
    left, right = _solver(x)
    weights = []
    for wanted, ridge in ((codes, RIDGE_CODES), (off.reshape(len(off), -1), RIDGE_POINTS)):
        at = wanted.mean(axis=0)
        weights += [_solve(left, right, x, wanted - at, ridge), at]
    return Regressor(
        middle.astype(np.float32), scale.astype(np.float32), *(value.astype(np.float32) for value in weights)
    )


def _solver(x: F64) -> tuple[F64, F64]:
    """Eigenvalues and vectors of the smaller of xxᵀ and xᵀx."""
    product = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    values, vectors = np.linalg.eigh(product)
    return np.maximum(values, 0), vectors


def _solve(values: F64, vectors: F64, x: F64, wanted: F64, ridge: float) -> F64:
    """argmin ‖x·w − wanted‖²/N + ridge·‖w‖²."""
    inverse = 1 / (values + ridge * len(x))
    if len(vectors) == len(x) and len(x) <= x.shape[1]:
        return np.asarray(x.T @ (vectors @ (inverse[:, None] * (vectors.T @ wanted))))
    return np.asarray(vectors @ (inverse[:, None] * (vectors.T @ (x.T @ wanted))))
