"""Covariance of every unknown from the solver's own factorisation: selected inversion of an arrow on a block band."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import Factorisation
from backend.fitting.side_by_side import side_by_side


@dataclass(frozen=True, eq=False)
class Covariance:
    """Blocks of the inverse of the normal matrix; unknowns that were frozen have zeros.

    ``shared (S,S)``; ``frame (T,F,F)`` each frame's marginal; ``cross (T,F,S)`` of a frame's unknowns with the shared
    ones. Covariances between frames are not computed.
    """

    shared: Tensor
    frame: Tensor
    cross: Tensor


def _band_inverse(factorisation: Factorisation) -> Tensor:
    """The diagonal blocks (P,2F,2F) of the band's inverse: Takahashi, Fagan and Chin's recursion (1973), by blocks.

    With the band L Lᵀ, L's blocks L_k on the diagonal and C_k those of pair k with its neighbour n towards the middle:
    Z_k = L_k⁻ᵀ (1 + C_kᵀ Z_n C_k) L_k⁻¹.
    """
    factors = factorisation.factors
    identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    blocks = torch.empty_like(factors)

    def towards_end(pairs: range) -> None:
        for k in pairs:
            inverse = torch.linalg.solve_triangular(factors[k], identity, upper=False)
            inner = k - pairs.step
            carried = factorisation.couplings[min(k, inner)] @ inverse
            blocks[k] = inverse.T @ inverse + carried.T @ blocks[inner] @ carried

    middle = torch.linalg.solve_triangular(factors[factorisation.middle], identity, upper=False)
    blocks[factorisation.middle] = middle.T @ middle
    side_by_side(towards_end, factorisation.outwards, factors)
    return blocks


def covariance(factorisation: Factorisation, shared: Tensor | None = None, shared_scale: float = 1.0) -> Covariance:
    """Blocks of the inverse of the factorised matrix, at the cost of about two solves.

    ``shared (S,S)`` takes the place of the shared unknowns' own covariance where they were solved elsewhere;
    ``shared_scale`` multiplies it. Every frame answers to the shared unknowns by −Y_t = −(band⁻¹ Aᵀ)_t, so that its
    marginal is band⁻¹_tt + Y_t Σ Y_tᵀ.
    """
    size = len(factorisation.schur)
    if shared is None:
        shared = torch.cholesky_inverse(factorisation.schur)
    mask = factorisation.shared_free.to(shared.dtype)
    shared = shared_scale * shared * mask[:, None] * mask
    answer = factorisation.by_frame(factorisation.backward(factorisation.half[..., :size]))
    free = factorisation.free.to(shared.dtype)
    cross = -(answer @ shared)
    frame = _own(_band_inverse(factorisation), len(answer))
    frame.mul_(free[:, :, None]).mul_(free[:, None, :]).sub_(cross @ answer.mT)
    return Covariance(shared=shared, frame=(frame + frame.mT).mul_(0.5), cross=cross)


def _own(pairs: Tensor, frames: int) -> Tensor:
    """(T,F,F) the frames' own blocks of those of pairs (P,2F,2F), anew."""
    half = pairs.shape[-1] // 2
    return torch.stack([pairs[:, :half, :half], pairs[:, half:, half:]], dim=1).flatten(0, 1)[:frames]
