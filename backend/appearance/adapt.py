"""A driver adapted to new light from footage that nobody has labelled (seeds/003 §3.2, eqs. 5–9).

Two consecutive frames are looked at; through expression and pose the skin's texels are found in both pictures. They
must have the same colours in both (eq. 6), those of the appearance model once C has moved these into the new light
(eq. 8), and the head must lie under the landmarks (eq. 9). The linear maps learn; the network behind them stands still.

Learnt from lp_d10's first half, adapted to its third quarter and judged on its last, both relit: error over the fit's,
and stability. Dim and noisy: none 1.142, 1.731; landmarks alone 1.160, 1.811; consecutive textures 1.156, 1.778; all
1.149, 1.743. Dim from the side: none 1.112, 1.589; landmarks 1.110, 1.635; consecutive 1.145, 1.576; all 1.110, 1.637.
In the take's own light the driver has 1.117, 1.674: it has nothing to win back, having learnt from pictures in changed
light and being led by points where one is strange. Before it was led so, all three had won a little of what it lost
then (1.209 to 1.203, and 1.210 to 1.198).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.adaptation.losses import (
    Weights,
    consecutive_loss,
    corrected,
    fit_colours,
    landmark_loss,
    model_loss,
)
from backend.adaptation.skin import as_pictures, observed_texture
from backend.appearance.descend import descend
from backend.appearance.driver import DriverModel
from backend.appearance.new_light import Looks
from backend.appearance.sight import Cameras, Sight, Told

F64 = NDArray[np.float64]

CONFIDENT = 0.25
"""Threshold of W_t ⊙ W_{t−1}: half the cosine in both, 60°."""
MOST_TEXELS = 1500
REFRESH = 20
"""Steps after which C is fitted anew."""
ROWS = {
    "all": Weights(),
    "landmarks": Weights(0.0, 0.0, 1.0),
    "consecutive": Weights(100.0, 0.0, 0.0),
    "model": Weights(0.0, 100.0, 0.0),
}
"""The rows of the paper's table 1 by name; "none" is the driver as it was."""


@dataclass(frozen=True)
class AdaptOptions:
    """``weights`` are λ of eq. 5, ``hold`` keeps codes from wandering: of their squared change. ``pairs`` of
    consecutive frames in a step."""

    steps: int = 120
    pairs: int = 12
    rate: float = 3e-5
    weights: Weights = field(default_factory=Weights)
    hold: float = 1.0
    seed: int = 0


