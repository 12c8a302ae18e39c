"""The trunk of MediaPipe's 256² landmark network as a torch module, and its published weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.landmarks.layers import Layer, layers
from backend.alignment.landmarks.networks import network_bytes

CHANNELS = (16, 32, 64, 128, 128, 128)
"""Of the stages at a half, a quarter … a sixty-fourth of the picture's side, read from the graph.

The network's seventh stage, at 2² cells, is left out: a crop of 192 pixels has no whole cells for it.
"""
BLOCKS = 4
"""Of every stage, the one that shrinks not counted."""


class Block(nn.Module):
    """x + 1×1(depthwise 3×3(PReLU(1×1(x)))), and a PReLU; half as many channels within.

    Where a stage begins, the first convolution is 2×2 at stride 2, and x is its 2×2 maximum with zeros for the new
    channels.
    """

    def __init__(self, before: int, channels: int, *, shrinks: bool = False) -> None:
        super().__init__()
        inner = channels // 2
        self.shrinks, self.new_channels = shrinks, channels - before
        self.reduce = nn.Conv2d(before, inner, 2, stride=2) if shrinks else nn.Conv2d(before, inner, 1)
        self.inner = nn.PReLU(inner)
        self.depthwise = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.expand = nn.Conv2d(inner, channels, 1)
        self.outer = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels,H,W), or (B,channels,H/2,W/2) where it shrinks."""
        change = self.expand(self.depthwise(self.inner(self.reduce(x))))
        if self.shrinks:
            x = functional.max_pool2d(x, 2)
            if self.new_channels:
                x = functional.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        out: Tensor = self.outer(x + change)
        return out


class FaceMeshTrunk(nn.Module):
    """RGB images (B,3,D,D) in [0,1], D a multiple of 64, to its six stages' outputs (B,``CHANNELS``[i],D/2^(i+1),·)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS[0], 3, stride=2)
        self.activation = nn.PReLU(CHANNELS[0])
        stages = []
        for number, channels in enumerate(CHANNELS):
            first = [Block(CHANNELS[number - 1], channels, shrinks=True)] if number else []
            stages.append(nn.Sequential(*first, *(Block(channels, channels) for _ in range(BLOCKS))))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        # LiteRT's “same” padding at stride 2 adds to the right and below only
        x = self.activation(self.stem(functional.pad(images, (0, 1, 0, 1))))
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs

    def freeze(self, stages: int) -> None:
        """Let stem and first ``stages`` stages stay as they are in a training; nothing where it is 0.

        The finest know least of faces. One saves little time: a step of face_cpu takes 2.0 s instead of 2.1.
        """
        for part in [self.stem, self.activation, *self.stages[:stages]][: stages and stages + 2]:
            part.requires_grad_(False)

    @torch.no_grad()
    def take(self, learnt: list[Layer]) -> None:
        """Take the weights of a network that begins with this trunk. Raises ValueError where it does not."""
        own = [part for part in self.modules() if isinstance(part, (nn.Conv2d, nn.PReLU))]
        if len(learnt) < len(own):
            raise ValueError(f"it has {len(learnt)} layers, and the trunk {len(own)}")
        for number, (part, layer) in enumerate(zip(own, learnt, strict=False)):
            if part.weight.shape != layer.weight.shape:
                found, wanted = tuple(layer.weight.shape), tuple(part.weight.shape)
                raise ValueError(f"layer {number} is of shape {found}, and the trunk's of {wanted}")
            part.weight.copy_(torch.from_numpy(layer.weight))
            if isinstance(part, nn.Conv2d) and part.bias is not None and layer.bias is not None:
                part.bias.copy_(torch.from_numpy(layer.bias))

    def take_published(self, content: bytes | None = None) -> None:
        """Take MediaPipe's own weights: of a .tflite file's bytes, or of the networks that come with FlowFace.

        Raises ValueError where the file's network is another one, UserError as ``network_bytes`` does.
        """
        self.take(layers(network_bytes()["face_mesh"] if content is None else content))
