"""The network's errors on pictures of people it never learnt from, and whether it knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from backend.alignment.flowface.crop import CropLayout
from backend.alignment.landmarks.face_mesh import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS
from backend.head_model.model import HeadModel
from backend.training.atlas_points import AtlasPoints, atlas_points, with_landmarks
from backend.training.augmentation.sample import centred
from backend.training.data.mixture import batch_of
from backend.training.samples import Sample

BATCH = 16
REGIONS = ("face", "eyes", "nose", "mouth", "ears")


@dataclass(frozen=True)
class Accuracy:
    """Over all points of λ = 1 whose place is known.

    ``nme`` and those by region: mean distance in % of the inter-ocular distance, which is taken as seen frontally: the
    crop's side times the open head's own share of it, as the distance in the picture would vanish in profile.
    ``visible``: ``nme`` of the points that nothing hides. ``spearman``: rank correlation of σ and distance.
    ``calibration``: root mean square of distance over σ√2, 1 where σ is right and above 1 where it is too small.
    """

    nme: float
    visible: float
    spearman: float
    calibration: float
    regions: dict[str, float]

    def scalars(self) -> dict[str, float]:
        """All figures by name, those of regions among them; without those that have no value."""
        flat = {key: value for key, value in asdict(self).items() if key != "regions"}
        every = {key: round(float(value), 5) for key, value in {**flat, **self.regions}.items()}
        return {key: value for key, value in every.items() if np.isfinite(value)}


class Validation:
    """Measures a network for crops of ``size`` pixels on the open head's points."""

    def __init__(self, open_head: HeadModel, size: int) -> None:
        self.points: AtlasPoints = atlas_points(open_head)
        self._size = size
        self.inter_ocular = size * inter_ocular_share(open_head)
        count = len(self.points)
        counted = self.points.weight == 1
        self._counted = counted
        self._regions = {
            name: np.concatenate([open_head.regions[name], np.zeros(count - open_head.vertex_count, bool)]) & counted
            for name in REGIONS
        }
        mediapipe = np.zeros(count, bool)
        mediapipe[self.points.mediapipe] = True
        self._regions["mediapipe"] = mediapipe

    @torch.no_grad()
    def __call__(self, network: nn.Module, samples: Sequence[Sample], device: torch.device) -> Accuracy:
        """Errors on samples as a perfect detector cuts them out; leaves the network in the mode it was in."""
        training = network.training
        network.eval()
        nu = torch.from_numpy(self.points.nu).to(device)
        distance, sigma, known, visible = [], [], [], []
        for start in range(0, len(samples), BATCH):
            batch = batch_of([centred(sample, self._size) for sample in samples[start : start + BATCH]])
            prediction = network(batch.images.to(device).float() / 255, nu)[-1]
            distance.append((prediction.mu.cpu() - batch.mu).norm(dim=-1).numpy())
            sigma.append(prediction.sigma.float().cpu().numpy())
            known.append(batch.weight.numpy() > 0)
            visible.append(batch.visible.numpy())
        network.train(training)
        return self.accuracy(
            np.concatenate(distance), np.concatenate(sigma), np.concatenate(known), np.concatenate(visible)
        )

    def accuracy(
        self,
        distance: NDArray[np.float32],
        sigma: NDArray[np.float32],
        known: NDArray[np.bool_],
        visible: NDArray[np.bool_],
    ) -> Accuracy:
        """From arrays (N,P): distances and σ in crop pixels, which points' places are known, which are in sight."""
        from scipy.stats import spearmanr  # half a second of a core, which only who measures pays

        share = 100 * distance / self.inter_ocular
        counted = known & self._counted
        which = np.flatnonzero(counted.ravel())
        some = which[:: max(1, len(which) // 200_000)]
        ranks = spearmanr(sigma.ravel()[some], distance.ravel()[some]).statistic if len(some) > 2 else np.nan
        regions = {name: _mean(share, known & mask) for name, mask in self._regions.items()}
        return Accuracy(
            nme=_mean(share, counted),
            visible=_mean(share, counted & visible),
            spearman=float(ranks),
            calibration=float(np.sqrt(_mean((distance / sigma) ** 2 / 2, counted))),
            regions={name: value for name, value in regions.items() if np.isfinite(value)},
        )


def inter_ocular_share(open_head: HeadModel) -> float:
    """The distance of the outer eye corners over the crop's side, of the mean head seen from afar and frontally."""
    points = with_landmarks(open_head, open_head.template)[:, :2] * [1, -1]
    mediapipe = points[open_head.vertex_count :]
    eyes = np.linalg.norm(mediapipe[LEFT_OUTER_CANTHUS] - mediapipe[RIGHT_OUTER_CANTHUS])
    return float(eyes / CropLayout.of(open_head).crop(points[: open_head.vertex_count], 1).side)


def _mean(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    return float(values[mask].mean(dtype=np.float64)) if mask.any() else float("nan")
