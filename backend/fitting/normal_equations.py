"""Gauss–Newton normal equations of a take: an arrow of shared unknowns on a block band of frames (DESIGN §6).

Unknowns of a frame, in this order: expression (K_ex), rotation δ (3), translation τ (3), gaze (4); F in all. Shared
unknowns: identity (K_id), log focal; S in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.fitting.side_by_side import side_by_side

# Solves per step while pinning unknowns to their bounds; what still leaves them after that is clamped.
BOUND_PASSES = 2


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """H dx = −g in blocks. Frame t meets t+1 in ``next_frame[t]`` and t+2 in ``after_next[t]``; their rows are t's."""

    shared: Tensor  # (S,S)
    shared_gradient: Tensor  # (S,)
    arrow: Tensor  # (T,S,F)
    frame: Tensor  # (T,F,F)
    frame_gradient: Tensor  # (T,F)
    next_frame: Tensor  # (T-1,F,F)
    after_next: Tensor  # (T-2,F,F)

    @classmethod
    def zeros(cls, frames: int, shared_size: int, frame_size: int, like: Tensor) -> NormalEquations:
        def new(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=like.dtype, device=like.device)

        return cls(
            shared=new(shared_size, shared_size),
            shared_gradient=new(shared_size),
            arrow=new(frames, shared_size, frame_size),
            frame=new(frames, frame_size, frame_size),
            frame_gradient=new(frames, frame_size),
            next_frame=new(max(frames - 1, 0), frame_size, frame_size),
            after_next=new(max(frames - 2, 0), frame_size, frame_size),
        )

    def of_frames(self, frames: slice) -> NormalEquations:
        """These frames' own blocks, shared in memory, with shared blocks of zeros: for what is added side by side."""
        return replace(
            self,
            shared=torch.zeros_like(self.shared),
            shared_gradient=torch.zeros_like(self.shared_gradient),
            arrow=self.arrow[frames],
            frame=self.frame[frames],
            frame_gradient=self.frame_gradient[frames],
            next_frame=self.next_frame[:0],
            after_next=self.after_next[:0],
        )

    def times(self, shared: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """H times a step: ``shared (S,)`` and ``frames (T,F)``."""
        product = (self.frame @ frames[..., None])[..., 0] + shared @ self.arrow
        product[:-1] += (self.next_frame @ frames[1:, :, None])[..., 0]
        product[1:] += (self.next_frame.mT @ frames[:-1, :, None])[..., 0]
        product[:-2] += (self.after_next @ frames[2:, :, None])[..., 0]
        product[2:] += (self.after_next.mT @ frames[:-2, :, None])[..., 0]
        return self.shared @ shared + torch.einsum("tsf,tf->s", self.arrow, frames), product

    def dense(self) -> tuple[Tensor, Tensor]:
        """The same equations as one matrix and gradient, shared unknowns first: for tests and small problems."""
        frames, shared_size, frame_size = self.arrow.shape
        size = shared_size + frames * frame_size
        matrix = self.shared.new_zeros(size, size)
        matrix[:shared_size, :shared_size] = self.shared

        def place(row: int, column: int, block: Tensor) -> None:
            r, c = shared_size + row * frame_size, shared_size + column * frame_size
            matrix[r : r + frame_size, c : c + frame_size] = block
            matrix[c : c + frame_size, r : r + frame_size] = block.T

        for t in range(frames):
            place(t, t, self.frame[t])
            column = shared_size + t * frame_size
            matrix[:shared_size, column : column + frame_size] = self.arrow[t]
            matrix[column : column + frame_size, :shared_size] = self.arrow[t].T
        for t in range(frames - 1):
            place(t, t + 1, self.next_frame[t])
        for t in range(frames - 2):
            place(t, t + 2, self.after_next[t])
        return matrix, torch.cat([self.shared_gradient, self.frame_gradient.flatten()])


def _paired(
    equations: NormalEquations, free: Tensor, shared_free: Tensor, damping: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The band, block tridiagonal over frame pairs: diagonal (P,2F,2F), lower (P-1,2F,2F), right side (P,2F,S+1).

    The diagonal is damped. Frozen unknowns are taken out: zero rows and columns, unit diagonal, zero right side.
    """
    frames, shared_size, size = equations.arrow.shape
    pairs, like = (frames + 1) // 2, equations.frame
    block = like.new_zeros(pairs, 2 * size, 2 * size)
    block[:, :size, :size] = equations.frame[0::2]
    odd = equations.frame[1::2]
    block[: len(odd), size:, size:] = odd
    inside = equations.next_frame[0::2]
    block[: len(inside), :size, size:] = inside
    block[: len(inside), size:, :size] = inside.mT
    lower = like.new_zeros(max(pairs - 1, 0), 2 * size, 2 * size)
    across = equations.next_frame[1::2]
    lower[: len(across), :size, size:] = across.mT
    first, second = equations.after_next[0::2], equations.after_next[1::2]
    lower[: len(first), :size, :size] = first.mT
    lower[: len(second), size:, size:] = second.mT
    right = like.new_zeros(2 * pairs, size, shared_size + 1)
    right[:frames, :, :shared_size] = equations.arrow.mT
    right[:frames, :, :shared_size] *= shared_free
    right[:frames, :, shared_size] = equations.frame_gradient
    right = right.reshape(pairs, 2 * size, shared_size + 1)
    mask = like.new_zeros(2 * pairs, size)
    mask[:frames] = free.to(like.dtype)
    mask = mask.reshape(pairs, 2 * size)
    diagonal = block.diagonal(dim1=1, dim2=2)
    diagonal.mul_(1 + damping).add_(damping * 1e-9)
    block.mul_(mask[:, :, None]).mul_(mask[:, None])
    diagonal.add_(1 - mask)
    lower.mul_(mask[1:, :, None]).mul_(mask[:-1, None])
    right.mul_(mask[..., None])
    return block, lower, right


@dataclass(frozen=True, eq=False)
class Factorisation:
    """Cholesky factors of H + damping·diag H: block-banded over P pairs of frames, then the Schur complement.

    The band is eliminated from both ends at once, towards the pair in the ``middle``: pair k's coupling is with the
    next one before the middle and with the one before after it. ``factors`` are L's diagonal; frozen unknowns have
    unit rows.
    """

    frame_count: int
    factors: Tensor  # (P,2F,2F) lower triangular
    couplings: Tensor  # (P-1,2F,2F) between pairs k and k+1; columns are those of the one further from the middle
    half: Tensor  # (P,2F,S+1) = L⁻¹ [Aᵀ | g]
    schur: Tensor  # (S,S) lower Cholesky factor of the shared unknowns' Schur complement
    shared_gradient: Tensor  # (S,)
    free: Tensor  # (T,F) bool
    shared_free: Tensor  # (S,) bool

    @property
    def inwards(self) -> tuple[range, range]:
        """The pairs on either side of the middle, in the order of their elimination."""
        return _inwards(len(self.factors))

    @property
    def outwards(self) -> tuple[range, range]:
        """The pairs on either side of the middle, from there to the ends."""
        first, last = self.inwards
        return first[::-1], last[::-1]

    @property
    def middle(self) -> int:
        """The pair that is eliminated last."""
        return len(self.factors) // 2

    def backward(self, side: Tensor) -> Tensor:
        """L⁻ᵀ times ``side (P,2F,R)``."""
        solved, middle = torch.empty_like(side), self.middle
        solved[middle] = torch.linalg.solve_triangular(self.factors[middle].T, side[middle], upper=True)

        def towards_end(pairs: range) -> None:
            for k in pairs:
                inner = k - pairs.step
                rest = side[k] - self.couplings[min(k, inner)].T @ solved[inner]
                solved[k] = torch.linalg.solve_triangular(self.factors[k].T, rest, upper=True)

        side_by_side(towards_end, self.outwards, side)
        return solved

    def by_frame(self, pairs: Tensor) -> Tensor:
        """The values of pairs of frames (P,2F,R) as values of frames (T,F,R)."""
        return pairs.reshape(2 * len(pairs), -1, pairs.shape[-1])[: self.frame_count]

    def step(self) -> tuple[Tensor, Tensor]:
        """The solution of (H + damping·diag H) dx = −g: shared (S,) and frames (T,F); frozen unknowns do not move."""
        size = len(self.schur)
        across, gradient = self.half[..., :size], self.half[..., size]
        rhs = torch.einsum("kis,ki->s", across, gradient) - self.shared_gradient
        shared_step = torch.cholesky_solve(rhs[:, None], self.schur)[:, 0]
        # Back substitution: band · dx = −g − Aᵀ ds, of which L⁻¹ is known already.
        reduced = -gradient - across @ shared_step
        return shared_step, self.by_frame(self.backward(reduced[..., None]))[..., 0]


def _inwards(pairs: int) -> tuple[range, range]:
    return range(pairs // 2), range(pairs - 1, pairs // 2, -1)


def _cholesky(matrix: Tensor, failures: list[Tensor]) -> Tensor:
    """The lower factor; what went wrong joins ``failures``, as asking at once would stall a GPU at every block."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    failures.append(info)
    return factor


@dataclass(frozen=True, eq=False)
class _Band:
    """The band (``_paired``) while it is factorised: each block is read once, so its factor takes its place."""

    block: Tensor
    lower: Tensor
    right: Tensor
    failures: list[Tensor]

    def factorise(self) -> None:
        """From both ends, which need nothing of each other, to the middle, which answers to both."""
        side_by_side(self._chain, _inwards(len(self.block)), self.block)
        middle = len(self.block) // 2
        for neighbour in (middle - 1, middle + 1):
            if 0 <= neighbour < len(self.block):
                self._answer(middle, neighbour)
        self._own(middle)

    def _chain(self, pairs: range) -> None:
        for k in pairs:
            if k != pairs.start:
                self._answer(k, k - pairs.step)
            self._own(k)
            coupling = min(k, k + pairs.step)
            rows = self.lower[coupling].T if pairs.step > 0 else self.lower[coupling]
            self.lower[coupling] = torch.linalg.solve_triangular(self.block[k], rows, upper=False).T

    def _answer(self, k: int, outer: int) -> None:
        """Take out of pair ``k`` what the one eliminated before it says."""
        coupling = self.lower[min(k, outer)]
        self.block[k] -= coupling @ coupling.T
        self.right[k] -= coupling @ self.right[outer]

    def _own(self, k: int) -> None:
        self.block[k] = _cholesky(self.block[k], self.failures)
        self.right[k] = torch.linalg.solve_triangular(self.block[k], self.right[k], upper=False)


def factorise(equations: NormalEquations, free: Tensor, shared_free: Tensor, damping: float) -> Factorisation:
    """Factors of H + damping·diag H over the free unknowns: block-banded Cholesky over pairs of frames, then Schur.

    ``free (T,F)`` and ``shared_free (S,)`` are bool. Raises ``torch.linalg.LinAlgError`` where the damped matrix is
    not positive definite.
    """
    shared_size = len(equations.shared)
    failures: list[Tensor] = []
    band = _Band(*_paired(equations, free, shared_free, damping), failures)
    band.factorise()
    across = band.right[..., :shared_size].flatten(0, 1)
    mask = shared_free.to(equations.shared.dtype)
    shared = equations.shared * mask[:, None] * mask + torch.diag(1 - mask)
    damped = shared + damping * torch.diag(shared.diagonal() + 1e-9)
    schur = _cholesky(damped - across.T @ across, failures)
    if bool(torch.stack(failures).any()):
        raise torch.linalg.LinAlgError("the damped normal equations are not positive definite")  # type: ignore[attr-defined]
    return Factorisation(
        frame_count=len(equations.frame),
        factors=band.block,
        couplings=band.lower,
        half=band.right,
        schur=schur,
        shared_gradient=equations.shared_gradient * mask,
        free=free,
        shared_free=shared_free,
    )


def solve(equations: NormalEquations, free: Tensor, shared_free: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Levenberg–Marquardt step: (H + damping·diag H) dx = −g over the free unknowns.

    Returns the shared step (S,) and the frames' steps (T,F). ``free (T,F)`` and ``shared_free (S,)`` are bool; frozen
    unknowns do not move. Raises ``torch.linalg.LinAlgError`` where the damped matrix is not positive definite.
    """
    return factorise(equations, free, shared_free, damping).step()


def solve_bounded(
    equations: NormalEquations, free: Tensor, shared_free: Tensor, damping: float, lower: Tensor, upper: Tensor
) -> tuple[Tensor, Tensor]:
    """As ``solve``, with steps of the frames' first unknowns kept within ``lower`` and ``upper`` (T,K).

    An unknown whose step would leave its bounds is put on the bound, and the others are solved again knowing that:
    clamping alone would leave them answering to a move that did not happen.
    """
    count = lower.shape[1]
    free = free.clone()
    pinned = torch.zeros_like(equations.frame_gradient)
    still = torch.zeros_like(equations.shared_gradient)
    for _ in range(BOUND_PASSES):
        pull, pulls = equations.times(still, pinned)
        loaded = replace(
            equations,
            shared_gradient=equations.shared_gradient + pull,
            frame_gradient=equations.frame_gradient + pulls,
        )
        shared_step, step = solve(loaded, free, shared_free, damping)
        below = free[:, :count] & (step[:, :count] < lower)
        above = free[:, :count] & (step[:, :count] > upper)
        if not bool((below | above).any()):
            break
        pinned[:, :count] += torch.where(below, lower, 0.0) + torch.where(above, upper, 0.0)
        free[:, :count] &= ~(below | above)
    return shared_step, torch.where(free, step, pinned)
