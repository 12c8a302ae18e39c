"""The fine-tuning itself: what of the network is changed, step by step, by the consistencies of its own frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.adaptation.frames import FACIAL, Frames, OnProgress, ShouldCancel
from backend.adaptation.losses import (
    Weights,
    consecutive_loss,
    corrected,
    fit_colours,
    landmark_loss,
    model_loss,
)
from backend.adaptation.skin import CONFIDENT, Skin, as_pictures, observed_texture
from backend.alignment.flowface.correlation import CorrelationPyramid
from backend.alignment.flowface.network import FlowFaceNetwork, Prediction
from backend.errors import Cancelled
from backend.head_model.model import HeadModel
from backend.training.atlas_points import atlas_points

CROP = 256.0
"""Pixels of the paper's crop, in which eq. 9 counts."""
ADAPTED = ("uv.", "update.flow_head.", "update.uncertainty_head.", "update.first.", "update.second.")
"""The parts of the network that learn: the UV embeddings with their textures, and both heads, which are
the last layers, one for both in the slim update. The encoder, which knows
faces, and the recurrent update between them stay as they are; so an image's features are computed once."""
AT_ONCE = 16
REFRESH = 10
"""Steps between two means of the textures."""


@dataclass(frozen=True)
class AdaptOptions:
    """``steps`` of ``runs`` × ``length`` consecutive frames each; ``resolution`` is the crops' in which skin is
    compared, pixels along a side. ``centred`` takes each landmark's median difference between MediaPipe and the network
    out of eq. 9: the two mean points that lie some per cent of the inter-ocular distance apart on every frame (4.2 on
    lp_d10), and where the term pulls one onto the other, the skin between is bent; so it anchors how landmarks move.
    ``hold_sigma`` weighs the square by which log σ leaves what it was: no consistency says anything of σ, and the
    uncertainty head would drift with what the flow's recurrence makes of it.
    """

    steps: int = 150
    runs: int = 4
    length: int = 3
    rate: float = 2e-4
    resolution: int = 192
    weights: Weights = field(default_factory=Weights)
    centred: bool = True
    hold_sigma: float = 0.1
    seed: int = 1


@dataclass(frozen=True, eq=False)
class _Known:
    """What the network said of every frame before it was adapted, and what follows from it for all the steps.

    ``confidence (T,n)`` is W of eq. 6; ``log_spread (T,1,U,U)``; ``middle (C,3)`` and ``spread (C,1)`` are the unit of
    colour of each clip: its skin's mean and deviation.
    """

    confidence: Tensor
    log_spread: Tensor
    middle: Tensor
    spread: Tensor


