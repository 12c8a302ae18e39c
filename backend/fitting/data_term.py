"""E_A (seeds/001 eq. 13): fitted points against the aligner's, with a robust kernel, and its normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.geometry import project, skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, EyePoints, State, all_points, eye_points, skin_points

# Frames linearised at once: bounds the memory of the (frames, N, 3, F) Jacobian to about 70 MB.
CHUNK = 96


@dataclass(frozen=True, eq=False)
class PixelData:
    """Observations: ``mu (T,N,2)`` pixels, ``precision (T,N)`` = 1/σ² (0 where not valid), ``principal_point (2,)``."""

    mu: Tensor
    precision: Tensor
    principal_point: Tensor
    robust_scale: float


def residuals(basis: PointBasis, state: State, data: PixelData) -> Tensor:
    """Projected minus observed positions (T,N,2) in pixels."""
    image, _ = project(all_points(basis, state), state.log_focal.exp(), data.principal_point)
    return image - data.mu


def energy(basis: PointBasis, state: State, data: PixelData) -> Tensor:
    """Σ ½ c² log(1 + |r|²/(σ² c²)): the Cauchy kernel, which is eq. 13's ½|r|²/σ² for small errors."""
    squared = residuals(basis, state, data).square().sum(-1) * data.precision
    scale = data.robust_scale**2
    return 0.5 * scale * torch.log1p(squared / scale).sum()


@dataclass(frozen=True, eq=False)
class _Weighted:
    """Per point: the 3×3 weight, the gradient and the focal coupling, all in head space; and the focal's own terms."""

    weight: Tensor  # (t,N,3,3)
    gradient: Tensor  # (t,N,3)
    focal: Tensor  # (t,N,3)
    focal_weight: Tensor  # ()
    focal_gradient: Tensor  # ()


def _weigh(head_points: Tensor, state: State, frames: slice, index: Tensor, data: PixelData) -> _Weighted:
    rotation = state.rotation[frames]
    camera = head_points @ rotation.mT + state.translation[frames, None]
    image, jacobian = project(camera, state.log_focal.exp(), data.principal_point)
    residual = image - data.mu[frames][:, index]
    precision = data.precision[frames][:, index]
    precision = precision / (1 + residual.square().sum(-1) * precision / data.robust_scale**2)
    jacobian = jacobian @ rotation[:, None]  # to head space
    weighted = precision[..., None, None] * jacobian
    to_focal = image - data.principal_point  # ∂ projection / ∂ log f
    return _Weighted(
        weight=weighted.mT @ jacobian,
        gradient=torch.einsum("tnia,tni->tna", weighted, residual),
        focal=torch.einsum("tnia,tni->tna", weighted, to_focal),
        focal_weight=(precision * to_focal.square().sum(-1)).sum(),
        focal_gradient=(precision * (to_focal * residual).sum(-1)).sum(),
    )


def _add_focal(equations: NormalEquations, weighted: _Weighted) -> None:
    equations.shared[-1, -1] += weighted.focal_weight
    equations.shared_gradient[-1] += weighted.focal_gradient


