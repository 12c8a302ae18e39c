"""From what the landmark network sees to a person's code and to where the person's points lie: a linear layer.

The network's own points are linear in its last stage; so is all that is told here in the last two, in closed form by
every look at a take. Finer stages add nothing (8² cells: 1.08 times the fit's error on what lp_d10 holds out, as
without). Pure numerics.
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

    def whitened(self, features: F32) -> F32:
        """x (B,F)."""
        return (features - self.middle) * self.scale

    def code(self, x: F32) -> F64:
        """Codes (B,Z)."""
        return (x @ self.codes + self.codes_at).astype(np.float64)

    def place(self, x: F32, own: F64, share: F64) -> F64:
        """Points (B,K,2) from where the network sees them (B,K,2). Of what the look says beyond the mean difference
        a ``share (B,)`` is believed."""
        told = share[:, None] * (x @ self.points) + self.points_at
        return np.asarray(own + told.reshape(own.shape), np.float64)


@dataclass(frozen=True, eq=False)
class Learnt:
    """N looks as regressors see them: ``x (N,F)`` = (features − ``middle``) · ``scale``, with eigenvalues and vectors
    of the smaller of xxᵀ and xᵀx."""

    middle: F32
    scale: F32
    x: F64
    values: F64
    vectors: F64

    @classmethod
    def of(cls, features: F32) -> Learnt:
        middle, spread = features.mean(axis=0), features.std(axis=0)
        scale = 1 / (spread + FLOOR * max(float(spread.mean()), 1e-9))
        x = ((features - middle) * scale).astype(np.float64)
        values, vectors = np.linalg.eigh(x @ x.T if cls._by_looks(x) else x.T @ x)
        return cls(middle.astype(np.float32), scale.astype(np.float32), x, np.maximum(values, 0), vectors)

    @staticmethod
    def _by_looks(x: F64) -> bool:
        return len(x) <= x.shape[1]

    def directions(self, kept: NDArray[np.intp]) -> F64:
        """(F,R) eigenvectors of xᵀx, orthonormal, of those of ``kept (R,)`` numbers; their values are not 0."""
        if not self._by_looks(self.x):
            return np.asarray(self.vectors[:, kept])
        return np.asarray(self.x.T @ (self.vectors[:, kept] / np.sqrt(self.values[kept])))

    def solve(self, wanted: F64, ridge: float) -> F64:
        """argmin ‖x·w − wanted‖²/N + ridge·‖w‖²."""
        inverse = 1 / (self.values + ridge * len(self.x))
        if self._by_looks(self.x):
            return np.asarray(self.x.T @ (self.vectors @ (inverse[:, None] * (self.vectors.T @ wanted))))
        return np.asarray(self.vectors @ (inverse[:, None] * (self.vectors.T @ (self.x.T @ wanted))))


def fit_regressor(learnt: Learnt, codes: F64, off: F64) -> Regressor:
    """The regressor that looks with codes (N,Z), and points that lie ``off (N,K,2)`` from the network's, want."""
    weights = []
    for wanted, ridge in ((codes, RIDGE_CODES), (off.reshape(len(off), -1), RIDGE_POINTS)):
        at = wanted.mean(axis=0)
        weights += [learnt.solve(wanted - at, ridge), at]
    return Regressor(learnt.middle, learnt.scale, *(value.astype(np.float32) for value in weights))
