"""The losses of the alignment network: Gaussian negative log-likelihoods of positions (seeds/001 eqs. 5 to 7)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backend.alignment.flowface.network import Prediction

DECAY = 0.8
LAMBDA_DENSE = 0.01


def vertex_loss(mu: Tensor, sigma: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Eq. 5 of one iteration, a scalar: the mean over points, weighted by λ, of log σ² + |μ − μ'|² / 2σ².

    ``mu`` and ``target`` (B,P,2), ``sigma`` and ``weight`` (B,P); crop pixels. The paper sums; dividing by the total
    weight of the batch keeps the scale where the number of images or of known points changes. Points of weight 0 may
    have any finite target. 0 where nothing is known.
    """
    return _likelihood((mu.float() - target.float()).square().sum(dim=-1), sigma, weight)


def dense_loss(positions: Tensor, spread: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Eq. 6 of one iteration, a scalar: the same over the cells of the atlas, divided by their total weight.

    ``positions`` and ``target`` (B,2,U,U), ``spread`` (B,1,U,U), ``weight`` (B,U,U); crop pixels.
    """
    return _likelihood((positions.float() - target.float()).square().sum(dim=1), spread[:, 0], weight)


def total_loss(
    predictions: Sequence[Prediction],
    target_mu: Tensor,
    weight: Tensor,
    target_positions: Tensor,
    dense_weight: Tensor,
    decay: float = DECAY,
    lambda_dense: float = LAMBDA_DENSE,
) -> Tensor:
    """Eq. 7, a scalar: both losses of every iteration, later iterations counting more.

    ``target_mu`` (B,P,2) and ``weight`` (B,P) are those of the points, ``target_positions`` (B,2,U,U) and
    ``dense_weight`` (B,U,U) those of the atlas's cells; positions in crop pixels.
    """
    losses = [
        vertex_loss(p.mu, p.sigma, target_mu, weight)
        + lambda_dense * dense_loss(p.positions, p.spread, target_positions, dense_weight)
        for p in predictions
    ]
    last = len(losses) - 1
    return torch.stack([decay ** (last - k) * loss for k, loss in enumerate(losses)]).sum()


def matching_loss(correlations: Tensor, target: Tensor, weight: Tensor, side: int) -> Tensor:
    """Cross-entropy, a scalar, of where N cells of the atlas are in the image, read off their correlations alone.

    Not the paper's, which starts from an encoder that ImageNet taught: without one, the recurrent update has nothing to
    look up at first, and learns the mean face instead of waiting. ``correlations`` (B,N,·,·) are the finest level of
    ``CorrelationPyramid``, rim included, over an image of ``side`` cells squared; ``target`` (B,2,N) in cells of the
    image, (0,0) its top-left corner, and ``weight`` (B,N). The true place is shared among the four cells around it;
    cells whose place lies outside the image do not count. Divided by the total weight.
    """
    inner = correlations[:, :, 1 : side + 1, 1 : side + 1].float()
    place = target.mT.float() - 0.5  # (B,N,2), whole numbers are the cells' centres
    low = place.floor()
    share = place - low
    chance = inner.flatten(2).log_softmax(dim=-1)
    entropy = chance.new_zeros(chance.shape[:2])
    for right in (0, 1):
        for down in (0, 1):
            x, y = low[..., 0] + right, low[..., 1] + down
            part = (share[..., 0] if right else 1 - share[..., 0]) * (share[..., 1] if down else 1 - share[..., 1])
            index = (y.clamp(0, side - 1) * side + x.clamp(0, side - 1)).long()
            entropy = entropy - part * chance.gather(2, index[..., None])[..., 0]
    inside = ((place > -0.5) & (place < side - 0.5)).all(dim=-1)
    weight = weight.float() * inside
    return (weight * entropy).sum() / weight.sum().clamp(min=torch.finfo(torch.float32).tiny)


def _likelihood(squared: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of log σ² + squared / 2σ², all float32 whatever the network ran in."""
    variance = sigma.float().square()
    weight = weight.float()
    negative = variance.log() + squared / (2 * variance)
    return (weight * negative).sum() / weight.sum().clamp(min=torch.finfo(torch.float32).tiny)
