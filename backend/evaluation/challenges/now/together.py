"""Several photographs of one person as one take: a shape that they share, a pose and an expression of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from backend.fitting import FitOptions, View
from backend.observations import PointSet, ViewAlignment
from backend.solving import solve_take

if TYPE_CHECKING:
    from backend.fitting import FitResult
    from backend.head_model.model import HeadModel


def one_take(seen: Sequence[ViewAlignment]) -> ViewAlignment:
    """The photographs' single frames, one after the other, too far apart in time to be smooth.

    They are taken for pictures of one camera, as phones make them: upright or lying, of whatever resolution. Each is
    scaled to the longest side of all and put in the middle of a square of that side, which keeps the optical axis in
    the middle and the focal length the same. Raises ValueError where they have not the same point sets.
    """
    if len({view.ids for view in seen}) != 1:
        raise ValueError("the photographs were aligned to different points")
    side = max(max(view.image_size) for view in seen)
    scale = np.array([side / max(view.image_size) for view in seen])
    corner = np.array([(side - np.array(view.image_size) * s) / 2 for view, s in zip(seen, scale, strict=True)])
    sets = []
    for parts in zip(*(view.point_sets for view in seen), strict=True):
        mu = np.concatenate([p.mu for p in parts]) * scale[:, None, None] + corner[:, None]
        sigma = np.concatenate([p.sigma for p in parts]) * scale[:, None]
        valid = np.concatenate([p.valid for p in parts])
        sets.append(PointSet(parts[0].id, mu.astype(np.float32), sigma.astype(np.float32), valid, parts[0].points))
    taken = ViewAlignment.of(*sets, image_size=(side, side))
    lids = [view.lid_closure for view in seen if view.lid_closure is not None]
    scores = [view.action_scores for view in seen if view.action_scores is not None]
    return replace(
        taken,
        aligner=seen[0].aligner,
        lid_closure=np.concatenate(lids) if len(lids) == len(seen) else None,
        action_scores=np.concatenate(scores) if len(scores) == len(seen) else None,
    ).far_apart()


def solve_together(head: HeadModel, seen: Sequence[ViewAlignment]) -> FitResult:
    """The fit of photographs that were ``seen``, one frame each, with a nose beyond the identity basis, as seeds/001
    has it for several views alone (§4, 3D model fitting). Raises UserError and ValueError as ``solve_take``.
    """
    return solve_take(head, [View(one_take(seen))], FitOptions(personal_actions=False, deform_region="nose")).fit
