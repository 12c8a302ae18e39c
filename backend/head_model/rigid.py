"""Rigid alignment: the rotation, translation and scale that bring one set of points onto another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """x ↦ scale · rotation · x + translation; a rigid motion where ``scale`` is 1."""

    scale: float
    rotation: F64  # (D,D)
    translation: F64  # (D,)

    def apply(self, points: NDArray[np.floating[Any]]) -> F64:
        """Points (…,D) moved."""
        return self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.translation

    def undo(self, points: NDArray[np.floating[Any]]) -> F64:
        """Points (…,D) that ``apply`` would move here."""
        return (np.asarray(points, np.float64) - self.translation) @ self.rotation / self.scale


def similarity_between(
    source: NDArray[np.floating[Any]],
    target: NDArray[np.floating[Any]],
    weights: NDArray[np.floating[Any]] | None = None,
    *,
    scaled: bool = True,
) -> Similarity:
    """The motion that brings ``source (N,D)`` closest to ``target (N,D)``: min Σ w ‖s R x + t − y‖².

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", eqs. 40–42, with
    weights (N,), by default even; s = 1 unless ``scaled``. R never mirrors.
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    w = np.full(len(x), 1 / len(x)) if weights is None else np.asarray(weights, np.float64) / np.sum(weights)
    x_mean, y_mean = w @ x, w @ y
    x, y = x - x_mean, y - y_mean
    rotation, stretch = _polar(y.T @ (w[:, None] * x))
    scale = float(stretch.sum() / (w @ (x * x).sum(axis=1))) if scaled else 1.0
    return Similarity(scale, rotation, y_mean - scale * rotation @ x_mean)


def nearest_rotation(matrices: NDArray[np.floating[Any]]) -> F64:
    """The rotations (…,D,D) closest to ``matrices (…,D,D)``, in the sense of least squares; they never mirror.

    Of Σ y xᵀ it is the rotation that brings centred points x closest to centred points y; of a weighted sum of
    rotations, their mean.
    """
    return _polar(matrices)[0]


def _polar(matrices: NDArray[np.floating[Any]]) -> tuple[F64, F64]:
    """Nearest rotations (…,D,D), and the singular values (…,D), the last one negative where they would mirror."""
    u, singular, vt = np.linalg.svd(np.asarray(matrices, np.float64))
    sign = np.ones(singular.shape)
    sign[..., -1] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt, singular * sign