def _add_skin(
    equations: NormalEquations, basis: PointBasis, frames: slice, points: Tensor, weighted: _Weighted
) -> None:
    """Points that only deform: their derivative to (β, φ) is the same in every frame, which saves most of the work.

    The Hessian's products run in ``basis.skin_single``'s precision; gradients stay in double, so that the minimum
    does not move.
    """
    identity_count, expression_count = basis.identity_count, basis.expression_count
    own = slice(0, expression_count + POSE_UNKNOWNS)
    pose = slice(expression_count, expression_count + POSE_UNKNOWNS)
    eye = torch.eye(3, dtype=points.dtype, device=points.device)
    moved = torch.cat([-skew(points), eye.expand(*points.shape[:2], 3, 3)], dim=-1)
    # Laid out as (N,3,t,·), so that every frame's columns stand side by side for one large product with the basis.
    single = basis.skin_single
    count, frame_count = single.shape[0], points.shape[0]
    weight = weighted.weight.permute(1, 2, 0, 3).to(single.dtype)
    to_expression = torch.bmm(weight.reshape(count, -1, 3), single[..., 1 + identity_count :])
    to_pose = (weighted.weight @ moved).permute(1, 2, 0, 3).to(single.dtype)
    pulled = torch.cat([to_expression.reshape(count, 3, frame_count, -1), to_pose], dim=-1)
    by_basis = single[..., 1:].flatten(0, 1).T @ pulled.flatten(0, 1).flatten(1, 2)
    by_basis = by_basis.reshape(-1, frame_count, own.stop).transpose(0, 1).to(points.dtype)
    equations.arrow[frames, :identity_count, own] += by_basis[:, :identity_count]
    equations.frame[frames, :expression_count, own] += by_basis[:, identity_count:]
    equations.frame[frames, pose, :expression_count] += by_basis[:, identity_count:, expression_count:].mT
    equations.frame[frames, pose, pose] += moved.flatten(1, 2).mT @ (weighted.weight @ moved).flatten(1, 2)
    flat = basis.skin[..., 1:].flatten(0, 1)
    shape = flat[:, :identity_count]
    total = (weighted.weight.sum(0) @ basis.skin[..., 1 : 1 + identity_count]).flatten(0, 1)
    equations.shared[:identity_count, :identity_count] += shape.T @ total
    for vector, shared, frame in (
        (weighted.gradient, equations.shared_gradient[:-1], equations.frame_gradient[frames]),
        (weighted.focal, equations.shared[:-1, -1], equations.arrow[frames, -1]),
    ):
        along = vector.flatten(1) @ flat
        shared += along[:, :identity_count].sum(0)
        frame[:, :expression_count] += along[:, identity_count:]
        frame[:, pose] += (vector.flatten(1)[:, None] @ moved.flatten(1, 2))[:, 0]
    _add_focal(equations, weighted)


def _add_eyes(
    equations: NormalEquations, basis: PointBasis, frames: slice, eyes: EyePoints, weighted: _Weighted
) -> None:
    """Points on the eyeballs: few, but their derivatives turn with the gaze."""
    identity_count, expression_count = basis.identity_count, basis.expression_count
    eye = torch.eye(3, dtype=eyes.position.dtype, device=eyes.position.device)
    own = eyes.position.new_zeros(*eyes.position.shape, equations.frame.shape[-1])
    own[..., :expression_count] = eyes.columns[..., 1 + identity_count :]
    pose = torch.cat([-skew(eyes.position), eye.expand(*eyes.position.shape[:2], 3, 3)], dim=-1)
    own[..., expression_count : expression_count + POSE_UNKNOWNS] = pose
    for side in (0, 1):
        on_side = (basis.eye_side == side).nonzero()[:, 0]
        first = expression_count + POSE_UNKNOWNS + 2 * side
        own[:, on_side, :, first : first + 2] = eyes.turned[:, on_side].mT
    pulled, flat = (weighted.weight @ own).flatten(1, 2), own.flatten(1, 2)
    identity = eyes.columns[..., 1 : 1 + identity_count]
    shape = identity.flatten(1, 2)
    equations.frame[frames] += flat.mT @ pulled
    equations.arrow[frames, :identity_count] += shape.mT @ pulled
    equations.shared[:-1, :-1] += (shape.mT @ (weighted.weight @ identity).flatten(1, 2)).sum(0)
    for vector, shared, frame in (
        (weighted.gradient, equations.shared_gradient[:-1], equations.frame_gradient[frames]),
        (weighted.focal, equations.shared[:-1, -1], equations.arrow[frames, -1]),
    ):
        shared += (vector.flatten(1)[:, None] @ shape).sum((0, 1))
        frame += (vector.flatten(1)[:, None] @ flat)[:, 0]
    _add_focal(equations, weighted)


def add_data_term(equations: NormalEquations, basis: PointBasis, state: State, data: PixelData) -> None:
    """Add E_A's Gauss–Newton blocks (robust kernel by iteratively reweighted least squares) to ``equations``."""
    coefficients = state.coefficients()
    for start in range(0, state.frame_count, CHUNK):
        frames = slice(start, min(start + CHUNK, state.frame_count))
        skin = skin_points(basis, coefficients[frames])
        _add_skin(equations, basis, frames, skin, _weigh(skin, state, frames, basis.skin_index, data))
        if len(basis.eye_index):
            eyes = eye_points(basis, coefficients[frames], state.gaze[frames])
            _add_eyes(equations, basis, frames, eyes, _weigh(eyes.position, state, frames, basis.eye_index, data))
    equations.shared[-1, :-1] = equations.shared[:-1, -1]
