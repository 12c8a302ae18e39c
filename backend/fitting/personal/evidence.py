"""What the points say of the actions' shapes, given how strongly each is on: a linear least-squares problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.personal.unknowns import PersonalUnknowns
from backend.fitting.problem import Problem
from backend.fitting.side_by_side import side_by_side
from backend.fitting.state import State
from backend.fitting.terms.points import PointsTerm

F64 = NDArray[np.float64]

KERNEL = 3.0
"""Times the fit's robust scale: points that no action takes where they are seen are what corrections are for."""
LEAST = 0.02  # strength below which an action is off


def strengths_of(state: State, unknowns: PersonalUnknowns) -> Tensor:
    """(T,A) how strongly the actions are on in each frame."""
    index = torch.as_tensor(unknowns.actions, device=state.expression.device)
    strength = state.expression[:, index]
    return torch.where(strength > LEAST, strength, torch.zeros_like(strength))


def normal_equations(problem: Problem, state: State, unknowns: PersonalUnknowns) -> tuple[F64, F64]:
    """The matrix (n,n) and the gradient (n,) of E_A by the coefficients, at ``state`` as it is.

    Every observation of a point adds its 3×3 weight in head space (DESIGN §6), so that Σ_t φ_k φ_l W_i(t) is all that
    is needed of the frames.
    """
    data = problem.term(PointsTerm)
    data = replace(data, robust_scale=KERNEL * data.robust_scale)
    on = strengths_of(state, unknowns)
    strength = torch.cat([on.new_ones(len(on), 1), on], dim=1)  # the constant is always on
    first, second = torch.triu_indices(strength.shape[1], strength.shape[1], device=on.device)

    def of_chunk(frames: slice) -> tuple[Tensor, Tensor]:
        weight, gradient = data.skin_pull(problem.basis, state, frames)
        own = strength[frames]
        pairs = (own[:, first] * own[:, second]).float()
        return pairs.T @ weight.flatten(1).float(), own.T @ gradient.flatten(1)

    weights, gradients = zip(*side_by_side(of_chunk, data.chunks(), data.mu), strict=True)
    weight = torch.stack(weights).sum(0).reshape(len(first), -1, 3, 3)
    gradient = torch.stack(gradients).sum(0)
    columns = torch.as_tensor(unknowns.at_points, device=on.device)
    parts = [slice(a, b) for a, b in zip(unknowns.start[:-1], unknowns.start[1:], strict=True)]
    matrix = columns.new_zeros(columns.shape[2], columns.shape[2])
    moved = torch.stack([columns[:, :, part].abs().amax(dim=(1, 2)) > 0 for part in parts])
    for pair, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        both = (moved[i] & moved[j]).nonzero()[:, 0]  # brows and lips have none
        if not len(both):
            continue
        pulled = (weight[pair, both] @ columns[both, :, parts[j]]).flatten(0, 1)
        block = columns[both, :, parts[i]].flatten(0, 1).T @ pulled
        matrix[parts[i], parts[j]] = block
        matrix[parts[j], parts[i]] = block.T
    pull = [gradient[i] @ columns[:, :, part].flatten(0, 1).double() for i, part in enumerate(parts)]
    return matrix.double().cpu().numpy(), torch.cat(pull).cpu().numpy()
