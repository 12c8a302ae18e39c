"""The priors of curves that an animator can use: the witness's word, sparse actions, and opposites."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.fitting.action_witness import Witness
from backend.fitting.terms.sparse import OpposedActions, SparseActions
from backend.fitting.terms.types import Term
from backend.fitting.terms.witness import WitnessTerm
from backend.fitting.types import EnergyWeights
from backend.head_model.model import HeadModel
from backend.head_model.opposed_actions import OPPOSED_ACTIONS


def action_priors(
    head: HeadModel,
    weights: EnergyWeights,
    found: NDArray[np.bool_],
    witness: Witness | None,
    device: torch.device,
) -> list[Term]:
    """The terms for a head's actions in the frames ``found (T,)``; none where its expressions are no ARKit actions.

    Actions are sparse where a witness tells of them. Without one, nobody but the points says what is on, and what they
    show faintly would be lost: of browInnerUp at 0.5, seen with a σ of 4 pixels, 0.08 were left.
    """
    names = head.expression_names
    terms: list[Term] = []
    pairs = [[names.index(name) for name in pair] for pair in OPPOSED_ACTIONS if set(pair) <= set(names)]
    if pairs:
        opposed = torch.zeros(len(names), len(names), dtype=torch.float64, device=device)
        for one, other in pairs:
            opposed[one, other] = opposed[other, one] = 1
        seen = torch.as_tensor(found, dtype=torch.float64, device=device)
        terms.append(OpposedActions(opposed, weights.opposed_actions * seen))
    if witness is not None:
        target, precision = (torch.as_tensor(a, device=device) for a in (witness.target, witness.precision))
        terms.append(WitnessTerm(target, weights.witness * precision, weights.witness_robust_scale))
        counts = torch.as_tensor(_sparse(head), device=device) * (precision > 0).any(dim=1, keepdim=True)
        terms.append(SparseActions(weights.sparse_actions * counts.to(precision.dtype), weights.sparse_knee))
    return terms


def _sparse(head: HeadModel) -> NDArray[np.bool_]:
    """(K_ex,) actions of 0 or more; how strong the eyeLook actions are, the gaze says."""
    looks = np.array(["Look" in name for name in head.expression_names])
    return np.asarray((head.expression_bounds[:, 0] == 0) & ~looks)