class Adapter:
    """A network, its optimiser and the take's textures; each step depends on these and the seed alone.

    What stands for what: the paper's encoder tells a mesh and a pose, from which texels are projected into the picture
    (eq. 7); this network tells at once where each point ν of the atlas lies in it, so T̃(ν) = I(μ(ν)). Its model's
    texture T, which the paper decodes, is the robust mean (median) of the textures observed in the frames that may be
    learnt from, made anew every ``REFRESH`` steps. C is fitted to each clip (``fit_colours``). Colours are in units of
    the skin's own deviation, as the textures that deep appearance models are trained on; positions and σ of the crop.
    """

    def __init__(self, network: FlowFaceNetwork, frames: Frames, options: AdaptOptions, head: HeadModel) -> None:
        """``network`` is changed; ``head`` is the open head."""
        self.network, self.frames, self.options = network.eval(), frames, options
        self.step = 0
        self.skin = Skin.of(head)
        points = atlas_points(head)
        self._nu = torch.from_numpy(np.concatenate([self.skin.nu, points.nu[points.mediapipe][FACIAL]]))
        self._texels = len(self.skin.nu)
        self._features: list[Tensor] = []
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(ADAPTED))
        self._learning = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self._optimiser = torch.optim.Adam(list(self._learning.values()), lr=options.rate)
        self._windows = np.array(list(_windows(frames, options.length)), np.intp)

    def prepare(self, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        """Look at every frame with the network as it is. Raises ``Cancelled``."""
        frames = self.frames
        positions, sigma, spread, landmarks = [], [], [], []
        for start in range(0, len(frames), AT_ONCE):
            if should_cancel():
                raise Cancelled
            images = torch.tensor(frames.images[start : start + AT_ONCE]).permute(0, 3, 1, 2).float() / 255
            with torch.inference_mode():
                self._features.append(self.network.encoder(images).half())
                last = self._follow(self._features[-1].float())[-1]
            positions.append(last.mu[:, : self._texels] / self._side)
            sigma.append(last.sigma[:, : self._texels] / self._side)
            spread.append(last.spread.log())
            landmarks.append(last.mu[:, self._texels :] / self._side)
            on_progress("looking at the frames", min(start + AT_ONCE, len(frames)), len(frames))
        self._features = [torch.cat(self._features).clone()]
        mu = torch.cat(positions).double().numpy()
        confidence = self.skin.confidence(mu, torch.cat(sigma).double().numpy())
        raw = torch.cat([self._raw_textures(np.arange(a, b), torch.cat(positions)[a:b]) for a, b in _chunks(len(mu))])
        middle, deviation = _colour_units(raw, torch.from_numpy(confidence), frames)
        self._known = _Known(torch.from_numpy(confidence), torch.cat(spread).clone(), middle, deviation)
        clip = torch.tensor(frames.clip)
        self._textures = (raw - middle[clip][:, None]) / deviation[clip][:, None]
        told, own = torch.tensor(frames.landmarks[:, FACIAL]), torch.tensor(frames.sigma[:, FACIAL])
        self._landmark_weight = (own.min() / own).square()
        if self.options.centred:
            told = told + _apart(torch.cat(landmarks) - told, own, frames)
        self._target = told * CROP
        self._refresh()

    def train(self) -> dict[str, float]:
        """Do one step; returns its losses by name."""
        options, known = self.options, self._known
        rng = np.random.default_rng([options.seed, self.step])
        at = self._windows[rng.integers(0, len(self._windows), options.runs)]
        flat = at.ravel()
        last = self._follow(self._features[0][flat].float())[-1]
        mu = last.mu / self._side
        clip = torch.tensor(self.frames.clip[flat])
        raw = self._raw_textures(flat, mu[:, : self._texels])
        textures = (raw - known.middle[clip][:, None]) / known.spread[clip][:, None]
        confidence = known.confidence[flat]
        of_runs = textures.view(*at.shape, *textures.shape[1:])
        both = known.confidence[at]
        both = both[:, 1:] * both[:, :-1]
        both = torch.where(both < CONFIDENT, 0.0, both)
        model = torch.stack([corrected(self._model, self._colours[int(c)]) for c in clip])
        losses = {
            "consecutive": consecutive_loss(
                of_runs[:, :-1].flatten(0, 1), of_runs[:, 1:].flatten(0, 1), both.flatten(0, 1)
            ),
            "model": model_loss(textures, model, confidence),
            "landmarks": landmark_loss(mu[:, self._texels :] * CROP, self._target[flat], self._landmark_weight[flat]),
        }
        weights = options.weights
        loss = weights.consecutive * losses["consecutive"] + weights.model * losses["model"]
        loss = loss + weights.landmarks * losses["landmarks"]
        loss = loss + options.hold_sigma * (last.spread.log() - known.log_spread[flat]).square().mean()
        for group in self._optimiser.param_groups:
            group["lr"] = options.rate * min(1.0, 2 * (1 - self.step / options.steps))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(list(self._learning.values()), 10.0)
        if bool(torch.isfinite(norm)):
            self._optimiser.step()
        self.step += 1
        self._textures[flat] = textures.detach()
        if self.step % REFRESH == 0:
            self._refresh()
        return {name: float(value.detach()) for name, value in losses.items()}

    def flows(self, chosen: NDArray[np.intp]) -> Tensor:
        """Of frames ``chosen (F,)`` the network's flow (F,2,U,U) in shares of the crop: μ(ν) = ν + flow at ν."""
        found = []
        for start in range(0, len(chosen), AT_ONCE):
            with torch.inference_mode():
                positions = self._follow(self._features[0][chosen[start : start + AT_ONCE]].float())[-1].positions
            found.append(positions / self._side - _centres(positions.shape[-1]))
        return torch.cat(found).clone()

    @property
    def confidence(self) -> NDArray[np.float32]:
        """W (T,n) of eq. 6, from the network as it was."""
        return np.asarray(self._known.confidence.numpy())

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs after ``prepare``."""
        return {
            "step": self.step,
            "learning": {name: value.detach().clone() for name, value in self._learning.items()},
            "optimiser": self._optimiser.state_dict(),
            "textures": self._textures.clone(),
            "model": self._model,
            "colours": self._colours,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        with torch.no_grad():
            for name, value in self._learning.items():
                value.copy_(state["learning"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self._textures = state["step"], state["textures"]
        self._model, self._colours = state["model"], state["colours"]

    @property
    def _side(self) -> int:
        return self.network.config.image_size

    def _follow(self, features: Tensor) -> list[Prediction]:
        config = self.network.config
        pyramid = CorrelationPyramid.of(self.network.uv.features(), features, config.levels, config.radius)
        return self.network.follow(pyramid, self._nu)

    def _raw_textures(self, flat: NDArray[np.intp], positions: Tensor) -> Tensor:
        """T̃ (B,n,3) of frames ``flat (B,)`` at positions (B,n,2) in shares of the crop, colours in 0…1."""
        return observed_texture(as_pictures(self.frames.pictures[flat], self.options.resolution), positions)

    def _refresh(self) -> None:
        """The model's texture T (n,3), and C (4,3) of each clip, from the frames that may be learnt from."""
        learnt = torch.from_numpy(~self.frames.held_out)
        textures, confidence = self._textures[learnt], self._known.confidence[learnt]
        clip = torch.tensor(self.frames.clip)[learnt]
        seen = torch.where((confidence > CONFIDENT)[..., None], textures, torch.nan)
        self._model = torch.nan_to_num(seen.nanmedian(dim=0).values)
        self._colours = torch.stack(
            [fit_colours(self._model, textures[clip == c], confidence[clip == c]) for c in range(int(clip.max()) + 1)]
        )


def _windows(frames: Frames, length: int) -> Iterator[NDArray[np.intp]]:
    """Indices (length,) of consecutive frames that may be learnt from."""
    for stretch in frames.stretches(False):
        for start in range(len(stretch) - length + 1):
            yield stretch[start : start + length]


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, AT_ONCE):
        yield start, min(start + AT_ONCE, count)


