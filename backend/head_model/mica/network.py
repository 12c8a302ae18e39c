"""MICA's network: ArcFace's encoder and the mapping to FLAME's identity (Zielonka et al. 2022, §4).

The encoder is the improved residual network with 100 layers of InsightFace's ``arcface_torch`` (Duta et al. 2021,
"Improved residual networks"; Deng et al. 2019, "ArcFace"): stages of 3, 13, 30 and 3 blocks. Modules bear the names
that the published checkpoint's tensors have.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

CROP = 112
"""Side of the encoder's pictures, in pixels."""
FEATURES, HIDDEN, SHAPES = 512, 300, 300
"""Numbers of an identity code, in the mapping's layers, of FLAME's identity coefficients."""
BLOCKS = (3, 13, 30, 3)
WIDTHS = (64, 128, 256, 512)
MAPPING_LAYERS = 4
LEAK = 0.2


class Block(nn.Module):
    """Normalise, convolve, normalise, PReLU, convolve (halving the picture where ``stride`` is 2), normalise; added to
    what came in, which a 1×1 convolution fits to it where the size changes."""

    def __init__(self, came: int, goes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(came)
        self.conv1 = nn.Conv2d(came, goes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(goes)
        self.prelu = nn.PReLU(goes)
        self.conv2 = nn.Conv2d(goes, goes, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(goes)
        self.downsample: nn.Module | None = None
        if stride != 1 or came != goes:
            self.downsample = nn.Sequential(nn.Conv2d(came, goes, 1, stride, bias=False), nn.BatchNorm2d(goes))

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + (x if self.downsample is None else self.downsample(x))


class Encoder(nn.Module):
    """Identity codes (n,512) of face crops (n,3,112,112), RGB in −1…1."""

    def __init__(self, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        came = WIDTHS[0]
        for stage, (count, width) in enumerate(zip(blocks, WIDTHS, strict=True), start=1):
            rest = [Block(width, width, 1) for _ in range(count - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(Block(came, width, 2), *rest))
            came = width
        self.bn2 = nn.BatchNorm2d(came)
        self.fc = nn.Linear(came * (CROP // 16) ** 2, FEATURES)
        self.features = nn.BatchNorm1d(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


class Mapping(nn.Module):
    """FLAME's identity coefficients (n,300) of identity codes (n,512): four leaky layers and a linear one."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (FEATURES, *(HIDDEN,) * MAPPING_LAYERS)
        self.network = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.output = nn.Linear(HIDDEN, SHAPES)

    def forward(self, code: Tensor) -> Tensor:
        for layer in self.network:
            code = nn.functional.leaky_relu(layer(code), LEAK)
        return self.output(code)


class MicaNetwork(nn.Module):
    """Identity coefficients (n,300) of face crops (n,3,112,112), RGB in −1…1; codes are brought to length 1 between."""

    def __init__(self) -> None:
        super().__init__()
        self.arcface = Encoder()
        self.regressor = Mapping()

    @torch.no_grad()
    def forward(self, crops: Tensor) -> Tensor:
        return self.regressor(nn.functional.normalize(self.arcface(crops)))
