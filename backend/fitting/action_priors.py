"""The priors of curves that an animator can use: the witness's word, sparse actions, and opposites."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.action_witness import Witness
from backend.fitting.terms.sparse import OpposedActions, SparseActions
from backend.fitting.terms.types import Term
from backend.fitting.terms.witness import WitnessTerm
from backend.fitting.types import EnergyWeights
from backend.head_model.model import HeadModel
from backend.head_model.opposed_actions import OPPOSED_ACTIONS

# On rendered dev people of known weights (MakeHuman's, extremes) the fading brings correlation from 0.637 to 0.673 and
# mean error from 0.083 to 0.084; from untold actions alone 0.657, from told ones alone 0.668. In calm frames, whose
# weights should be 0, they add up to 0.72 instead of 0.44.
TOLD_ON = 0.3  # strength told from which the sparse prior has the least share
BUSY = 3.0  # sum of what is told of all sparse actions from which it has the least share in untold ones
LEAST_SHARE = 0.1


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
        share = _kept_off(torch.as_tensor(_sparse(head), device=device), target, precision)
        terms.append(SparseActions(weights.sparse_actions * share, weights.sparse_knee))
    return terms


def _kept_off(sparse: Tensor, target: Tensor, precision: Tensor) -> Tensor:
    """(T,K_ex) share of the sparse prior that each action feels, of those that are ``sparse (K_ex,)``.

    A prior of nobody's word fades where there is a word: from an action as strongly as the witness tells it (``target``
    and ``precision (T,K_ex)``), and from actions of which it can never tell as busily as the rest of the face is told.
    """
    told = precision > 0
    busy = (target * (told & sparse)).sum(dim=1, keepdim=True)
    share = torch.where(told, 1 - target / TOLD_ON, 1 - busy / BUSY).clamp(min=LEAST_SHARE)
    return share * (sparse & told.any(dim=1, keepdim=True))


def _sparse(head: HeadModel) -> NDArray[np.bool_]:
    """(K_ex,) actions of 0 or more; how strong the eyeLook actions are, the gaze says."""
    looks = np.array(["Look" in name for name in head.expression_names])
    return np.asarray((head.expression_bounds[:, 0] == 0) & ~looks)
