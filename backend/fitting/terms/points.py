"""E_A (seeds/001 eq. 13): fitted points against the aligner's, with a robust kernel, and its normal equations.

Every camera's pull on a surface point is a 3×3 weight and a gradient in head space; summed over the cameras they meet
the head's basis once, so that more cameras cost little (DESIGN §6). Only what couples to a camera's own unknowns is
gathered camera by camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.geometry import project, skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.side_by_side import side_by_side
from backend.fitting.state import POSE_UNKNOWNS, EyePoints, State, eye_points, head_points, skin_points
from backend.memory import at_once

# Points linearised at once (frames × points): bounds the memory of their Jacobians to about 35 MB a core.
CHUNK_POINTS = 23_000
# On a GPU as many as keep it busy: about 0.6 GB.
CUDA_CHUNK_POINTS = 400_000


@dataclass(frozen=True, eq=False)
class PointsTerm:
    """Σ ½ c² log(1 + |r|²/(σ² c²)) over C views' points: the Cauchy kernel, which is eq. 13's ½|r|²/σ² for small r.

    ``mu (C,T,N,2)`` pixels, ``precision (C,T,N)`` = 1/σ² (0 where not valid), of the N points of all point sets.

    Both large arrays are float32; whatever is computed from them is not. ``weight`` is how
    often each point counts.

    The Cauchy kernel's second derivative, averaged over a residual's directions in the image, is the square of its
    weight w. Reweighted least squares takes w itself: sure to go down, but each step falls short by as much. With
    ``least_curvature`` < 1 the normal equations take w·max(w, least_curvature); far from the minimum that overshoots.
    """

    mu: Tensor
    precision: Tensor
    robust_scale: float
    unknowns: CameraUnknowns
    weight: float = 1.0
    least_curvature: float = 1.0

    def chunks(self) -> Iterator[slice]:
        """Slices of frames, few enough to bound the memory of what is made of them."""
        frames, points = self.precision.shape[1:]
        length = max(1, (at_once(CUDA_CHUNK_POINTS) if self.mu.is_cuda else CHUNK_POINTS) // points)
        for start in range(0, frames, length):
            yield slice(start, min(start + length, frames))

    def residuals(self, basis: PointBasis, state: State, view: int, frames: slice = slice(None)) -> Tensor:
        """Projected minus observed positions (t,N,2) in pixels of one view."""
        head = head_points(basis, state.coefficients()[frames], state.gaze[frames])
        camera, _ = seen_points(head, state, frames, view)
        image, _ = image_of(camera, state, view)
        return image - self.mu[view, frames]

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        scale = self.robust_scale**2
        coefficients = state.coefficients()

        def of_chunk(frames: slice) -> Tensor:
            total = state.translation.new_zeros(())
            head = head_points(basis, coefficients[frames], state.gaze[frames])
            for view in range(len(state.cameras)):
                camera, _ = seen_points(head, state, frames, view)
                image, _ = image_of(camera, state, view)
                squared = (image - self.mu[view, frames]).square().sum(-1) * self.precision[view, frames]
                total = total + 0.5 * self.weight * scale * torch.log1p(squared / scale).sum()
            return total

        return torch.stack(side_by_side(of_chunk, self.chunks(), self.mu)).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; the robust kernel by iteratively reweighted least squares."""
        coefficients = state.coefficients()

        def add_chunk(frames: slice) -> NormalEquations:
            part = equations.of_frames(frames)
            if len(basis.skin_index):
                skin = skin_points(basis, coefficients[frames])
                _add_skin(part, basis, skin, _weigh(skin, state, frames, basis.skin_index, self))
            if len(basis.eye_index):
                eyes = eye_points(basis, coefficients[frames], state.gaze[frames])
                _add_eyes(part, basis, eyes, _weigh(eyes.position, state, frames, basis.eye_index, self))
            return part

        for part in side_by_side(add_chunk, self.chunks(), self.mu):
            equations.shared.add_(part.shared)
            equations.shared_gradient.add_(part.shared_gradient)
        count = basis.identity_count
        equations.shared[:count, count:] = equations.shared[count:, :count].T

    def skin_pull(self, basis: PointBasis, state: State, frames: slice) -> tuple[Tensor, Tensor]:
        """Per point that only deforms: weight (t,Ns,3,3) and gradient (t,Ns,3) of the energy in head space, metres."""
        skin = skin_points(basis, state.coefficients()[frames])
        weighted = _weigh(skin, state, frames, basis.skin_index, self)
        return weighted.weight, weighted.gradient

    def speaks_in(self, frames: int) -> Tensor:  # noqa: ARG002 - it knows its own
        """See ``Term``: where any view shows any point."""
        return (self.precision > 0).any(dim=0).any(dim=-1).cpu()

    def thinned(self, kept: Tensor) -> PointsTerm:
        """The same of only these points (n,), each of which counts for N/n."""
        points = self.precision.shape[2]
        return replace(
            self,
            mu=self.mu[:, :, kept],
            precision=self.precision[:, :, kept],
            weight=self.weight * points / len(kept),
        )


