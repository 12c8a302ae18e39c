"""The energy's priors, which look at no image: E_FLAME, E_MICA, E_deform, and DESIGN §6's additions.

Each term gives its energy, differentiable by autograd, and adds its Gauss–Newton blocks to the normal equations.
"""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State


@dataclass(frozen=True, eq=False)
class ShapePrior:
    """½ βᵀ form β + pull·β + constant: E_FLAME's |β|², E_deform's |δ_d|² and E_MICA's pull to a known neutral.

    ``form (S,S)``, ``pull (S,)``, ``constant ()``; β's last entries are δ_d's coefficients.
    """

    form: Tensor
    pull: Tensor
    constant: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        beta = state.identity
        return 0.5 * beta @ self.form @ beta + self.pull @ beta + self.constant

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        count = len(state.identity)
        equations.shared[:count, :count] += self.form
        equations.shared_gradient[:count] += self.form @ state.identity + self.pull

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: no frame, only what all share."""
        return torch.zeros(frames, dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class FramePrior:
    """½ (φ, gaze)ᵀ form (φ, gaze): |φ|², symmetry, eyes that look at one thing; lids that follow them, eyes ahead.

    ``seen (T,)`` is 1 in frames that show the face and 0 in others, ``eyes (T,2)`` the same of the left and right eye
    by itself (``PointBasis.prior`` and ``eye_prior``): what nobody saw is as it was before and after, not at rest.
    """

    seen: Tensor
    eyes: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        own = torch.cat([state.expression, state.gaze], dim=1)
        return 0.5 * torch.einsum("ti,tij,tj->", own, self._forms(basis), own)

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        size, device = basis.expression_count, basis.prior.device
        own = torch.arange(size + 4, device=device)
        own[size:] += POSE_UNKNOWNS
        forms = self._forms(basis)
        equations.frame[:, own[:, None], own] += forms
        pull = forms @ torch.cat([state.expression, state.gaze], dim=1)[..., None]
        equations.frame_gradient[:, own] += pull[..., 0]

    def _forms(self, basis: PointBasis) -> Tensor:
        return self.seen[:, None, None] * basis.prior + torch.einsum("te,eij->tij", self.eyes, basis.eye_prior)

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where the face is seen."""
        return ((self.seen > 0) | (self.eyes > 0).any(dim=1)).cpu()


@dataclass(frozen=True, eq=False)
class LipSeal:
    """½ w max(0, mouthClose − jawOpen)²: on ARKit heads mouthClose closes the lips that the open jaw took apart.

    ``close`` and ``jaw`` are places among the expressions; ``weight (T,)``.
    """

    close: int
    jaw: int
    weight: Tensor

    def _excess(self, state: State) -> Tensor:
        return (state.expression[:, self.close] - state.expression[:, self.jaw]).clamp_min(0)

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return 0.5 * (self.weight * self._excess(state).square()).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        excess = self._excess(state)
        active = self.weight * (excess > 0).to(excess.dtype)
        signed = ((self.close, 1.0), (self.jaw, -1.0))
        for row, sign in signed:
            equations.frame_gradient[:, row] += sign * self.weight * excess
            for column, other in signed:
                equations.frame[:, row, column] += sign * other * active

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where it weighs anything."""
        return (self.weight > 0).cpu()


@dataclass(frozen=True, eq=False)
class FocalPrior:
    """½ (log f − log f₀)ᵀ form (log f − log f₀) over the cameras: usual focal lengths, and like cameras being alike.

    ``form (C,C)``, ``usual (C,)`` = log f₀; ``solved (n,)`` are the cameras whose focal length is solved for and
    ``index (n,)`` their places among the camera unknowns.
    """

    form: Tensor
    usual: Tensor
    solved: Tensor
    index: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        off = state.cameras.log_focal - self.usual
        return 0.5 * off @ self.form @ off

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        at = len(state.identity) + self.index
        pull = self.form @ (state.cameras.log_focal - self.usual)
        equations.shared[at[:, None], at] += self.form[self.solved[:, None], self.solved]
        equations.shared_gradient[at] += pull[self.solved]

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: no frame, only what all share."""
        return torch.zeros(frames, dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class PrincipalPrior:
    """½ Σ w |c − centre|²/side² over the n cameras whose principal point is solved for: pictures are seldom cropped.

    ``centre (n,2)`` and ``side (n,)`` in pixels, ``weight (n,)``; ``solved (n,)`` are the cameras and ``index (n,)``
    the places of their principal points' x among the camera unknowns, which are in units of ``side``.
    """

    centre: Tensor
    side: Tensor
    weight: Tensor
    solved: Tensor
    index: Tensor

    def _off(self, state: State) -> Tensor:
        return (state.cameras.principal_point[self.solved] - self.centre) / self.side[:, None]

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return 0.5 * (self.weight[:, None] * self._off(state).square()).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        at = (len(state.identity) + self.index[:, None] + torch.arange(2, device=self.index.device)).flatten()
        equations.shared[at, at] += self.weight.repeat_interleave(2)
        equations.shared_gradient[at] += (self.weight[:, None] * self._off(state)).flatten()

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: no frame, only what all share."""
        return torch.zeros(frames, dtype=torch.bool)
