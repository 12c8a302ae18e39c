"""The image feature encoder: SegFormer with a linear layer in place of its classes (seeds/001 eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.config import Encoder, NetworkConfig
from backend.alignment.flowface.face_mesh import CHANNELS, FaceMeshTrunk
from backend.alignment.flowface.segformer import Segformer

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class MixTransformer:
    """The sizes of one MiT: channels and blocks of its four stages (SegFormer, table 6)."""

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


_WIDE = (64, 128, 320, 512)
MIX_TRANSFORMERS: dict[Encoder, MixTransformer] = {
    "b0": MixTransformer((32, 64, 160, 256), (2, 2, 2, 2)),
    "b1": MixTransformer(_WIDE, (2, 2, 2, 2)),
    "b2": MixTransformer(_WIDE, (3, 4, 6, 3)),
    "b3": MixTransformer(_WIDE, (3, 4, 18, 3)),
    "b4": MixTransformer(_WIDE, (3, 8, 27, 3)),
    "b5": MixTransformer(_WIDE, (3, 6, 40, 3)),
}


def image_encoder(config: NetworkConfig) -> SegformerEncoder | FaceMeshEncoder:
    """The encoder that ``config`` names."""
    return FaceMeshEncoder(config) if config.encoder == "face_mesh" else SegformerEncoder(config)


class SegformerEncoder(nn.Module):
    """Z_img of eq. 2: RGB images (B,3,D,D) in [0,1] to features (B,features,U,U), U = ``uv_size``."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        mix = MIX_TRANSFORMERS[config.encoder]
        self.segformer = Segformer(mix.channels, mix.depths)
        self.decode_head = DecodeHead(mix.channels, config.decoder, config.features)
        self.pool = config.image_size // 4 // config.uv_size
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B,features,U,U) of RGB images (B,3,D,D) in [0,1]."""
        x = (images - self.mean) / self.std
        stages = []
        for stage in self.segformer.stages:
            x = stage(x)
            stages.append(x)
        return self.decode_head(stages, self.pool)


class FaceMeshEncoder(nn.Module):
    """Z_img by MediaPipe's trunk: RGB images (B,3,D,D) in [0,1] to features (B,features,U,U), U = ``uv_size``."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.trunk = FaceMeshTrunk()
        self.decode_head = NormalisedHead(CHANNELS, config.decoder, config.features)
        self.uv_size = config.uv_size

    def forward(self, images: Tensor) -> Tensor:
        """Features (B,features,U,U) of RGB images (B,3,D,D) in [0,1]."""
        features: Tensor = self.decode_head(self.trunk(images), self.uv_size)
        return features


class NormalisedHead(nn.Module):
    """Joins stages of very different spread (the trunk's features reach 60) at the cells' resolution.

    Finer stages are averaged down to it before any layer, coarser ones enlarged from one to the next: a stage costs
    what its own size asks for.
    """

    def __init__(self, channels: tuple[int, ...], decoder: int, features: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for c in channels])
        projections = [nn.Conv2d(c, decoder, 1, bias=False) for c in channels]
        for part in projections:
            nn.init.normal_(part.weight, std=(2 / sum(channels)) ** 0.5)
        self.projections = nn.ModuleList(projections)
        self.norm = nn.BatchNorm2d(decoder)
        self.around = nn.Conv2d(decoder, decoder, 3, padding=1, groups=decoder)
        self.linear = nn.Conv2d(decoder, features, 1)

    def forward(self, stages: list[Tensor], size: int) -> Tensor:
        """Features (B,features,size,size) of the stages' outputs, finest first."""
        shrunk = [functional.avg_pool2d(s, s.shape[-1] // size) if s.shape[-1] > size else s for s in stages]
        parts = [p(norm(s)) for s, norm, p in zip(shrunk, self.norms, self.projections, strict=True)]
        joined = parts[-1]
        for part in parts[-2::-1]:
            joined = _enlarged(joined, part.shape[-1]) + part
        x = functional.relu(self.norm(_enlarged(joined, size)))
        features: Tensor = self.linear(x + functional.relu(self.around(x)))
        return features


class DecodeHead(nn.Module):
    """SegFormer's all-MLP decoder (its eq. 4) with ``features`` channels in place of classes.

    A 1×1 convolution and a bilinear enlargement may change places, and so may a 1×1 convolution and an average: the
    four stages are therefore joined at their own resolution, and pooled before the last layer. The numbers are those of
    SegFormer's order of steps.
    """

    def __init__(self, channels: tuple[int, ...], decoder: int, features: int) -> None:
        super().__init__()
        self.linear_projections = nn.ModuleList([nn.Conv2d(c, decoder, 1) for c in channels])
        # One convolution over the four stages' concatenation, kept as its four parts.
        self.linear_fuse = nn.ModuleList([_part_of_fuse(decoder, len(channels)) for _ in channels])
        self.batch_norm = nn.BatchNorm2d(decoder)
        self.linear = nn.Conv2d(decoder, features, 1)

    def forward(self, stages: list[Tensor], pool: int) -> Tensor:
        """Features (B,features,H/pool,W/pool) of the four stages' outputs, the first of them (B,c,H,W)."""
        size = stages[0].shape[-2:]
        joined: Tensor | None = None
        for stage, project, fuse in zip(stages, self.linear_projections, self.linear_fuse, strict=True):
            part = fuse(project(stage))
            if part.shape[-2:] != size:
                part = functional.interpolate(part, size=size, mode="bilinear", align_corners=False)
            joined = part if joined is None else joined + part
        x = functional.relu(self.batch_norm(joined))
        if pool > 1:
            x = functional.avg_pool2d(x, pool)
        features: Tensor = self.linear(x)
        return features


def _enlarged(maps: Tensor, side: int) -> Tensor:
    if maps.shape[-1] == side:
        return maps
    return functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)


def _part_of_fuse(decoder: int, parts: int) -> nn.Conv2d:
    part = nn.Conv2d(decoder, decoder, 1, bias=False)
    nn.init.normal_(part.weight, std=(2 / (decoder * parts)) ** 0.5)
    return part
