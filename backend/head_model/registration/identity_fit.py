"""The open head's identity and a similarity that bring its points onto a target's: the start of the registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

ROUNDS = 12


@dataclass(frozen=True, eq=False)
class Similarity:
    """x → scale · rotation @ x + translation."""

    scale: float
    rotation: F64  # (3,3)
    translation: F64  # (3,)

    def apply(self, points: F64) -> F64:
        return self.scale * points @ self.rotation.T + self.translation


def similarity_between(source: F64, target: F64, weight: F64) -> Similarity:
    """The similarity with the least weighted squared distances from ``source (N,3)`` to ``target (N,3)``.

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", eqs. 40–42.
    """
    share = weight / weight.sum()
    mean_source, mean_target = share @ source, share @ target
    a, b = source - mean_source, target - mean_target
    u, s, vt = np.linalg.svd(b.T @ (share[:, None] * a))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = float((s * sign).sum() / (share @ (a**2).sum(axis=1)))
    return Similarity(scale, rotation, mean_target - scale * rotation @ mean_source)


def fit_identity(points: F64, basis: F64, target: F64, sigma: F64, components: int = 60) -> tuple[Similarity, F64, F64]:
    """Similarity, coefficients (K,) and remaining distances (N,) metres, for ``points (N,3)`` that move by
    ``basis (K_id,N,3)`` per unit-normal coefficient, onto ``target (N,3)`` known to ``sigma (N,)`` metres.
    """
    basis = basis[:components]
    beta = np.zeros(len(basis))
    weight = 1 / sigma**2
    for _ in range(ROUNDS):
        shaped = points + np.tensordot(beta, basis, axes=1)
        move = similarity_between(shaped, target, weight)
        wanted = ((target - move.translation) @ move.rotation) / move.scale - points
        rows = (basis * np.sqrt(weight)[:, None]).reshape(len(basis), -1) * move.scale
        right = rows @ (wanted * np.sqrt(weight)[:, None]).ravel() * move.scale
        beta = np.linalg.solve(rows @ rows.T + np.eye(len(basis)), right)
    shaped = points + np.tensordot(beta, basis, axes=1)
    move = similarity_between(shaped, target, weight)
    return move, beta, np.linalg.norm(move.apply(shaped) - target, axis=1)
