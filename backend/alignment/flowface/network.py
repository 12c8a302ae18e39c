"""The dense alignment network: from a face crop to the place of every point of the atlas (seeds/001 §3.1.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.correlation import CorrelationPyramid
from backend.alignment.flowface.encoder import image_encoder
from backend.alignment.flowface.sampling import sample
from backend.alignment.flowface.slim_update import SlimUpdate
from backend.alignment.flowface.update import Update
from backend.alignment.flowface.uv_embedding import UVEmbeddings

MIN_SIGMA = 0.05
"""Crop pixels: the least uncertainty that the network can state. The most is the crop's side."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of one iteration, in crop pixels: (0,0) the crop's top-left corner, ``image_size`` its far side."""

    mu: Tensor  # (B,P,2)
    sigma: Tensor  # (B,P)
    positions: Tensor  # (B,2,U,U): F as the absolute position, x then y, of each cell's centre
    spread: Tensor  # (B,1,U,U): S


@dataclass(frozen=True, eq=False)
class Atlas:
    """What the network knows before it sees a picture: the same for every one, so that inference computes it once."""

    features: Tensor  # (1,features,U,U): Z_uv
    of_context: tuple[Tensor, ...]  # the context's shares of the update's gates, (1,·,U,U)
    hidden: Tensor  # (1,hidden,U,U): h_0


class FlowFaceNetwork(nn.Module):
    """The whole network. Runs under ``torch.autocast``; positions, uncertainties and their gradients stay float32."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = image_encoder(config)
        self.uv = UVEmbeddings(config)
        self.update = Update(config) if config.update == "full" else SlimUpdate(config)

    def forward(self, images: Tensor, nu: Tensor) -> list[Prediction]:
        """Predictions of every iteration, the last one the answer.

        ``images`` (B,3,D,D) RGB in [0,1], D = ``image_size``; ``nu`` (P,2), or (B,P,2), in [0,1] right and down.
        """
        return self.follow(self.correlate(images), nu)

    def atlas(self) -> Atlas:
        """The part of the forward pass that needs no picture."""
        context, hidden = self.uv.state()
        return Atlas(self.uv.features(), self.update.gru.of_context(context), hidden)

    def correlate(self, images: Tensor) -> CorrelationPyramid:
        """Correlations of the atlas with ``images``, from which ``follow`` reads the predictions."""
        return self.pyramid(*self.features(images))

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Z_uv (1,features,U,U) and, of each image, Z_img (B,features,U,U)."""
        self._check(images)
        return self.uv.features(), self.encoder(images)

    def pyramid(self, atlas: Tensor, image: Tensor) -> CorrelationPyramid:
        """``correlate`` once the features are there."""
        return CorrelationPyramid.of(atlas, image, self.config.levels, self.config.radius)

    def _check(self, images: Tensor) -> None:
        config = self.config
        side = config.image_size
        if images.ndim != 4 or images.shape[1:] != (3, side, side):
            raise ValueError(f"images have shape {tuple(images.shape)}, expected (B, 3, {side}, {side})")

    def follow(self, pyramid: CorrelationPyramid, nu: Tensor) -> list[Prediction]:
        """``forward`` once the images' correlations are there."""
        context, hidden = self.uv.state()
        of_context = self.update.gru.of_context(context)
        return [
            _prediction(flow, log_sigma, nu, self.config)
            for flow, log_sigma in self._iterations(pyramid, of_context, hidden)
        ]

    def maps(self, images: Tensor, atlas: Atlas) -> tuple[Tensor, Tensor]:
        """The last iteration's flow (B,2,U,U) and log σ (B,1,U,U), in cells, of ``forward``'s images.

        ``prediction`` reads points from them.
        """
        self._check(images)
        pyramid = self.pyramid(atlas.features, self.encoder(images))
        return self._iterations(pyramid, atlas.of_context, atlas.hidden)[-1]

    def prediction(self, flow: Tensor, log_sigma: Tensor, nu: Tensor) -> Prediction:
        """What ``maps`` says of the points ``nu`` (P,2)."""
        return _prediction(flow, log_sigma, nu, self.config)

    def _iterations(
        self, pyramid: CorrelationPyramid, of_context: tuple[Tensor, ...], hidden: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        config, finest = self.config, pyramid.levels[0]
        hidden = hidden.expand(len(finest), -1, -1, -1)
        flow = finest.new_zeros(len(finest), 2, config.uv_size, config.uv_size, dtype=torch.float32)
        log_sigma = torch.zeros_like(flow[:, :1])
        cells = _cell_indices(config.uv_size, flow)
        found = []
        for _ in range(config.iterations):
            flow = flow.detach()
            correlations, pyramid = pyramid.look_up(cells + flow)
            step, raw, hidden = self.update(correlations, of_context, flow, log_sigma, hidden)
            flow = flow + step
            log_sigma = _bounded(raw, config)
            found.append((flow, log_sigma))
        return found


def _cell_indices(uv_size: int, like: Tensor) -> Tensor:
    """Column and row (2,U,U) of each cell."""
    index = torch.arange(uv_size, device=like.device, dtype=like.dtype)
    y, x = torch.meshgrid(index, index, indexing="ij")
    return torch.stack([x, y])


def _bounded(raw: Tensor, config: NetworkConfig) -> Tensor:
    """log σ in cells, held smoothly between ``MIN_SIGMA`` and the crop's side: a hard bound would stop the gradient."""
    cell = math.log(config.image_size / config.uv_size)
    low, high = math.log(MIN_SIGMA) - cell, math.log(config.image_size) - cell
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * torch.tanh((raw - middle) / half)


def _prediction(flow: Tensor, log_sigma: Tensor, nu: Tensor, config: NetworkConfig) -> Prediction:
    cell = config.image_size / config.uv_size
    spread = log_sigma.exp() * cell
    # ν itself is added after sampling (eq. 1), so that the atlas's rim is not drawn in to the outermost centres.
    sampled = sample(torch.cat([flow * cell, spread], dim=1), nu)
    return Prediction(
        mu=nu * config.image_size + sampled[:, :2].transpose(-1, -2),
        sigma=sampled[:, 2],
        positions=(_cell_indices(config.uv_size, flow) + 0.5 + flow) * cell,
        spread=spread,
    )
