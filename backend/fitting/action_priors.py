"""The priors of curves that an animator can use: which actions are sparse, and which oppose each other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.fitting.terms.sparse import OpposedActions, SparseActions
from backend.fitting.terms.types import Term
from backend.fitting.types import EnergyWeights
from backend.head_model.model import HeadModel
from backend.head_model.opposed_actions import OPPOSED_ACTIONS


def action_priors(
    head: HeadModel, weights: EnergyWeights, found: NDArray[np.bool_], device: torch.device
) -> list[Term]:
    """The terms for a head's actions in the frames ``found (T,)``; none where its expressions are not bounded actions.

    The eyeLook actions are not sparse: the gaze says how strong they are.
    """
    names = head.expression_names
    counts = (head.expression_bounds[:, 0] == 0) & np.array(["Look" not in name for name in names])
    seen = torch.as_tensor(found, dtype=torch.float64, device=device)
    terms: list[Term] = []
    if counts.any():
        each = torch.as_tensor(counts, dtype=torch.float64, device=device)
        terms.append(SparseActions(weights.sparse_actions * seen[:, None] * each))
    pairs = [[names.index(name) for name in pair] for pair in OPPOSED_ACTIONS if set(pair) <= set(names)]
    if pairs:
        first, second = torch.tensor(pairs, device=device).T
        terms.append(OpposedActions(first, second, weights.opposed_actions * seen))
    return terms