def _colour_units(raw: Tensor, confidence: Tensor, frames: Frames) -> tuple[Tensor, Tensor]:
    """Mean colour (C,3) and one deviation (C,1) of each clip's skin, in the frames that may be learnt from."""
    middle, deviation = [], []
    for clip in range(int(frames.clip.max()) + 1):
        own = torch.from_numpy((frames.clip == clip) & ~frames.held_out)
        skin = raw[own][confidence[own] > CONFIDENT]
        mean = skin.mean(dim=0) if len(skin) else torch.full((3,), 0.5)
        spread = (skin - mean).square().mean().sqrt() if len(skin) else torch.tensor(0.2)
        middle.append(mean)
        deviation.append(spread.clamp(min=0.02)[None])
    return torch.stack(middle), torch.stack(deviation)


def _apart(difference: Tensor, sigma: Tensor, frames: Frames) -> Tensor:
    """(T,K,2) the median difference (T,K,2) of each landmark over its clip's frames that may be learnt from."""
    found = torch.zeros_like(difference)
    for clip in range(int(frames.clip.max()) + 1):
        own = torch.from_numpy(frames.clip == clip)
        learnt = own & torch.from_numpy(~frames.held_out)
        seen = torch.where(sigma[learnt].isfinite()[..., None], difference[learnt], torch.nan)
        found[own] = torch.nan_to_num(seen.nanmedian(dim=0).values)
    return found


def _centres(cells: int) -> Tensor:
    """ν (2,U,U) of the cells' centres."""
    index = (torch.arange(cells) + 0.5) / cells
    y, x = torch.meshgrid(index, index, indexing="ij")
    return torch.stack([x, y])
