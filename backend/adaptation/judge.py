"""Whether an adapted network is better than before, on frames that it has not learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.adaptation.frames import FACIAL, Frames
from backend.adaptation.marks import Marks, reprojection
from backend.adaptation.skin import Skin
from backend.alignment.flowface.sampling import sample
from backend.evaluation.metrics.stability import temporal_stability
from backend.head_model.library import load_head
from backend.training.atlas_points import atlas_points

FACE_M = 0.09
"""Metres between the outer eye corners, in which eq. 10 gets positions: its resolution is a micrometre."""
BETTER = 0.01
"""Share by which both figures must fall for weights to be kept: less is chance between two runs."""
FEWEST_MARKS = 5


@dataclass(frozen=True)
class Figures:
    """``stability`` by eq. 10 (1 is best), ``marks`` the mean distance of followed marks and ``landmarks`` that of
    MediaPipe's landmarks from where the network lays them, % of the inter-ocular distance."""

    stability: float
    marks: float
    landmarks: float


@dataclass(frozen=True)
class Judgement:
    """The figures before and after, by how many ``marks`` in how many ``frames``."""

    before: Figures
    after: Figures
    marks: int
    frames: int

    @property
    def better(self) -> bool:
        """True where stability and marks both improved by more than ``BETTER``; of stability what is above 1 counts."""
        fell = self.after.stability - 1 < (1 - BETTER) * (self.before.stability - 1)
        return bool(self.marks >= FEWEST_MARKS and fell and self.after.marks < (1 - BETTER) * self.before.marks)


def judge(
    frames: Frames, skin: Skin, marks: Sequence[Marks], before: Sequence[Tensor], after: Sequence[Tensor]
) -> Judgement:
    """Compare two networks by their flows (F,2,U,U) in each stretch of ``marks``.

    Marks count where both networks find them on the face in all frames of their stretch.
    """
    errors: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    for one, *flows in zip(marks, before, after, strict=True):
        of_both = [reprojection(one, flow, skin, frames) for flow in flows]
        known = np.isfinite(of_both).all(axis=(0, 1))
        for held, found in zip(errors, of_both, strict=True):
            held.append(found[:, known])
    figures = []
    for flows_of, parts in zip((before, after), errors, strict=True):
        all_errors = np.concatenate([part.ravel() for part in parts])
        figures.append(
            Figures(
                _stability(frames, skin, marks, flows_of),
                float(all_errors.mean()) if len(all_errors) else float("nan"),
                _landmarks(frames, marks, flows_of),
            )
        )
    count = sum(part.shape[1] for part in errors[0])
    return Judgement(figures[0], figures[1], count, sum(len(one.frames) for one in marks))


def _stability(frames: Frames, skin: Skin, marks: Sequence[Marks], flows: Sequence[Tensor]) -> float:
    """Eq. 10 of the skin's texels in the picture, over all stretches."""
    nu = torch.from_numpy(skin.nu)
    found = []
    for one, flow in zip(marks, flows, strict=True):
        laid = skin.nu + sample(flow, nu).mT.double().numpy()
        pixels = frames.in_image(laid, one.frames)
        found.append(temporal_stability(pixels / frames.interocular[one.frames][:, None, None] * FACE_M).per_frame)
    return float(np.concatenate(found).mean())


def _landmarks(frames: Frames, marks: Sequence[Marks], flows: Sequence[Tensor]) -> float:
    """Mean distance of the 51 landmarks (eq. 9's, not squared)."""
    points = atlas_points(load_head("open"))
    nu = points.nu[points.mediapipe][FACIAL]
    found = []
    for one, flow in zip(marks, flows, strict=True):
        laid = nu + sample(flow, torch.from_numpy(nu)).mT.double().numpy()
        told = frames.landmarks[one.frames][:, FACIAL].astype(np.float64)
        off = frames.in_image(laid, one.frames) - frames.in_image(told, one.frames)
        found.append(np.linalg.norm(off, axis=-1) / frames.interocular[one.frames][:, None])
    return float(100 * np.concatenate(found).mean())