def seen_points(head: Tensor, state: State, frames: slice, view: int) -> tuple[Tensor, Tensor]:
    """Head-space points (t,N,3) in a camera's space, and the rotations (t,3,3) that took them there."""
    cameras = state.cameras
    rotation = cameras.rotation[view] @ state.rotation[frames]
    translation = state.translation[frames] @ cameras.rotation[view].T + cameras.translation[view]
    return head @ rotation.mT + translation[:, None], rotation


def image_of(camera: Tensor, state: State, view: int) -> tuple[Tensor, Tensor]:
    """A view's camera-space points (t,N,3) in its image (t,N,2), and the derivative to them (t,N,2,3)."""
    cameras = state.cameras
    return project(camera, cameras.log_focal[view].exp(), cameras.principal_point[view])


@dataclass(frozen=True, eq=False)
class _Coupling:
    """One camera's k unknowns (``columns`` among the U) against the points and against each other.

    ``points (t,N,3,k)`` are in head space; ``own (k,k)``, ``gradient (k,)``.
    """

    columns: Tensor
    points: Tensor
    own: Tensor
    gradient: Tensor


@dataclass(frozen=True, eq=False)
class _Weighted:
    """Per point, in head space, over all cameras: weight (t,N,3,3) and gradient (t,N,3); and the cameras' couplings."""

    weight: Tensor
    gradient: Tensor
    couplings: tuple[_Coupling, ...]


def _weigh(head: Tensor, state: State, frames: slice, index: Tensor, data: PointsTerm) -> _Weighted:
    unknowns = data.unknowns
    weight = head.new_zeros(*head.shape, 3)
    gradient = torch.zeros_like(head)
    couplings = []
    for view in range(len(state.cameras)):
        precision = data.precision[view, frames][:, index].to(head.dtype)
        camera, rotation = seen_points(head, state, frames, view)
        image, jacobian = image_of(camera, state, view)
        residual = image - data.mu[view, frames][:, index]
        fade = 1 / (1 + residual.square().sum(-1) * precision / data.robust_scale**2)
        precision = data.weight * precision * fade
        pull = precision[..., None] * residual
        curvature = (precision * fade.clamp_min(data.least_curvature))[..., None, None]
        jacobian = jacobian @ rotation[:, None]  # to head space
        weighted = curvature * jacobian
        weight += weighted.mT @ jacobian
        gradient += torch.einsum("tnia,tni->tna", jacobian, pull)
        if unknowns.moves(view):
            own = camera_jacobian(
                head, jacobian, image - state.cameras.principal_point[view], state, frames, unknowns, view
            )
            pulled = curvature * own
            couplings.append(
                _Coupling(
                    columns=torch.tensor(unknowns.columns(view), device=head.device),
                    points=weighted.mT @ own,
                    own=torch.einsum("tniu,tniv->uv", pulled, own),
                    gradient=torch.einsum("tniu,tni->u", own, pull),
                )
            )
    return _Weighted(weight, gradient, tuple(couplings))


def camera_jacobian(
    head: Tensor,
    jacobian: Tensor,
    from_centre: Tensor,
    state: State,
    frames: slice,
    unknowns: CameraUnknowns,
    view: int,
) -> Tensor:
    """(t,N,2,k): a view's image points by its camera's unknowns. ``jacobian`` is by the point in head space.

    Log focal moves a point away from the principal point, which takes all points with it. Turning the camera moves the
    world's point x by −x × δ, shifting it by τ, both in world axes (``Cameras``).
    """
    by_unknown = unknowns.jacobian(state.cameras, view)
    if not (unknowns.extrinsics[view] or unknowns.scaled[view]):
        return from_centre[..., None] * by_unknown[6] + by_unknown[7:]
    rotation = state.rotation[frames]
    by_point = jacobian @ rotation.mT[:, None]  # by the point in world axes
    world = head @ rotation.mT + state.translation[frames, None]
    along = torch.eye(2, dtype=head.dtype, device=head.device).expand(*from_centre.shape, 2)
    full = torch.cat([by_point @ -skew(world), by_point, from_centre[..., None], along], dim=-1)
    return full @ by_unknown


def _add_cameras(
    equations: NormalEquations, identity_count: int, weighted: _Weighted, flat: Tensor, own: Tensor
) -> None:
    """Add the couplings to what else moves the points.

    ``flat (N3,·)`` or (t,N3,·) holds the points' columns (β, φ) and ``own (t,N3,·)`` those of the frame's unknowns that
    come after.
    """
    for coupling in weighted.couplings:
        camera = identity_count + coupling.columns
        rows = coupling.points.flatten(1, 2).mT  # (t,k,N3)
        by_own = rows @ own
        if flat.dim() == 2:  # the same columns in every frame: one large product
            by_basis = (rows.to(flat.dtype).flatten(0, 1) @ flat).reshape(*rows.shape[:2], -1).to(rows.dtype)
        else:
            by_basis = rows @ flat
        equations.shared[camera, :identity_count] += by_basis[..., :identity_count].sum(0)
        equations.arrow[:, camera] += torch.nn.functional.pad(
            torch.cat([by_basis[..., identity_count:], by_own], dim=-1),
            (0, equations.arrow.shape[-1] - by_basis.shape[-1] + identity_count - by_own.shape[-1]),
        )
        equations.shared[camera[:, None], camera] += coupling.own
        equations.shared_gradient[camera] += coupling.gradient


