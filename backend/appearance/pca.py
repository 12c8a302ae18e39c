"""A linear model of vectors of which parts are missing: principal components found by expectation and maximisation.

Pure numerics. Missing entries take the model's own values until both agree, as in probabilistic principal components
(Tipping and Bishop 1999, §4); of complete data this is the ordinary decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

ROUNDS = 12
"""Most rounds of filling in what is missing."""
SETTLED = 1e-3
"""Share by which the residual changes in a round after which no more are needed."""
LEAST_SPREAD = 1e-6
"""Of the first component's deviation: components with less say nothing and are left out."""


@dataclass(frozen=True, eq=False)
class Components:
    """x ≈ ``mean (D,)`` + z @ (``deviation (Z,1)`` · ``basis (Z,D)``): rows orthonormal, z of unit variance.

    ``noise`` is the variance of what of an entry the components leave.
    """

    mean: F64
    basis: F64
    deviation: F64
    noise: float

    def __len__(self) -> int:
        return len(self.deviation)

    def decode(self, codes: F64) -> F64:
        """Vectors (…,D) of codes (…,Z)."""
        return np.asarray(self.mean + (codes * self.deviation) @ self.basis)

    def encode(self, data: F64, weight: F64) -> F64:
        """The likeliest codes (T,Z) of ``data (T,D)``, of whose entries ``weight (T,D)`` 0…1 are worth anything."""
        scaled = self.deviation[:, None] * self.basis
        rows = []
        for one, worth in zip(data, weight, strict=True):
            seen = scaled * worth
            left = seen @ scaled.T + max(self.noise, 1e-12) * np.eye(len(self))
            rows.append(np.linalg.solve(left, seen @ (one - self.mean)))
        return np.array(rows).reshape(len(data), len(self))


def find_components(data: F64, weight: F64, most: int, rounds: int = ROUNDS) -> Components:
    """At most ``most`` components of ``data (T,D)``, whose entries count by ``weight (T,D)`` 0…1; T ≥ 2.

    Raises ValueError where there are fewer than two rows or none that is worth anything.
    """
    if len(data) < 2 or not (weight > 0).any():
        raise ValueError("there is nothing to learn components from")
    total = weight.sum(axis=0)
    mean = (weight * data).sum(axis=0) / np.maximum(total, 1e-12)
    filled = weight * data + (1 - weight) * mean
    complete = bool((weight == 1).all())
    before = np.inf
    for _ in range(1 if complete else rounds):
        mean, basis, spread = _decomposed(filled, most)
        modelled = mean + ((filled - mean) @ basis.T) @ basis
        residual = float((weight * (data - modelled) ** 2).sum() / weight.sum())
        filled = weight * data + (1 - weight) * modelled
        if abs(before - residual) <= SETTLED * residual:
            break
        before = residual
    mean, basis, spread = _decomposed(filled, most)
    left = (weight * (data - mean - ((filled - mean) @ basis.T) @ basis) ** 2).sum() / weight.sum()
    return Components(mean, basis, spread, float(left))


def _decomposed(filled: F64, most: int) -> tuple[F64, F64, F64]:
    """Mean, basis and deviations of complete rows, by their T×T products where those are fewer than D×D."""
    mean = filled.mean(axis=0)
    centred = filled - mean
    if len(centred) <= centred.shape[1]:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        order = np.argsort(values)[::-1][: min(most, len(centred) - 1)]
        values = np.maximum(values[order], 0)
        basis = (centred.T @ vectors[:, order]).T
        basis /= np.maximum(np.linalg.norm(basis, axis=1, keepdims=True), 1e-300)
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        order = np.argsort(values)[::-1][:most]
        values, basis = np.maximum(values[order], 0), vectors[:, order].T
    spread = np.sqrt(values / (len(centred) - 1))
    kept = spread > LEAST_SPREAD * max(float(spread.max(initial=0.0)), 1e-300)
    kept[:1] = True
    return mean, basis[kept], spread[kept]
