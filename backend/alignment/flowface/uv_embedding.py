"""Learned positional embeddings of the canonical atlas (seeds/001 eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.config import NetworkConfig

LEVELS = 4


class UVEmbedding(nn.Module):
    """One module 𝒢: a pyramid of four trainable textures, enlarged, joined, and a pixel-wise linear layer.

    The textures have ``textures`` channels at U, U/2, U/4 and U/8 cells along a side, so that what lies close in the
    atlas starts out with similar features.
    """

    def __init__(self, uv_size: int, textures: int, channels: int) -> None:
        super().__init__()
        self.textures = nn.ParameterList(
            [nn.Parameter(torch.randn(1, textures, uv_size >> level, uv_size >> level)) for level in range(LEVELS)]
        )
        self.linear = nn.Conv2d(LEVELS * textures, channels, 1)
        nn.init.xavier_normal_(self.linear.weight)

    def forward(self) -> Tensor:
        """The embedding (1,channels,U,U)."""
        size = self.textures[0].shape[-2:]
        enlarged = [functional.interpolate(t, size=size, mode="bilinear", align_corners=False) for t in self.textures]
        embedding: Tensor = self.linear(torch.cat(enlarged, dim=1))
        return embedding


class UVEmbeddings(nn.Module):
    """The three modules of eq. 3: Z_uv, the context c and the initial hidden state h_0."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.features = UVEmbedding(config.uv_size, config.textures, config.features)
        self.context = UVEmbedding(config.uv_size, config.textures, config.context)
        self.hidden = UVEmbedding(config.uv_size, config.textures, config.hidden)

    def state(self) -> tuple[Tensor, Tensor]:
        """The update's first state: c (1,context,U,U) ≥ 0 and h_0 (1,hidden,U,U) in (-1,1), bounded as in RAFT."""
        return functional.relu(self.context()), torch.tanh(self.hidden())
