"""The network behind the trunk: features of a crop to coefficients."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.face_mesh import CHANNELS, FaceMeshTrunk
from backend.training.coarse.config import CoarseNetworkConfig
from backend.training.coarse.surface import Coefficients

CROP = 256
"""Pixels; what MediaPipe's network looks at."""
CELLS = CROP // 64
FEATURES = CHANNELS[-1] * CELLS * CELLS
"""Of a crop: the trunk's last stage, cell by cell. MediaPipe's network tells all its points from it."""

USUAL_SCALE = 9.0
"""Half sides of the crop in a metre of head: a frontal crop is 1.25 times the open head's face, 0.18 m high."""
_USUAL_STRENGTH = 0.06
_MOST_GAZE = 0.8  # radians


class CoarseNetwork(nn.Module):
    """Features (B,``FEATURES``) to ``Coefficients``: two hidden layers, and the mean head before it has learnt."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: CoarseNetworkConfig, expressions: int) -> None:
        super().__init__()
        self.sizes = (config.identity, expressions, 4, 6, 1, 2)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("spread", torch.ones(FEATURES))
        self.body = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(FEATURES, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
        )
        self.head = nn.Linear(config.hidden, sum(self.sizes))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def standardise(self, features: Tensor) -> None:
        """Let features (n,F) have mean 0 and spread 1 in what the layers see."""
        self.mean.copy_(features.mean(0))
        self.spread.copy_(features.std(0).clamp_min(1e-3))

    def forward(self, features: Tensor) -> Coefficients:
        x = self.head(self.body((features - self.mean) / self.spread))
        identity, expression, gaze, turn, scale, shift = x.split(self.sizes, dim=1)
        return Coefficients(
            identity=3 * torch.tanh(identity / 3),
            expression=torch.sigmoid(expression + math.log(_USUAL_STRENGTH / (1 - _USUAL_STRENGTH))),
            gaze=_MOST_GAZE * torch.tanh(gaze / _MOST_GAZE).view(-1, 2, 2),
            rotation=facing(turn),
            scale=USUAL_SCALE * scale[:, 0].exp(),
            shift=shift,
        )


def facing(turn: Tensor) -> Tensor:
    """Rotations (B,3,3) from six numbers (B,6), two columns made orthonormal (Zhou et al. 2019); zeros face the camera.

    A head that faces the camera has its y and z against the camera's.
    """
    first, second = turn.view(-1, 2, 3).unbind(1)
    first = functional.normalize(first + first.new_tensor([1.0, 0, 0]), dim=-1)
    second = second + second.new_tensor([0, -1.0, 0])
    second = functional.normalize(second - (second * first).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


class FrozenTrunk:
    """MediaPipe's trunk with its own weights."""

    def __init__(self) -> None:
        self._trunk = FaceMeshTrunk().eval()
        self._trunk.take_published()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features (B,``FEATURES``) of RGB crops (B,3,``CROP``,``CROP``) of uint8."""
        return self._trunk(images.float() / 255)[-1].flatten(1)
