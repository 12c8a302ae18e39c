"""The unknowns of personal actions: which actions are corrected, by which modes, and the prior that holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.fitting.personal.modes import (
    Index,
    Modes,
    SkinFields,
    action_modes,
    interpolation,
    skin_fields,
)
from backend.head_model.lids import BLINKS, LID_PAIRS
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions

F64 = NDArray[np.float64]

# How often each full activation in the take counts against a correction. Between 0.3 and 0.05 outer brows of training
# clips go from 0.75 to 0.78 as far as the points, and jaws aside from 0.66 to 0.71.
PRIOR = 0.08
FEW = 12.0  # full activations that it counts for besides: an action that is hardly ever on stays the head's
SYMMETRY = 1.0  # on the difference of mirrored actions' corrections, in units of the prior
STRONGER = 0.15  # σ of how much stronger a whole action gets, besides what its weight says already
SATURATED = 0.6  # the same of an action that is at its bound whenever it is on
AT_BOUND = 0.95  # of the bound
LIDS_TOGETHER = 5e-5  # m; σ of how far a blink's correction takes lids apart where they meet
NEGLIGIBLE = 0.02  # of what modes move at most: points that move less are not theirs


@dataclass(frozen=True, eq=False)
class PersonalUnknowns:
    """All of them, in columns: those of each of the ``actions (A,)`` with its ``modes``.

    ``start (A+1,)`` is where each action's begin. ``at_points (N,3,n)`` metres: what a column moves at observed points.
    """

    head: HeadModel
    skin: SkinFields
    actions: Index  # among the head's expressions
    modes: tuple[Modes, ...]
    start: Index
    at_points: NDArray[np.float32]

    def columns(self, number: int) -> slice:
        """The columns of the action that is ``number`` among these."""
        return slice(int(self.start[number]), int(self.start[number + 1]))

    def corrections(self, coefficients: F64) -> F64:
        """(K_ex,V,3) metres at strength 1."""
        total = np.zeros(self.head.expression_basis.shape)
        for i, (action, modes) in enumerate(zip(self.actions, self.modes, strict=True)):
            total[action, self.skin.index] = modes.field(coefficients[self.columns(i)])
            total[action, self.skin.follow] = total[action, self.skin.lead]
        return total


def partner_of(head: HeadModel, action: int) -> int | None:
    """The right-hand counterpart of a left-hand action."""
    name = head.expression_names[action]
    other = name[:-4] + "Right"
    return head.expression_names.index(other) if name.endswith("Left") and other in head.expression_names else None


def unknowns_of(head: HeadModel, actions: Index, points: SurfacePoints) -> PersonalUnknowns:
    """The unknowns of some of the head's expressions ``actions (A,)``, seen at N surface points."""
    skin, chosen = skin_fields(head), actions.tolist()
    made: dict[int, Modes] = {}
    for action in chosen:
        if action in made:
            continue
        made[action] = action_modes(skin, head.expression_basis[action, skin.index].astype(np.float64))
        partner = partner_of(head, action)
        if partner is not None and partner in chosen:
            made[partner] = made[action].mirrored(skin.mirror)
    modes = tuple(made[action] for action in chosen)
    there = interpolation(head, points, skin)
    seen = [own.at(there) for own in modes]
    for columns in seen:
        reached = np.abs(columns).max(axis=(1, 2))
        columns[reached < NEGLIGIBLE * reached.max(initial=0)] = 0
    start = np.cumsum([0, *(columns.shape[2] for columns in seen)])
    return PersonalUnknowns(head, skin, actions, modes, start, np.concatenate(seen, axis=2).astype(np.float32))


def prior_form(unknowns: PersonalUnknowns, strengths: F64, share: float) -> F64:
    """The quadratic form (n,n) that holds coefficients to 0, given how strongly actions are on, ``strengths (T,A)``.

    It grows with Σ_t φ² as the evidence does, since landmark errors repeat whenever an action does (``EnergyWeights``).
    Each of the frames counts ``share`` times.
    """
    head = unknowns.head
    upper = head.expression_bounds[unknowns.actions, 1]
    activity = share * np.square(strengths).sum(axis=0)
    high = share * np.where(strengths > AT_BOUND * upper, np.square(strengths), 0).sum(axis=0)
    weight = PRIOR * (FEW + activity)
    form = np.zeros((int(unknowns.start[-1]),) * 2)
    order = unknowns.actions.tolist()
    for i, action in enumerate(order):
        own = np.arange(form.shape[0])[unknowns.columns(i)]
        saturated = high[i] / max(activity[i], 1e-9)
        rows = _held(unknowns, i, STRONGER + (SATURATED - STRONGER) * saturated)
        form[np.ix_(own, own)] += weight[i] * (np.eye(len(own)) + rows.T @ rows)
        partner = partner_of(head, action)
        if partner is not None and partner in order:
            j = order.index(partner)
            other = np.arange(form.shape[0])[unknowns.columns(j)]
            tie = SYMMETRY * min(weight[i], weight[j])
            form[own, own] += tie
            form[other, other] += tie
            form[own, other] -= tie
            form[other, own] -= tie
    return form


def _held(unknowns: PersonalUnknowns, number: int, stronger: float) -> F64:
    """Rows (r,m), each with a unit normal prior: the action stays as strong (σ ``stronger``) and closes lids as far."""
    head, skin, modes = unknowns.head, unknowns.skin, unknowns.modes[number]
    action = int(unknowns.actions[number])
    generic = head.expression_basis[action, skin.index].astype(np.float64)
    rows = modes.strengthening(generic, skin.seen)[None] / stronger
    name = head.expression_names[action]
    if name not in BLINKS:
        return rows
    points = head.landmarks["mediapipe478"]
    pairs = np.array(LID_PAIRS[BLINKS.index(name)]).T
    ends = [SurfacePoints(points.triangle[index], points.barycentric[index]) for index in pairs]
    upper, lower = (surface_positions(end, head.triangles, head.template).astype(np.float64) for end in ends)
    axis = (upper - lower) / np.linalg.norm(upper - lower, axis=1, keepdims=True)
    moved = [modes.at(interpolation(head, end, skin)) for end in ends]
    apart = np.einsum("na,nam->nm", axis, moved[0] - moved[1])
    return np.concatenate([rows, apart / LIDS_TOGETHER])
