"""E_temp (seeds/001 eq. 14): the acceleration of every face vertex, exactly, at the cost of a few small matrices.

Accelerations are second divided differences over the frames' own times, so that dropped frames and varying rates are
what they are, weighted by the time that each stands for: the energy is ∫ |a|² dt however densely frames lie.

World positions are x_i(t) = R_t B_i p_t + τ_t with p = (1, β, φ), so sums over vertices of products of positions and
derivatives need only the Gram matrices Σ_i λ_i B_ia B_ib of the basis, computed once (``PointBasis.face_gram``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.fitting.geometry import skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State
from backend.fitting.terms.glide import Glide

REACH = 3  # frames that an acceleration is told by
_PART_FRAMES = 128


@dataclass(frozen=True, eq=False)
class TemporalTerm:
    """½ Σ_t (w_v Σ_i λ_i |a_i(t)|² + w_g |gaze acceleration|² + w_φ |φ acceleration|²), and ``glide`` in gaps.

    ``intervals (T-1,)`` are the times between frames in units of their mean. The weights are precisions of
    accelerations per that squared: of vertices (per m², the face's weighted mean), gaze (per rad²), and φ. The last
    keeps actions that look alike from taking turns, which moves no vertex but spoils the curves.
    """

    intervals: Tensor
    vertices: float
    gaze: float
    expression: float = 0.0
    glide: Glide | None = None

    def scaled(self, factor: float) -> TemporalTerm:
        """The same term ``factor`` times."""
        return replace(
            self,
            vertices=self.vertices * factor,
            gaze=self.gaze * factor,
            expression=self.expression * factor,
            glide=None if self.glide is None else self.glide.scaled(factor),
        )

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        gliding = state.translation.new_zeros(()) if self.glide is None else self.glide.energy(basis, state)
        if state.frame_count < 3:
            return gliding
        factors = stencils(self.intervals)
        squared = _residual_moments(basis, state, _moments(basis, state), factors)[2]
        own = sum(
            weight * _accelerations(x, factors).square().sum()
            for weight, x in ((self.gaze, state.gaze), (self.expression, state.expression))
        )
        return 0.5 * (self.vertices * squared.sum() + own) + gliding

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; the Gauss–Newton blocks are exact."""
        if self.glide is not None:
            self.glide.add(equations, basis, state)
        count = state.frame_count - 2
        if count < 1:
            return
        factors, moments = stencils(self.intervals), _moments(basis, state)
        cross, mean, _ = _residual_moments(basis, state, moments, factors)
        windows = [(factors[:, offset], slice(offset, offset + count)) for offset in range(REACH)]
        own = basis.expression_count + POSE_UNKNOWNS
        for lag, blocks in enumerate((equations.frame, equations.next_frame, equations.after_next)):
            pairs = state.frame_count - lag
            weights = self.vertices * _products(lag, factors)[:, None, None]
            for part in _parts(pairs):
                inner = _between(basis, state, moments, part, slice(part.start + lag, part.stop + lag))
                blocks[part, :own, :own].addcmul_(inner, weights[part])
        _add_shared(equations, basis, state, self, moments, windows, cross)
        _add_gradient(equations, basis, state, self, moments, windows, cross, mean)
        _add_own(equations, state.expression, 0, self.expression, factors)
        _add_own(equations, state.gaze, own, self.gaze, factors)

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: every frame of a take of three or more; of a shorter one where there is a gap."""
        accelerated = torch.full((frames,), frames >= 3)
        return accelerated if self.glide is None else accelerated | self.glide.speaks_in(frames)


def _parts(frames: int) -> Iterator[slice]:
    """Slices of frames, few enough to bound the memory of what is made of them: 10 MB each for the open head."""
    for start in range(0, frames, _PART_FRAMES):
        yield slice(start, min(start + _PART_FRAMES, frames))


def stencils(intervals: Tensor) -> Tensor:
    """(T-2,3): the factors of three frames in a row that give √(time) times their acceleration; (1, −2, 1) where even.

    ``intervals (T-1,)`` > 0 between frames. The time that an acceleration stands for is the mean of the two about it.
    """
    before, after = intervals[:-1], intervals[1:]
    root = ((before + after) / 2).sqrt()
    first, last = 1 / (before * root), 1 / (after * root)
    return torch.stack([first, -first - last, last], dim=1)


def _accelerations(values: Tensor, factors: Tensor) -> Tensor:
    """(T-2,…) of values (T,…), each times the root of its time."""
    count = len(factors)
    by_frame = factors.reshape(count, REACH, *[1] * (values.dim() - 1))
    return by_frame[:, 0] * values[:count] + by_frame[:, 1] * values[1 : count + 1] + by_frame[:, 2] * values[2:]


def _products(lag: int, factors: Tensor) -> Tensor:
    """(n,) for n pairs of frames ``lag`` apart: Σ over the stencils that hold both of the product of their factors."""
    count = len(factors)
    products = factors.new_zeros(count + REACH - 1 - lag)
    for offset in range(REACH - lag):
        products[offset : offset + count] += factors[:, offset] * factors[:, offset + lag]
    return products


Windows = list[tuple[Tensor, slice]]
"""Of a stencil's first, second and third frames: their factors (n,), and which frames they are."""


@dataclass(frozen=True, eq=False)
class _Moments:
    """Per frame: ``first (T,3)`` = Σλ x, ``cross (T,3,3,K)`` = Σλ x_a B_bk, both of head-space positions."""

    coefficients: Tensor  # (T,K)
    first: Tensor
    cross: Tensor


def _moments(basis: PointBasis, state: State) -> _Moments:
    coefficients = state.coefficients()
    return _Moments(
        coefficients=coefficients,
        first=coefficients @ basis.face_sum.T,
        cross=torch.einsum("tl,ablk->tabk", coefficients, basis.face_gram),
    )


def _residual_moments(
    basis: PointBasis, state: State, moments: _Moments, factors: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the accelerations a_i (T-2 of them): Σλ a_c B_bk (n,3,3,K), Σλ a (n,3), and Σλ |a|² (n,)."""
    turned = torch.einsum("tca,tabk->tcbk", state.rotation, moments.cross)
    world = turned + state.translation[:, :, None, None] * basis.face_sum
    mean = (state.rotation @ moments.first[..., None])[..., 0] + state.translation
    count = len(factors)
    cross, mean = _accelerations(world, factors), _accelerations(mean, factors)
    squared = cross.new_zeros(count)
    for offset, factor in enumerate(factors.unbind(dim=1)):
        window = slice(offset, offset + count)
        inner = torch.einsum("ncb,ncbk,nk->n", state.rotation[window], cross, moments.coefficients[window])
        squared = squared + factor * (inner + (state.translation[window] * mean).sum(-1))
    return cross, mean, squared


def _against(basis: PointBasis, relative: Tensor, columns: slice, moments: _Moments, window: slice) -> Tensor:
    """Inner products (n,C,E+6) of columns R_s B_k with a frame's directions (φ, δ, τ); ``relative`` = R_sᵀ R_frame."""
    expression = slice(1 + basis.identity_count, basis.size)
    generators = _generators(relative)
    to_expression = torch.einsum("nab,abkl->nkl", relative, basis.face_gram[:, :, columns, expression])
    # Σλ B_ak x_c is the transpose of cross: cross[c,a,k].
    to_rotation = torch.einsum("nab,jbc,ncak->nkj", relative, generators, moments.cross[window][..., columns])
    to_translation = torch.einsum("naj,ak->nkj", relative, basis.face_sum[:, columns])
    return torch.cat([to_expression, to_rotation, to_translation], dim=-1)


def _generators(like: Tensor) -> Tensor:
    """(3,3,3): skew(e_j) for the three axes."""
    return skew(torch.eye(3, dtype=like.dtype, device=like.device))


def _between(basis: PointBasis, state: State, moments: _Moments, first: slice, second: slice) -> Tensor:
    """Inner products (n,E+6,E+6) of all directions (φ, δ, τ) of the first frames with those of the second ones."""
    relative = state.rotation[first].mT @ state.rotation[second]
    expression = slice(1 + basis.identity_count, basis.size)
    generators = _generators(relative)
    top = _against(basis, relative, expression, moments, second)
    # Expression directions of the second frames against δ and τ of the first ones: the same with roles exchanged.
    left = _against(basis, relative.mT, expression, moments, first)[..., basis.expression_count :].mT
    products = torch.einsum("nabk,nk->nab", moments.cross[first], moments.coefficients[second])  # Σλ x_a x'_b
    rotations = torch.einsum("iba,nbc,jcd,nad->nij", generators, relative, generators, products)
    mixed = torch.einsum("iba,nbj,na->nij", generators, relative, moments.first[first])
    mixed_back = torch.einsum("nib,jbc,nc->nij", relative, generators, moments.first[second])
    bottom = torch.cat([torch.cat([rotations, mixed], -1), torch.cat([mixed_back, relative], -1)], -2)
    return torch.cat([top, torch.cat([left, bottom], dim=-1)], dim=-2)


def _add_own(equations: NormalEquations, values: Tensor, first: int, weight: float, factors: Tensor) -> None:
    """The acceleration of unknowns (T,n) themselves, which begin at ``first`` among a frame's."""
    count, size = len(factors), values.shape[1]
    bent = _accelerations(values, factors)
    diagonal = torch.arange(first, first + size, device=values.device)
    blocks = (equations.frame, equations.next_frame, equations.after_next)
    for lag, block in enumerate(blocks):
        block[:, diagonal, diagonal] += weight * _products(lag, factors)[:, None]
    for offset, factor in enumerate(factors.unbind(dim=1)):
        equations.frame_gradient[offset : offset + count, first : first + size] += weight * factor[:, None] * bent


def _add_shared(
    equations: NormalEquations,
    basis: PointBasis,
    state: State,
    weights: TemporalTerm,
    moments: _Moments,
    windows: Windows,
    cross: Tensor,
) -> None:
    identity = slice(1, 1 + basis.identity_count)
    own = basis.expression_count + POSE_UNKNOWNS
    bent = _accelerations(state.rotation, torch.stack([factor for factor, _ in windows], dim=1))
    gram = basis.face_gram[:, :, identity, identity]
    count = basis.identity_count
    equations.shared[:count, :count] += weights.vertices * torch.einsum("nca,ncb,abkl->kl", bent, bent, gram)
    equations.shared_gradient[:count] += weights.vertices * torch.einsum("ncb,ncbk->k", bent, cross[..., identity])
    for factor, window in windows:
        relative = bent.mT @ state.rotation[window]
        for part in _parts(len(bent)):
            frames = slice(window.start + part.start, window.start + part.stop)
            inner = _against(basis, relative[part], identity, moments, frames)
            equations.arrow[frames, :count, :own] += weights.vertices * factor[part, None, None] * inner


def _add_gradient(
    equations: NormalEquations,
    basis: PointBasis,
    state: State,
    weights: TemporalTerm,
    moments: _Moments,
    windows: Windows,
    cross: Tensor,
    mean: Tensor,
) -> None:
    expression = slice(1 + basis.identity_count, basis.size)
    for factor, window in windows:
        rotation = state.rotation[window]
        to_expression = torch.einsum("ncb,ncbk->nk", rotation, cross[..., expression])
        with_position = torch.einsum("ncdk,nk->ncd", cross, moments.coefficients[window])  # Σλ a_c x_d
        to_rotation = torch.einsum("ncb,jbd,ncd->nj", rotation, _generators(rotation), with_position)
        to_translation = (rotation.mT @ mean[..., None])[..., 0]
        own = torch.cat([to_expression, to_rotation, to_translation], dim=-1)
        equations.frame_gradient[window, : own.shape[1]] += weights.vertices * factor[:, None] * own