class LightAdapter:
    """Steps of eq. 5 on looks at unlabelled footage. Colours are in units of the skin's own deviation."""

    def __init__(self, model: DriverModel, looks: Looks, focal_px: float, options: AdaptOptions) -> None:
        """``focal_px`` is the camera's, its principal point the middle."""
        self.model, self.options, self.step = model, options, 0
        count = len(model.appearance.rows)
        texels = np.unique(np.linspace(0, count - 1, min(count, MOST_TEXELS)).astype(np.intp))
        self.sight = Sight(model, texels)
        self._looks = looks
        self._features, self._own = torch.tensor(looks.features), torch.tensor(looks.own)
        width, height = (int(n) for n in looks.size)
        centre = np.tile((width / 2, height / 2), (len(looks), 1))
        self._cameras = Cameras.of(looks.crop, np.full(len(looks), focal_px), centre)
        # the person's points lie beside the network's by what the take has told
        self._target = torch.tensor(looks.detected) + self.sight.points_at.detach().view(1, -1, 2)
        self._pairs = np.flatnonzero(np.diff(looks.number) == 1)
        self._optimiser = torch.optim.Adam(self.sight.parameters(), lr=options.rate)
        with torch.no_grad():
            self._held, self._middle, self._spread = self._first_look()
        self._colours = self._fitted()

    def train(self) -> dict[str, float]:
        """Do one step; returns its losses by name."""
        options = self.options
        rng = np.random.default_rng([options.seed, self.step])
        first = rng.choice(self._pairs, min(options.pairs, len(self._pairs)), replace=False)
        index = np.concatenate([first, first + 1])
        told = self._told(index)
        texture, confidence = self._observed(index, told)
        both = confidence[: len(first)] * confidence[len(first) :]
        both = torch.where(both < CONFIDENT, 0.0, both)
        shown = torch.where(confidence < CONFIDENT, 0.0, confidence)
        model = corrected(self._units(self.sight.texture(told.codes)), self._colours)
        places = self.sight.landmarks(told, self._cameras.at(torch.tensor(index)))
        losses = {
            "consecutive": consecutive_loss(texture[: len(first)], texture[len(first) :], both),
            "model": model_loss(texture, model, shown),
            "landmarks": landmark_loss(places, self._target[index], torch.ones(places.shape[:2])),
        }
        weights = options.weights
        loss = weights.consecutive * losses["consecutive"] + weights.model * losses["model"]
        loss = loss + weights.landmarks * losses["landmarks"]
        loss = loss + options.hold * (told.codes - self._held[index]).square().mean()
        descend(self._optimiser, self.sight, loss, options.rate, self.step / options.steps)
        self.step += 1
        if self.step % REFRESH == 0:
            self._colours = self._fitted()
        return {name: float(value.detach()) for name, value in losses.items()}

    def adapted(self) -> DriverModel:
        return replace(self.model, regressor=self.sight.regressor())

    def colours(self) -> Tensor:
        """C of eq. 8, (4,3), in units of the skin's deviation."""
        return self._colours

    @property
    def units(self) -> tuple[NDArray[np.float32], float]:
        """The colour (3,) that is 0 and the difference of colours that is 1, both of 0…1."""
        return np.asarray(self._middle.numpy()), float(self._spread)

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs."""
        learnt = {name: value.detach().clone() for name, value in self.sight.named_parameters()}
        return {
            "step": self.step,
            "learnt": learnt,
            "optimiser": self._optimiser.state_dict(),
            "colours": self._colours,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        with torch.no_grad():
            for name, value in self.sight.named_parameters():
                value.copy_(state["learnt"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self._colours = state["step"], state["colours"]

    def _told(self, index: NDArray[np.intp]) -> Told:
        told: Told = self.sight(self._features[index], self._own[index], self._cameras.at(torch.tensor(index)))
        return told

    def _observed(self, index: NDArray[np.intp], told: Told) -> tuple[Tensor, Tensor]:
        """T̃ (B,n,3) of eq. 7 in units, and W (B,n)."""
        places, confidence = self.sight.texels(told, self._cameras.at(torch.tensor(index)))
        pictures = as_pictures(self._looks.pictures[index], self._looks.pictures.shape[1])
        return self._units(observed_texture(pictures, places)), confidence

    def _units(self, colours: Tensor) -> Tensor:
        return (colours - self._middle) / self._spread

    def _first_look(self) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (T,Z) as they are told at first; the skin's mean colour (3,) and its deviation."""
        self._middle, self._spread = torch.zeros(3), torch.ones(())
        everything = np.arange(len(self._looks))
        told = self._told(everything)
        some = everything[:: max(1, len(everything) // 32)]
        texture, confidence = self._observed(some, self._told(some))
        skin = texture[confidence > CONFIDENT]
        if not len(skin):
            return told.codes, torch.full((3,), 0.5), torch.tensor(0.2)
        middle = skin.mean(dim=0)
        return told.codes, middle, (skin - middle).square().mean().sqrt().clamp(min=0.02)

    @torch.no_grad()
    def _fitted(self) -> Tensor:
        """C of eq. 8, fitted to some of the frames."""
        index = np.arange(len(self._looks))[:: max(1, len(self._looks) // 32)]
        told = self._told(index)
        texture, confidence = self._observed(index, told)
        model = self._units(self.sight.texture(told.codes))
        shown = torch.where(confidence < CONFIDENT, 0.0, confidence)
        # one system over all frames' texels, each of which has its own model
        return fit_colours(model.flatten(0, 1), texture.flatten(0, 1)[None], shown.flatten()[None])
