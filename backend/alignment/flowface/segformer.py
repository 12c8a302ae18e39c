"""The mix transformer (MiT), SegFormer's hierarchical encoder: Xie et al. 2021, "SegFormer: Simple and Efficient Design
for Semantic Segmentation with Transformers", section 3.1 and table 6.

Modules have the names that they have in ``transformers``, so that SegFormer's published weights fit. It is written out
because that package brings torch's compiler and distributed tensors along, of which nothing is used here: importing it
took twice as long as torch itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCHES, STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)
"""Sides and distances of each stage's overlapping patches, pixels of what it is given."""
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
"""By how much each stage's keys and values are coarser than its queries, along each side."""
WIDENING = 4
INITIAL_STD = 0.02


class Segformer(nn.Module):
    """The encoder of ``channels`` and ``depths`` per stage; ``stages`` are called one after the other."""

    def __init__(self, channels: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        given = (3, *channels[:-1])
        self.stages = nn.ModuleList([Stage(n, given[n], channels[n], depths[n]) for n in range(len(channels))])
        self.apply(_begun)


def _begun(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _tokens(maps: Tensor) -> Tensor:
    """Maps (B,C,H,W) as tokens (B,H·W,C)."""
    return maps.flatten(2).transpose(1, 2)


def _maps(tokens: Tensor, height: int, width: int) -> Tensor:
    batch, _, channels = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, channels, height, width)


class Stage(nn.Module):
    """Maps (B,C,H,W) to coarser ones (B,C',H',W'): patches, blocks of attention, a normalisation."""

    def __init__(self, number: int, given: int, channels: int, depth: int) -> None:
        super().__init__()
        self.patch_embeddings = PatchEmbeddings(given, channels, PATCHES[number], STRIDES[number])
        self.blocks = nn.ModuleList([Block(channels, HEADS[number], REDUCTIONS[number]) for _ in range(depth)])
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor) -> Tensor:
        x, height, width = self.patch_embeddings(maps)
        for block in self.blocks:
            x = block(x, height, width)
        return _maps(self.layer_norm(x), height, width).contiguous()


class PatchEmbeddings(nn.Module):
    def __init__(self, given: int, channels: int, side: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(given, channels, side, stride, padding=side // 2)
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor) -> tuple[Tensor, int, int]:
        """Tokens (B,H'·W',C') and H', W'."""
        patches = self.proj(maps)
        return self.layer_norm(_tokens(patches)), patches.shape[2], patches.shape[3]


class Block(nn.Module):
    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads, reduction)
        self.layernorm_after = nn.LayerNorm(channels)
        self.mlp = MixMLP(channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.attention(self.layernorm_before(x), height, width)
        return x + self.mlp(self.layernorm_after(x), height, width)


class Attention(nn.Module):
    """Attention of all tokens to coarser ones."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.size = heads, channels // heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(channels, channels) for _ in range(4))
        self.sequence_reduction = SequenceReduction(channels, reduction) if reduction > 1 else None

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        coarse = x if self.sequence_reduction is None else self.sequence_reduction(x, height, width)
        query, key, value = (
            self._split(self.q_proj(x)),
            self._split(self.k_proj(coarse)),
            self._split(self.v_proj(coarse)),
        )
        if x.device.type == "cpu":  # keys are few here (36 for a crop of 192 pixels): the fused attention is slower
            weights = functional.softmax(query @ key.transpose(2, 3) * self.size**-0.5, dim=-1, dtype=torch.float32)
            found = weights.to(query.dtype) @ value
        else:
            found = functional.scaled_dot_product_attention(query, key, value)
        together: Tensor = self.o_proj(found.transpose(1, 2).flatten(2))
        return together

    def _split(self, tokens: Tensor) -> Tensor:
        """Tokens (B,N,C) of each head: (B,heads,N,size)."""
        return tokens.view(*tokens.shape[:2], self.heads, self.size).transpose(1, 2)


class SequenceReduction(nn.Module):
    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.sequence_reduction = nn.Conv2d(channels, channels, reduction, reduction)
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        fewer: Tensor = self.layer_norm(_tokens(self.sequence_reduction(_maps(x, height, width))))
        return fewer


class MixMLP(nn.Module):
    """Two layers with a depthwise convolution between them, which tells tokens where they are."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = WIDENING * channels
        self.fc1 = nn.Linear(channels, wide)
        self.dwconv = DepthWise(wide)
        self.fc2 = nn.Linear(wide, channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        mixed: Tensor = self.fc2(functional.gelu(self.dwconv(self.fc1(x), height, width)))
        return mixed


class DepthWise(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        return _tokens(self.dwconv(_maps(x, height, width)))
