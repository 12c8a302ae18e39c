"""One step of the training, and everything that it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.correlation import CorrelationPyramid
from backend.alignment.flowface.encoder import FaceMeshEncoder
from backend.alignment.flowface.network import FlowFaceNetwork, Prediction
from backend.alignment.flowface.pretrained import take_encoder
from backend.alignment.flowface.weights_file import save_weights
from backend.head_model.model import HeadModel
from backend.training.atlas_points import atlas_points
from backend.training.checkpoints import Average, Checkpoint
from backend.training.config import OptimiserConfig, TrainConfig
from backend.training.data.mixture import Batch
from backend.training.dense_target import DenseTarget
from backend.training.losses import matching_loss, total_loss
from backend.training.schedule import average_decay, learning_rate

EYEBALLS = 4.0
"""The factor by which the eyeballs' points count more than λ says.

Their islands are few cells of the atlas, far from where the eyes are at flow zero, and gaze hangs on them alone.
"""

ROBUST = 4.0  # crop pixels beyond which the distance of the first steps counts linearly


@dataclass(frozen=True, eq=False)
class StepResult:
    """``loss`` of the step and ``distance``, the mean error in crop pixels weighted by λ; tensors without a shape."""

    loss: Tensor
    distance: Tensor  # 0 while only the matching is trained
    norm: Tensor  # the gradient's, before it was clipped


class Trainer:
    """Network, optimiser and averaged weights; the step that is done depends on these, the batch and the seed alone."""

    def __init__(self, config: TrainConfig, open_head: HeadModel, device: torch.device) -> None:
        torch.manual_seed(config.run.seed)
        self.config, self.device = config, device
        self.network = FlowFaceNetwork(config.network).to(device)
        if config.optimiser.pretrained:
            take_encoder(self.network)
        if isinstance(self.network.encoder, FaceMeshEncoder):
            self.network.encoder.trunk.freeze(config.optimiser.frozen_stages)
        self._features, self._follow = self.network.features, self.network.follow
        if config.run.compile:
            self._features, self._follow = torch.compile(self._features), torch.compile(self._follow)
        self.average = Average(self.network)
        self.optimiser = _adamw(self.network, config.optimiser, device)
        self.step = 0
        self._dense = DenseTarget(open_head, config.network.uv_size).to(device)
        self._nu = torch.from_numpy(atlas_points(open_head).nu).to(device)
        self._emphasis = torch.from_numpy(_emphasis(open_head)).to(device)
        self._shadow = FlowFaceNetwork(config.network).to(device)

    def train_on(self, batch: Batch) -> StepResult:
        """Do one step."""
        config = self.config.optimiser
        torch.manual_seed(self.config.run.seed * 1_000_003 + self.step)
        rate = learning_rate(self.step, config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        batch = batch.to(self.device)
        batch = replace(batch, weight=batch.weight * self._emphasis)
        self.network.train()
        positions, dense_weight = self._dense(batch.mu, batch.weight)
        matching = self.step < config.matching_steps
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            atlas, image = self._features(batch.images.float() / 255)
            predictions = [] if matching else self._follow(self.network.pyramid(atlas, image), self._nu)
        loss = torch.zeros((), device=self.device)
        if predictions and self.step < config.matching_steps + config.fixed_sigma_steps:
            loss = robust_loss(predictions, batch, positions, dense_weight, config)
        elif predictions:
            loss = total_loss(predictions, batch.mu, batch.weight, positions, dense_weight, config.decay, config.dense)
        if matching or config.matching:
            _, seen = self._dense(batch.mu, batch.weight * batch.visible)
            loss = loss + (config.matching or 1.0) * self._match(atlas, image, positions, seen)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip or float("inf"))
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
        if config.ema:
            self.average.update(self.network, average_decay(self.step, config))
        self.step += 1
        distance = loss.new_zeros(())
        if predictions:
            error = (predictions[-1].mu.detach() - batch.mu).norm(dim=-1)
            distance = (error * batch.weight).sum() / batch.weight.sum().clamp(min=1e-9)
        return StepResult(loss.detach(), distance, norm.detach())

    def _match(self, atlas: Tensor, image: Tensor, positions: Tensor, seen: Tensor) -> Tensor:
        """``matching_loss`` of ``matching_cells`` cells of the atlas.

        Correlated by themselves: all cells' share of the gradient is a volume of hundreds of megabytes, written twice.
        """
        config, side = self.config.network, self.config.network.uv_size
        wanted = self.config.optimiser.matching_cells or side * side
        chosen = torch.randperm(side * side, device=self.device)[:wanted]
        few = atlas.flatten(2)[:, :, None, chosen]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.optimiser.precision == "bf16"):
            correlations = CorrelationPyramid.of(few, image, 1, config.radius).levels[0]
        target = positions.flatten(2)[:, :, chosen] / (config.image_size / side)
        return matching_loss(correlations, target, seen.flatten(1)[:, chosen], side)

    def best(self) -> FlowFaceNetwork:
        """The network to measure and to give away: the averaged one where the weights are averaged."""
        if not self.config.optimiser.ema:
            return self.network
        self._shadow.load_state_dict(self.average.state)
        return self._shadow

    def checkpoint(self) -> Checkpoint:
        """All that ``restore`` needs."""
        state = self.network.state_dict()
        return Checkpoint(self.step, state, self.average.state, self.optimiser.state_dict(), self.config.as_dict())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of a run with the same network."""
        self.network.load_state_dict(checkpoint.network)
        self.average.state = {name: value.to(self.device) for name, value in checkpoint.average.items()}
        self.optimiser.load_state_dict(checkpoint.optimiser)
        self.step = checkpoint.step

    def start_from(self, network: FlowFaceNetwork) -> None:
        """Take another network's weights before the first step; its crop and its atlas may be of another size.

        Raises ValueError where anything else differs that shapes the weights.
        """
        self.network.load_state_dict(resized(network, self.config.network))
        self.average = Average(self.network)

    def begin_with_encoder(self, path: Path) -> None:
        """Take the encoder's weights from a local file before the first step. Raises UserError as ``take_encoder``."""
        take_encoder(self.network, path)
        self.average = Average(self.network)

    def export(self, path: Path, about: dict[str, str]) -> None:
        """Write the best network's weights."""
        save_weights(path, self.best(), about)


