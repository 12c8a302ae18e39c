"""The three consistencies that need no label (seeds/003 eqs. 5, 6, 8, 9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """λ of eq. 5; the defaults are the paper's (§4)."""

    consecutive: float = 100.0
    model: float = 100.0
    landmarks: float = 1.0


TERMS = {"all": Weights(), "landmarks": Weights(0.0, 0.0, 1.0), "textures": Weights(100.0, 100.0, 0.0)}
"""The rows of the paper's table 1 by name ("none" is the network as it was), and the textures without the landmarks."""


def consecutive_loss(before: Tensor, after: Tensor, confidence: Tensor) -> Tensor:
    """Eq. 6, a scalar: ‖(W_t ⊙ W_{t−1}) ⊙ (T̃_t − T̃_{t−1})‖² over the number of texels that both frames see.

    ``before`` and ``after`` (B,n,3) are textures of consecutive frames, ``confidence`` (B,n) their W_t ⊙ W_{t−1}, 0
    below the threshold. The mean over the batch is one over all its texels together.
    """
    return _weighted(after - before, confidence)


def model_loss(texture: Tensor, corrected: Tensor, confidence: Tensor) -> Tensor:
    """Eq. 8, a scalar: ‖W ⊙ (T̃ − C(T))‖² over the number of texels that are seen.

    ``texture`` (B,n,3) is observed, ``corrected`` (B,n,3) is C(T), ``confidence`` (B,n) W.
    """
    return _weighted(texture - corrected, confidence)


def landmark_loss(mu: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Eq. 9, a scalar: the mean over K landmarks of ‖K_2D − μ(ν_k)‖², each counting by ``weight``.

    ``mu`` and ``target`` (B,K,2) in pixels of a crop of 256, the paper's; ``weight`` (B,K), 0 where one is not seen.
    """
    squared = (mu - target).square().sum(dim=-1)
    return (weight * squared).sum() / weight.sum().clamp(min=1e-9)


def fit_colours(model: Tensor, observed: Tensor, confidence: Tensor) -> Tensor:
    """C of eq. 8, (4,3): the 1×1 filter and its offset that bring ``model`` (n,3) closest to ``observed`` (B,n,3).

    Least squares with weights W², the minimum of eq. 8 in C, which the paper approaches by descent.
    """
    homogeneous = torch.cat([model, torch.ones_like(model[:, :1])], dim=1)
    weight = confidence.square().sum(dim=0)
    mean = (confidence.square()[..., None] * observed).sum(dim=0)  # Σ W² T̃ of each texel
    left = homogeneous.mT @ (weight[:, None] * homogeneous)
    scale = left.diagonal().mean().clamp(min=1e-9)
    return torch.linalg.solve(left + 1e-6 * scale * torch.eye(4), homogeneous.mT @ mean)


def corrected(model: Tensor, colours: Tensor) -> Tensor:
    """C(T) (n,3) of the model's texture (n,3)."""
    return model @ colours[:3] + colours[3]


def _weighted(difference: Tensor, confidence: Tensor) -> Tensor:
    squared = (confidence[..., None] * difference).square().sum()
    return squared / (confidence > 0).sum().clamp(min=1)
