"""Reading maps over the atlas where its points lie (seeds/001 eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sample(maps: Tensor, nu: Tensor) -> Tensor:
    """Bilinear samples (B,C,P) of ``maps`` (B,C,U,U) at ``nu`` (P,2), or (B,P,2) where every image has its own points.

    ν is in [0,1], right and down; cell i's centre lies at (i+0.5)/U, and maps continue constantly beyond the outermost
    centres. Computed in float32.
    """
    if nu.ndim == 2:
        nu = nu.expand(len(maps), -1, -1)
    grid = (2 * nu.float() - 1)[:, None]
    with torch.autocast(maps.device.type, enabled=False):
        samples = functional.grid_sample(maps.float(), grid, padding_mode="border", align_corners=False)
    return samples[:, :, 0]