def moved(points: Tensor) -> Tensor:
    """(t,N,3,6): the derivative of points (t,N,3) to their frame's δ and τ, [−skew(x) | 1]."""
    by_pose = points.new_zeros(*points.shape, POSE_UNKNOWNS)
    for row, column, axis in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        by_pose[..., row, column] = points[..., axis]
        by_pose[..., column, row] = -points[..., axis]
        by_pose[..., row, 3 + row] = 1
    return by_pose


def _add_skin(equations: NormalEquations, basis: PointBasis, points: Tensor, weighted: _Weighted) -> None:
    """Points that only deform: their derivative to (β, φ) is the same in every frame, which saves most of the work.

    The Hessian's products run in ``basis.skin_single``'s precision; gradients stay in double, so that the minimum
    does not move.
    """
    identity_count, expression_count = basis.identity_count, basis.expression_count
    pose = slice(expression_count, expression_count + POSE_UNKNOWNS)
    by_pose = moved(points)
    pulled = weighted.weight @ by_pose
    # Laid out as (N,3,t,·), so that every frame's columns stand side by side for one large product with the basis.
    single = basis.skin_single
    count, frame_count = single.shape[0], points.shape[0]
    columns = single[..., 1:].flatten(0, 1).T

    def by_basis(laid_out: Tensor) -> Tensor:
        """(t,K,·): the basis' columns times what is laid out as (N,3,t,·)."""
        product = columns @ laid_out.reshape(3 * count, -1)
        return product.reshape(columns.shape[0], frame_count, -1).transpose(0, 1)

    weight = weighted.weight.permute(1, 2, 0, 3).to(single.dtype)
    to_expression = by_basis(torch.bmm(weight.reshape(count, -1, 3), single[..., 1 + identity_count :]))
    equations.arrow[:, :identity_count, :expression_count] += to_expression[:, :identity_count]
    equations.frame[:, :expression_count, :expression_count] += to_expression[:, identity_count:]
    to_pose = by_basis(pulled.permute(1, 2, 0, 3).to(single.dtype))
    equations.arrow[:, :identity_count, pose] += to_pose[:, :identity_count]
    equations.frame[:, :expression_count, pose] += to_pose[:, identity_count:]
    equations.frame[:, pose, :expression_count] += to_pose[:, identity_count:].mT
    equations.frame[:, pose, pose] += by_pose.flatten(1, 2).mT @ pulled.flatten(1, 2)
    flat = basis.skin[..., 1:].flatten(0, 1)
    shape = flat[:, :identity_count]
    total = (weighted.weight.sum(0) @ basis.skin[..., 1 : 1 + identity_count]).flatten(0, 1)
    equations.shared[:identity_count, :identity_count] += shape.T @ total
    along = weighted.gradient.flatten(1) @ flat
    equations.shared_gradient[:identity_count] += along[:, :identity_count].sum(0)
    equations.frame_gradient[:, :expression_count] += along[:, identity_count:]
    equations.frame_gradient[:, pose] += (weighted.gradient.flatten(1)[:, None] @ by_pose.flatten(1, 2))[:, 0]
    _add_cameras(equations, identity_count, weighted, single[..., 1:].flatten(0, 1), by_pose.flatten(1, 2))


def _add_eyes(equations: NormalEquations, basis: PointBasis, eyes: EyePoints, weighted: _Weighted) -> None:
    """Points on the eyeballs: few, but their derivatives turn with the gaze."""
    identity_count, expression_count = basis.identity_count, basis.expression_count
    own = eyes.position.new_zeros(*eyes.position.shape, equations.frame.shape[-1])
    own[..., :expression_count] = eyes.columns[..., 1 + identity_count :]
    own[..., expression_count : expression_count + POSE_UNKNOWNS] = moved(eyes.position)
    for side in (0, 1):
        on_side = (basis.eye_side == side).nonzero()[:, 0]
        first = expression_count + POSE_UNKNOWNS + 2 * side
        own[:, on_side, :, first : first + 2] = eyes.turned[:, on_side].mT
    pulled, flat = (weighted.weight @ own).flatten(1, 2), own.flatten(1, 2)
    identity = eyes.columns[..., 1 : 1 + identity_count]
    shape = identity.flatten(1, 2)
    equations.frame.add_(flat.mT @ pulled)
    equations.arrow[:, :identity_count] += shape.mT @ pulled
    by_weight = (weighted.weight @ identity).flatten(1, 2)
    equations.shared[:identity_count, :identity_count] += (shape.mT @ by_weight).sum(0)
    gradient = weighted.gradient.flatten(1)[:, None]
    equations.shared_gradient[:identity_count] += (gradient @ shape).sum((0, 1))
    equations.frame_gradient.add_((gradient @ flat)[:, 0])
    _add_cameras(equations, identity_count, weighted, shape, flat)
