"""Residuals that are few, each of several points: their Jacobian row by row, and its place in the normal equations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.side_by_side import side_by_side
from backend.fitting.state import POSE_UNKNOWNS, State
from backend.fitting.terms.points import camera_jacobian, image_of, moved, seen_points

# Frames linearised at once: bounds the memory of the Jacobians of a hundred residuals to about 10 MB a core.
CHUNK_FRAMES = 64


def chunks(frames: int) -> Iterator[slice]:
    """Slices of ``frames`` frames, few enough to bound the memory of what is made of them."""
    for start in range(0, frames, CHUNK_FRAMES):
        yield slice(start, min(start + CHUNK_FRAMES, frames))


@dataclass(frozen=True, eq=False)
class SkinPoints:
    """n points that only deform: ``columns (n,3,K)`` of the basis, head space."""

    columns: Tensor

    def positions(self, coefficients: Tensor) -> Tensor:
        """Head-space positions (t,n,3) for coefficients (t,K)."""
        count = len(self.columns)
        return (coefficients @ self.columns.reshape(3 * count, -1).T).reshape(-1, count, 3)

    def by_unknowns(self, positions: Tensor) -> Tensor:
        """(t,n,3,K_id+K_ex+6): the derivative of ``positions`` to β and the frame's φ, δ, τ."""
        fixed = self.columns[..., 1:].expand(len(positions), *self.columns.shape[:2], -1)
        return torch.cat([fixed, moved(positions)], dim=-1)


@dataclass(frozen=True, eq=False)
class SeenSkin:
    """Skin points in one camera's picture in t frames.

    ``image (t,n,2)`` pixels; ``jacobian (t,n,2,3)`` of it by the point in head space; ``camera (t,n,2,k)`` by the
    camera's own unknowns, None where it has none.
    """

    image: Tensor
    jacobian: Tensor
    camera: Tensor | None


def seen_skin(head: Tensor, state: State, frames: slice, view: int, unknowns: CameraUnknowns | None) -> SeenSkin:
    """Head-space points (t,n,3) as a view shows them; without ``unknowns`` no camera's derivative."""
    camera, rotation = seen_points(head, state, frames, view)
    image, jacobian = image_of(camera, state, view)
    jacobian = jacobian @ rotation[:, None]
    own = None
    if unknowns is not None and unknowns.moves(view):
        own = camera_jacobian(
            head, jacobian, image - state.cameras.principal_point[view], state, frames, unknowns, view
        )
    return SeenSkin(image, jacobian, own)


@dataclass(frozen=True, eq=False)
class Rows:
    """m residuals in each of t frames, differentiated.

    ``jacobian (t,m,K_id+K_ex+6)``, ``camera (t,m,k)`` by the unknowns ``columns`` of a camera (None: it has none),
    ``pull (t,m)`` the energy's derivative to each residual, ``curvature (t,m)`` its second one.
    """

    jacobian: Tensor
    camera: Tensor | None
    columns: list[int]
    pull: Tensor
    curvature: Tensor

    def add(self, equations: NormalEquations, basis: PointBasis) -> None:
        """Add gradient and Gauss–Newton blocks to the equations of these t frames.

        The Hessian's products run in ``basis.skin_single``'s precision; gradients stay in double.
        """
        identity = basis.identity_count
        own = slice(0, basis.expression_count + POSE_UNKNOWNS)
        gradient = torch.einsum("tm,tmd->td", self.pull, self.jacobian)
        equations.shared_gradient[:identity] += gradient[:, :identity].sum(0)
        equations.frame_gradient[:, own] += gradient[:, identity:]
        single = basis.skin_single.dtype
        root = self.curvature.sqrt()[..., None]
        rows = (self.jacobian * root).to(single)
        shape, mine = rows[..., :identity], rows[..., identity:]
        flat = shape.flatten(0, 1)
        equations.shared[:identity, :identity] += flat.T @ flat
        equations.arrow[:, :identity, own] += shape.mT @ mine
        equations.frame[:, own, own] += mine.mT @ mine
        if self.camera is None:
            return
        at = identity + torch.tensor(self.columns, device=self.pull.device)
        seen = (self.camera * root).to(single)
        seen_flat = seen.flatten(0, 1)
        equations.shared_gradient[at] += torch.einsum("tm,tmk->k", self.pull, self.camera)
        across = (seen_flat.T @ flat).to(equations.shared.dtype)
        equations.shared[at, :identity] += across
        equations.shared[:identity, at] += across.T
        equations.shared[at[:, None], at] += (seen_flat.T @ seen_flat).to(equations.shared.dtype)
        equations.arrow[:, at, own] += (seen.mT @ mine).to(equations.arrow.dtype)


def robust_energy(
    residuals: Callable[[State, int, slice], Tensor], precision: Tensor, robust_scale: float, state: State
) -> Tensor:
    """Σ ½ c² log(1 + |r|²/(σ² c²)), a scalar, of the residuals (t,m,…) of each view and each few frames.

    ``precision (C,T,m)`` = 1/σ²; ``robust_scale`` c in σ.
    """
    scale = robust_scale**2

    def of_chunk(frames: slice) -> Tensor:
        total = state.translation.new_zeros(())
        for view in range(len(state.cameras)):
            told = precision[view, frames]
            squared = residuals(state, view, frames).square().reshape(*told.shape, -1).sum(-1) * told
            total = total + 0.5 * scale * torch.log1p(squared / scale).sum()
        return total

    return torch.stack(side_by_side(of_chunk, chunks(state.frame_count), precision)).sum()


def add_rows(
    equations: NormalEquations,
    basis: PointBasis,
    state: State,
    precision: Tensor,
    rows: Callable[[slice], Iterator[Rows]],
) -> None:
    """Add the ``rows`` of every few frames, those of each view, to the equations of a take, chunks side by side.

    ``precision (C,T,m)`` is what they weigh by; its device says whether there are cores to share.
    """

    def add_chunk(frames: slice) -> NormalEquations:
        part = equations.of_frames(frames)
        for of_view in rows(frames):
            of_view.add(part, basis)
        return part

    for part in side_by_side(add_chunk, chunks(state.frame_count), precision):
        equations.shared.add_(part.shared)
        equations.shared_gradient.add_(part.shared_gradient)
