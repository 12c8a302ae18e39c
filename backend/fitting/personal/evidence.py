"""What the points say of the actions' shapes, given how strongly each is on: a linear least-squares problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.personal.unknowns import PRIOR, PersonalUnknowns
from backend.fitting.problem import Problem
from backend.fitting.side_by_side import side_by_side
from backend.fitting.state import State
from backend.fitting.terms.points import PointsTerm

F64 = NDArray[np.float64]

KERNEL = 3.0
"""Times the fit's robust scale: points that no action takes where they are seen are what corrections are for."""
CONSTANT = 0.006  # m; σ of what a point is off by in all frames: that is no action's
LEAST = 0.02  # strength below which an action is off


def strengths_of(state: State, unknowns: PersonalUnknowns) -> Tensor:
    """(T,A) how strongly the actions are on in each frame."""
    index = torch.as_tensor(unknowns.actions, device=state.expression.device)
    strength = state.expression[:, index]
    return torch.where(strength > LEAST, strength, torch.zeros_like(strength))


def normal_equations(problem: Problem, state: State, unknowns: PersonalUnknowns) -> tuple[F64, F64]:
    """The matrix (n,n) and the gradient (n,) of E_A by the coefficients, at ``state`` as it is.

    Every observation of a point adds its 3×3 weight in head space (DESIGN §6), so that Σ_t φ_k φ_l W_i(t) is all that
    is needed of the frames. What a point is off by in all frames alike (σ ``CONSTANT``) is minimised over.
    """
    weight, gradient = _per_point(problem, state, unknowns)
    columns = torch.as_tensor(unknowns.at_points, device=weight.device)
    parts = [unknowns.columns(i) for i in range(len(unknowns.actions))]
    moved = torch.stack([columns[:, :, part].abs().amax(dim=(1, 2)) > 0 for part in parts])
    matrix = columns.new_zeros(columns.shape[2], columns.shape[2])
    for i, one in enumerate(parts):
        for j, other in enumerate(parts[i:], i):
            both = (moved[i] & moved[j]).nonzero()[:, 0]  # brows and lips have none
            if len(both):
                pulled = (weight[both, i, :, j] @ columns[both, :, other]).flatten(0, 1)
                matrix[one, other] = columns[both, :, one].flatten(0, 1).T @ pulled
                matrix[other, one] = matrix[one, other].T
    pull = [gradient[:, i].flatten() @ columns[:, :, part].flatten(0, 1).double() for i, part in enumerate(parts)]
    return matrix.double().cpu().numpy(), torch.cat(pull).cpu().numpy()


def _per_point(problem: Problem, state: State, unknowns: PersonalUnknowns) -> tuple[Tensor, Tensor]:
    """The weight (N,A,3,A,3), single, and the gradient (N,A,3) of E_A by each action's displacement of each point."""
    data = problem.term(PointsTerm)
    data = replace(data, robust_scale=KERNEL * data.robust_scale)
    on = strengths_of(state, unknowns)
    strength = torch.cat([on.new_ones(len(on), 1), on], dim=1)  # the constant is always on
    count = strength.shape[1]
    first, second = torch.triu_indices(count, count, device=on.device)

    def of_chunk(frames: slice) -> tuple[Tensor, Tensor]:
        weight, gradient = data.skin_pull(problem.basis, state, frames)
        own = strength[frames]
        pairs = (own[:, first] * own[:, second]).float()
        return pairs.T @ weight.flatten(1).float(), own.T @ gradient.flatten(1)

    weights, gradients = zip(*side_by_side(of_chunk, data.chunks(), data.mu), strict=True)
    packed = torch.stack(weights).sum(0).reshape(len(first), -1, 3, 3)
    whole = packed.new_zeros(packed.shape[1], count, 3, count, 3)
    whole[:, first, :, second] = packed
    whole[:, second, :, first] = packed
    gradient = torch.stack(gradients).sum(0).reshape(count, -1, 3).transpose(0, 1)
    prior = PRIOR * len(on) / CONSTANT**2
    inverse = torch.linalg.inv(whole[:, 0, :, 0].double() + prior * torch.eye(3, device=on.device))
    cross = whole[:, 1:, :, 0].double()
    answer = cross @ inverse[:, None]
    less = answer.flatten(1, 2) @ cross.flatten(1, 2).mT
    weight = whole[:, 1:, :, 1:] - less.unflatten(2, (-1, 3)).unflatten(1, (-1, 3)).float()
    return weight, gradient[:, 1:] - (answer @ gradient[:, :1, :, None])[..., 0]
