"""The open head's identity and a similarity that bring its points onto a target's: the start of the registration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.rigid import Similarity, similarity_between

F64 = NDArray[np.float64]

ROUNDS = 12


def fit_identity(points: F64, basis: F64, target: F64, sigma: F64, components: int = 60) -> tuple[Similarity, F64, F64]:
    """Similarity, coefficients (K,) and remaining distances (N,) metres that bring points onto a target.

    ``points (N,3)`` move by ``basis (K_id,N,3)`` per unit-normal coefficient; ``target (N,3)`` is known to ``sigma
    (N,)`` metres.
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
