"""Values of the unknowns themselves that somebody set: actions, gaze and poses."""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.geometry import skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State


@dataclass(frozen=True, eq=False)
class HeldValues:
    """What each unknown of T frames is held to, and how firmly: precisions 1/σ², 0 where it is not held.

    ``expression (T,K_ex)``, ``gaze (T,4)`` radians, ``rotation (T,3,3)`` and ``translation (T,3)`` metres from head to
    (recentred) world; ``expression_precision (T,K_ex)``, ``gaze_precision (T,4)``, ``rotation_precision (T,)`` and
    ``translation_precision (T,)``.
    """

    expression: Tensor
    gaze: Tensor
    rotation: Tensor
    translation: Tensor
    expression_precision: Tensor
    gaze_precision: Tensor
    rotation_precision: Tensor
    translation_precision: Tensor


@dataclass(frozen=True, eq=False)
class HeldTerm:
    """½ Σ (x − held)²/σ²; of rotations ½ (3 − tr(heldᵀ R))/σ², which for small angles is ½ angle²/σ²."""

    held: HeldValues

    def at(self, frames: NDArray[np.int64]) -> HeldTerm:
        """The same of only these frames."""
        return HeldTerm(HeldValues(*(getattr(self.held, item.name)[frames] for item in fields(self.held))))

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        held = self.held
        turned = 3 - torch.einsum("tab,tab->t", held.rotation, state.rotation)
        total = (held.expression_precision * (state.expression - held.expression).square()).sum()
        total = total + (held.gaze_precision * (state.gaze - held.gaze).square()).sum()
        total = total + (held.rotation_precision * turned).sum()
        off = state.translation - held.translation
        return 0.5 * (total + (held.translation_precision * off.square().sum(dim=1)).sum())

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; the block of rotations is exact where they are as held."""
        held, count = self.held, basis.expression_count
        parts = (
            (0, held.expression_precision, state.expression - held.expression),
            (count + POSE_UNKNOWNS, held.gaze_precision, state.gaze - held.gaze),
        )
        for first, precision, off in parts:
            own = torch.arange(first, first + off.shape[1], device=off.device)
            equations.frame[:, own, own] += precision
            equations.frame_gradient[:, own] += precision * off
        axes = skew(torch.eye(3, dtype=state.rotation.dtype, device=state.rotation.device))
        relative = held.rotation.mT @ state.rotation
        turn = -0.5 * torch.einsum("tab,jba->tj", relative, axes)
        shift = ((state.translation - held.translation)[:, None] @ state.rotation)[:, 0]
        moved = ((count, held.rotation_precision, turn), (count + 3, held.translation_precision, shift))
        for first, weight, pull in moved:
            own = torch.arange(first, first + 3, device=pull.device)
            equations.frame[:, own, own] += weight[:, None]
            equations.frame_gradient[:, own] += weight[:, None] * pull

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where anything is held."""
        held = self.held
        of_parts = (held.expression_precision > 0).any(dim=1) | (held.gaze_precision > 0).any(dim=1)
        return (of_parts | (held.rotation_precision > 0) | (held.translation_precision > 0)).cpu()
