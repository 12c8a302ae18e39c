"""The regressor trained on a take by the paper's own losses (seeds/003 eqs. 1–4), from its closed form on.

On lp_d10's last fifth the driver's error stays where it was (1.080 to 1.079 times the fit's), and its stability goes
from 1.774 to 1.741 (eq. 10).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.appearance.descend import descend
from backend.appearance.driver import DriverModel
from backend.appearance.examples import Examples
from backend.appearance.sight import Cameras, Sight

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class TuneOptions:
    """λ of eq. 1, of pixels of the crop and codes of unit variance; ``pairs`` of looks in a step."""

    steps: int = 100
    pairs: int = 32
    rate: float = 3e-5
    codes: float = 1.0
    landmarks: float = 1.0
    views: float = 1.0
    seed: int = 0


def code_loss(told: Tensor, wanted: Tensor) -> Tensor:
    """Eq. 2, a scalar: the mean over looks and codes of (z − z_gt)², both (B,Z)."""
    return (told - wanted).square().mean()


def landmark_loss(told: Tensor, wanted: Tensor) -> Tensor:
    """Eq. 3, a scalar: the mean over looks and K landmarks of ‖Π_H K_k(G) − K_k‖², both (B,K,2) pixels of the crop,
    under a full perspective camera where the paper's is weak."""
    return (told - wanted).square().sum(dim=-1).mean()


def view_loss(one: Tensor, other: Tensor) -> Tensor:
    """Eq. 4, a scalar: the mean of (z_v − z_w)² of two looks (B,Z) at one moment: of two views where there are several,
    else of two crops of one picture."""
    return (one - other).square().mean()


class Tuner:
    """Steps of eq. 1 on looks at a take, of which ``codes (N,Z)`` are wanted."""

    def __init__(
        self, model: DriverModel, examples: Examples, codes: F64, focal: F64, centre: F64, options: TuneOptions
    ) -> None:
        """``focal (N,)`` and ``centre (N,2)`` are of each look's camera, an ideal one."""
        self.model, self.options, self.step = model, options, 0
        self.sight = Sight(model, np.zeros(0, np.intp))
        self._features, self._own = torch.tensor(examples.features), torch.tensor(examples.own)
        self._wanted, self._codes = torch.tensor(examples.wanted), torch.tensor(codes, dtype=torch.float32)
        self._cameras = Cameras.of(examples.crop, focal, centre)
        self._moments = _moments(examples)
        self._optimiser = torch.optim.Adam(self.sight.parameters(), lr=options.rate)

    def train(self) -> dict[str, float]:
        """Do one step; returns its losses by name."""
        options = self.options
        rng = np.random.default_rng([options.seed, self.step])
        index = torch.tensor(self._drawn(rng))
        told = self.sight(self._features[index], self._own[index], self._cameras.at(index))
        half = len(index) // 2
        losses = {
            "codes": code_loss(told.codes, self._codes[index]),
            "landmarks": landmark_loss(self.sight.landmarks(told, self._cameras.at(index)), self._wanted[index]),
            "views": view_loss(told.codes[:half], told.codes[half:]),
        }
        loss = options.codes * losses["codes"] + options.landmarks * losses["landmarks"]
        loss = loss + options.views * losses["views"]
        descend(self._optimiser, self.sight, loss, options.rate, self.step / options.steps)
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def tuned(self) -> DriverModel:
        return replace(self.model, regressor=self.sight.regressor())

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs."""
        learnt = {name: value.detach().clone() for name, value in self.sight.named_parameters()}
        return {"step": self.step, "learnt": learnt, "optimiser": self._optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        with torch.no_grad():
            for name, value in self.sight.named_parameters():
                value.copy_(state["learnt"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _drawn(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """(2·pairs,) looks: behind each of the first half, at the same place of the second, another at its moment."""
        chosen = rng.integers(0, len(self._moments), self.options.pairs)
        pairs = np.array([rng.choice(self._moments[number], 2, replace=False) for number in chosen])
        return np.concatenate([pairs[:, 0], pairs[:, 1]])


def _moments(examples: Examples) -> list[NDArray[np.intp]]:
    """The looks of each moment that has two or more."""
    order = np.argsort(examples.frame, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(examples.frame[order])) + 1)
    return [part for part in parts if len(part) > 1]
