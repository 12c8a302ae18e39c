"""E_A (seeds/001 eq. 13): fitted points against the aligner's, with a robust kernel, and its normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.geometry import project, skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State, all_points, eye_points, skin_points

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


def _accumulate(equations: NormalEquations, frames: slice, identity: Tensor, own: Tensor, weighted: _Weighted) -> None:
    """Add points with head-space derivatives ``identity`` ((N,3,K_id), or (t,N,3,K_id)) and ``own (t,N,3,F)``."""
    count = identity.shape[-1]
    flat = own.flatten(1, 2)
    pulled = (weighted.weight @ own).flatten(1, 2)
    gradient, focal = weighted.gradient.flatten(1), weighted.focal.flatten(1)
    equations.frame[frames] += flat.mT @ pulled
    equations.frame_gradient[frames] += (gradient[:, None] @ flat)[:, 0]
    equations.arrow[frames, count] += (focal[:, None] @ flat)[:, 0]
    if identity.dim() == 3:
        shape = identity.flatten(0, 1)
        total = weighted.weight.sum(0) @ identity
        equations.shared[:count, :count] += shape.T @ total.flatten(0, 1)
        equations.shared_gradient[:count] += gradient.sum(0) @ shape
        equations.arrow[frames, :count] += shape.T @ pulled
        coupling = focal.sum(0) @ shape
    else:
        shape = identity.flatten(1, 2)
        total = (weighted.weight @ identity).flatten(1, 2)
        equations.shared[:count, :count] += (shape.mT @ total).sum(0)
        equations.shared_gradient[:count] += (gradient[:, None] @ shape).sum((0, 1))
        equations.arrow[frames, :count] += shape.mT @ pulled
        coupling = (focal[:, None] @ shape).sum((0, 1))
    equations.shared[:count, count] += coupling
    equations.shared[count, :count] += coupling
    equations.shared[count, count] += weighted.focal_weight
    equations.shared_gradient[count] += weighted.focal_gradient


def add_data_term(equations: NormalEquations, basis: PointBasis, state: State, data: PixelData) -> None:
    """Add E_A's Gauss–Newton blocks (robust kernel by iteratively reweighted least squares) to ``equations``."""
    identity_count, expression_count = basis.identity_count, basis.expression_count
    size = equations.frame.shape[-1]
    pose = slice(expression_count, expression_count + POSE_UNKNOWNS)
    coefficients = state.coefficients()
    identity = basis.skin[..., 1 : 1 + identity_count].contiguous()
    eye = torch.eye(3, dtype=coefficients.dtype, device=coefficients.device)
    for start in range(0, state.frame_count, CHUNK):
        frames = slice(start, min(start + CHUNK, state.frame_count))
        skin = skin_points(basis, coefficients[frames])
        own = skin.new_zeros(*skin.shape, size)
        own[..., :expression_count] = basis.skin[..., 1 + identity_count :]
        own[..., pose] = torch.cat([-skew(skin), eye.expand(*skin.shape[:2], 3, 3)], dim=-1)
        _accumulate(equations, frames, identity, own, _weigh(skin, state, frames, basis.skin_index, data))
        if not len(basis.eye_index):
            continue
        eyes = eye_points(basis, coefficients[frames], state.gaze[frames])
        own = skin.new_zeros(*eyes.position.shape, size)
        own[..., :expression_count] = eyes.columns[..., 1 + identity_count :]
        own[..., pose] = torch.cat([-skew(eyes.position), eye.expand(*eyes.position.shape[:2], 3, 3)], dim=-1)
        for side in (0, 1):
            on_side = (basis.eye_side == side).nonzero()[:, 0]
            first = expression_count + POSE_UNKNOWNS + 2 * side
            own[:, on_side, :, first : first + 2] = eyes.turned[:, on_side].mT
        eye_identity = eyes.columns[..., 1 : 1 + identity_count]
        _accumulate(equations, frames, eye_identity, own, _weigh(eyes.position, state, frames, basis.eye_index, data))