def resized(network: FlowFaceNetwork, config: NetworkConfig) -> dict[str, Tensor]:
    """The weights of ``network`` for a crop and an atlas of ``config``'s size: its textures resampled, the rest as is.

    So a network learns most of what it knows on small pictures, which cost a fraction. Raises ValueError where the two
    differ in more than ``image_size``, ``uv_size`` and ``iterations``.
    """
    sizes = {name: getattr(config, name) for name in ("image_size", "uv_size", "iterations")}
    if replace(network.config, **sizes) != config:
        raise ValueError("the networks differ in more than the sizes of crop and atlas")
    state = dict(network.state_dict())
    for name, texture in state.items():
        if ".textures." in name:
            side = texture.shape[-1] * config.uv_size // network.config.uv_size
            state[name] = functional.interpolate(texture, size=(side, side), mode="bilinear", align_corners=False)
    return state


def robust_loss(
    predictions: Sequence[Prediction], batch: Batch, positions: Tensor, dense_weight: Tensor, config: OptimiserConfig
) -> Tensor:
    """Eq. 7 with Huber's distance instead of the likelihood: where to go before anything is known of σ."""
    losses = []
    for prediction in predictions:
        vertex = _huber((prediction.mu - batch.mu).square().sum(dim=-1), batch.weight)
        dense = _huber((prediction.positions - positions).square().sum(dim=1), dense_weight)
        losses.append(vertex + config.dense * dense)
    last = len(losses) - 1
    return torch.stack([config.decay ** (last - k) * loss for k, loss in enumerate(losses)]).sum()


def _emphasis(open_head: HeadModel) -> NDArray[np.float32]:
    """(P,) ``EYEBALLS`` for points on an eyeball, else 1."""
    ball = open_head.regions["left_eyeball"] | open_head.regions["right_eyeball"]
    corners = open_head.triangles[open_head.landmarks["mediapipe478"].triangle]
    return np.where(np.concatenate([ball, ball[corners].all(axis=1)]), EYEBALLS, 1).astype(np.float32)


def _huber(squared: Tensor, weight: Tensor) -> Tensor:
    distance = ROBUST * ((1 + squared / ROBUST**2).sqrt() - 1)
    return (distance * weight).sum() / weight.sum().clamp(min=1e-9)


def _adamw(network: FlowFaceNetwork, config: OptimiserConfig, device: torch.device) -> torch.optim.AdamW:
    """Weights of layers decay, biases and norms do not; the encoder has a rate of its own."""

    def groups() -> Iterator[dict[str, Any]]:
        for encoder in (True, False):
            for decays in (True, False):
                chosen = [
                    value
                    for name, value in network.named_parameters()
                    if name.startswith("encoder.") == encoder and (value.ndim > 1) == decays
                ]
                share = config.encoder_rate if encoder else 1.0
                yield {"params": chosen, "weight_decay": config.weight_decay * decays, "share": share}

    return torch.optim.AdamW(list(groups()), lr=config.learning_rate, fused=device.type in ("cpu", "cuda"))
