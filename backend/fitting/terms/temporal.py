"""E_temp (seeds/001 eq. 14): the acceleration of every face vertex, exactly, at the cost of a few small matrices.

World positions are x_i(t) = R_t B_i p_t + τ_t with p = (1, β, φ), so sums over vertices of products of positions and
derivatives need only the Gram matrices Σ_i λ_i B_ia B_ib of the basis, computed once (``PointBasis.face_gram``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.fitting.geometry import skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State
from backend.fitting.terms.glide import Glide

STENCIL = (1.0, -2.0, 1.0)


@dataclass(frozen=True)
class TemporalTerm:
    """½ Σ_t (w_v Σ_i λ_i |a_i(t)|² + w_g |gaze acceleration|² + w_φ |φ acceleration|²), and ``glide`` in gaps.

    The weights are precisions of accelerations per frame²: of vertices (per m², the face's weighted mean), gaze (per
    rad²), and φ. The last keeps actions that look alike from taking turns, which moves no vertex but spoils the curves.
    """

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
        squared = _residual_moments(basis, state, _moments(basis, state))[2]
        own = sum(
            weight * (x[:-2] - 2 * x[1:-1] + x[2:]).square().sum()
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
        moments = _moments(basis, state)
        cross, mean, _ = _residual_moments(basis, state, moments)
        windows = [slice(offset, offset + count) for offset in range(3)]
        own = basis.expression_count + POSE_UNKNOWNS
        for lag, blocks in enumerate((equations.frame, equations.next_frame, equations.after_next)):
            pairs = state.frame_count - lag
            inner = _between(basis, state, moments, slice(pairs), slice(lag, lag + pairs))
            blocks[:, :own, :own].addcmul_(inner, self.vertices * _products(lag, inner)[:, None, None])
        _add_shared(equations, basis, state, self, moments, windows, cross)
        _add_gradient(equations, basis, state, self, moments, windows, cross, mean)
        _add_own(equations, state.expression, 0, self.expression)
        _add_own(equations, state.gaze, own, self.gaze)

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: every frame of a take of three or more; of a shorter one where there is a gap."""
        accelerated = torch.full((frames,), frames >= 3)
        return accelerated if self.glide is None else accelerated | self.glide.speaks_in(frames)


def _products(lag: int, like: Tensor) -> Tensor:
    """(n,) for n pairs of frames ``lag`` apart: Σ over the stencils that hold both of the product of their factors."""
    factors = like.new_tensor(STENCIL)
    products = factors[: len(STENCIL) - lag] * factors[lag:]
    stencils = like.new_ones(1, 1, len(like) - len(products) + 1)
    return torch.nn.functional.conv1d(stencils, products.flip(0)[None, None], padding=len(products) - 1)[0, 0]


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


def _residual_moments(basis: PointBasis, state: State, moments: _Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Of the accelerations a_i (T-2 of them): Σλ a_c B_bk (n,3,3,K), Σλ a (n,3), and Σλ |a|² (n,)."""
    turned = torch.einsum("tca,tabk->tcbk", state.rotation, moments.cross)
    world = turned + state.translation[:, :, None, None] * basis.face_sum
    mean = (state.rotation @ moments.first[..., None])[..., 0] + state.translation
    count = state.frame_count - 2

    def second_difference(x: Tensor) -> Tensor:
        return x[:count] - 2 * x[1 : count + 1] + x[2:]

    cross, mean = second_difference(world), second_difference(mean)
    squared = cross.new_zeros(count)
    for offset, factor in enumerate(STENCIL):
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


def _add_own(equations: NormalEquations, values: Tensor, first: int, weight: float) -> None:
    """The acceleration of unknowns (T,n) themselves, which begin at ``first`` among a frame's."""
    count, size = values.shape[0] - 2, values.shape[1]
    bent = values[:-2] - 2 * values[1:-1] + values[2:]
    diagonal = torch.arange(first, first + size, device=values.device)
    blocks = {0: equations.frame, 1: equations.next_frame, 2: equations.after_next}
    for i, factor in enumerate(STENCIL):
        equations.frame_gradient[i : i + count, first : first + size] += weight * factor * bent
        for j in range(i, 3):
            blocks[j - i][i : i + count, diagonal, diagonal] += weight * factor * STENCIL[j]


def _add_shared(
    equations: NormalEquations,
    basis: PointBasis,
    state: State,
    weights: TemporalTerm,
    moments: _Moments,
    windows: list[slice],
    cross: Tensor,
) -> None:
    identity = slice(1, 1 + basis.identity_count)
    own = basis.expression_count + POSE_UNKNOWNS
    bent = sum(factor * state.rotation[w] for factor, w in zip(STENCIL, windows, strict=True))
    assert isinstance(bent, Tensor)
    gram = basis.face_gram[:, :, identity, identity]
    count = basis.identity_count
    equations.shared[:count, :count] += weights.vertices * torch.einsum("nca,ncb,abkl->kl", bent, bent, gram)
    equations.shared_gradient[:count] += weights.vertices * torch.einsum("ncb,ncbk->k", bent, cross[..., identity])
    for factor, window in zip(STENCIL, windows, strict=True):
        relative = bent.mT @ state.rotation[window]
        inner = _against(basis, relative, identity, moments, window)
        equations.arrow[window, :count, :own] += weights.vertices * factor * inner


def _add_gradient(
    equations: NormalEquations,
    basis: PointBasis,
    state: State,
    weights: TemporalTerm,
    moments: _Moments,
    windows: list[slice],
    cross: Tensor,
    mean: Tensor,
) -> None:
    expression = slice(1 + basis.identity_count, basis.size)
    for factor, window in zip(STENCIL, windows, strict=True):
        rotation = state.rotation[window]
        to_expression = torch.einsum("ncb,ncbk->nk", rotation, cross[..., expression])
        with_position = torch.einsum("ncdk,nk->ncd", cross, moments.coefficients[window])  # Σλ a_c x_d
        to_rotation = torch.einsum("ncb,jbd,ncd->nj", rotation, _generators(rotation), with_position)
        to_translation = (rotation.mT @ mean[..., None])[..., 0]
        own = torch.cat([to_expression, to_rotation, to_translation], dim=-1)
        equations.frame_gradient[window, : own.shape[1]] += weights.vertices * factor * own
