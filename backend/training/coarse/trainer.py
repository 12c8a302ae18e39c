"""One step of the coarse regressor's training, and everything that it changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.head_model.model import HeadModel
from backend.training.coarse.config import CoarseConfig
from backend.training.coarse.losses import (
    landmark_loss,
    pairs_loss,
    photometric_loss,
    regularisation_loss,
    rotation_loss,
    silhouette_loss,
    swapped,
    truth_loss,
)
from backend.training.coarse.network import CoarseNetwork
from backend.training.coarse.surface import CoarseSurface, Coefficients, in_crop, silhouette, special_pairs
from backend.training.coarse.views import Views
from backend.training.config import OptimiserConfig
from backend.training.schedule import learning_rate

DECIMETRE = 10.0  # head-space losses in decimetres are about as large as those in half sides of a crop
FACES = -0.2
"""Cosine of a normal and the line of sight below which skin faces the camera: what eq. 3 may look at."""
LIT_STRIDE = 4  # of the skin's vertices, one that eq. 3 looks at: as many as its picture has pixels of skin


@dataclass(frozen=True, eq=False)
class StepLosses:
    """The losses of a step by name, without their weights, and their weighted ``total``."""

    parts: dict[str, Tensor]
    total: Tensor


class CoarseTrainer:
    """Network and optimiser; the step that is done depends on these, the views and the seed alone."""

    def __init__(
        self, config: CoarseConfig, head: HeadModel, surface: CoarseSurface, albedo: NDArray[np.float32]
    ) -> None:
        torch.manual_seed(config.run.seed)
        self.config, self.surface = config, surface
        self.network = CoarseNetwork(config.network, len(head.expression_basis))
        own = config.optimiser
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=own.learning_rate, weight_decay=own.weight_decay
        )
        self.step = 0
        self._albedo = torch.from_numpy(albedo)
        self._lit = torch.from_numpy(np.flatnonzero(surface.face.numpy())[::LIT_STRIDE])
        self._pairs = torch.from_numpy(special_pairs())
        self._schedule = OptimiserConfig(steps=own.steps, learning_rate=own.learning_rate, schedule="cosine")

    def train_on(self, views: Views) -> StepLosses:
        """Do one step on the views that ``drawn`` chooses for it."""
        config = self.config
        torch.manual_seed(config.run.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self._schedule)
        batch = views.at(self.drawn(len(views)))
        self.network.train()
        losses = self.losses(self.network(batch.features), batch, pretraining=self.pretraining)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return StepLosses({name: loss.detach() for name, loss in losses.parts.items()}, losses.total.detach())

    @property
    def pretraining(self) -> bool:
        """True while eq. 10 counts: before the head lies on the face, the other losses are in vain."""
        return self.step < self.config.optimiser.pretraining_steps

    def drawn(self, count: int) -> Tensor:
        """(batch,) which of ``count`` views the present step learns from: pairs of one person, side by side."""
        rng = np.random.default_rng([self.config.run.seed, self.step])
        pairs = rng.integers(count // 2, size=self.config.optimiser.batch // 2)
        return torch.from_numpy(np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel())

    def losses(self, told: Coefficients, views: Views, *, pretraining: bool) -> StepLosses:
        """Eq. 16 as far as it has a place here, in the ``pretraining`` eq. 10, and the truth where it is known."""
        parts = self._compared(told, views, pretraining=pretraining)
        parts["regularisation"] = regularisation_loss(told.identity, told.expression)
        weights = vars(self.config.weights)
        total = sum((weights[name] * loss for name, loss in parts.items()), torch.zeros(()))
        if not pretraining:
            other = self._compared(told.with_identity(swapped(told.identity)), views, pretraining=False)
            parts["consistency"] = sum((weights[name] * loss for name, loss in other.items()), torch.zeros(()))
            total = total + weights["consistency"] * parts["consistency"]
        return StepLosses(parts, total)

    def _compared(self, told: Coefficients, views: Views, *, pretraining: bool) -> dict[str, Tensor]:
        """L_coarse without the regularisation."""
        surface = self.surface
        shape = surface.posed(told)
        placed = in_crop(shape, told)
        marks = surface.landmarks(placed)[..., :2]
        parts = {
            "landmarks": landmark_loss(marks, views.marks, views.weight),
            "pairs": pairs_loss(marks, views.marks, views.weight, self._pairs),
            "truth": self._truth(told, shape, views),
        }
        if not pretraining:
            normals = surface.normals(placed)
            edge = silhouette(normals.detach()) & surface.face
            parts["silhouette"] = silhouette_loss(placed[..., :2], edge, views.outline, views.outlined)
            lit = self._lit
            seen = views.seen[:, lit] & (normals[:, lit, 2] < FACES).detach()
            picture = views.picture.float() / 255
            parts["photometric"] = photometric_loss(
                picture, placed[:, lit, :2], normals[:, lit], seen, self._albedo[lit]
            )
        return parts

    def _truth(self, told: Coefficients, shape: Tensor, views: Views) -> Tensor:
        with torch.no_grad():
            true = Coefficients(views.identity, views.expression, views.gaze, told.rotation, told.scale, told.shift)
            target = self.surface.posed(true)
        known = views.told.to(shape.dtype)
        place = truth_loss(shape, target, (views.sure & self.surface.face) * known[:, None])
        turn = rotation_loss(told.rotation, views.rotation, known)
        gaze = ((told.gaze - views.gaze).abs().sum((1, 2)) * known).sum() / known.sum().clamp_min(1)
        return DECIMETRE * place + turn + 0.1 * gaze
