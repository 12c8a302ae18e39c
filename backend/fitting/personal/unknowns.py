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
    constant_modes,
    interpolation,
    skin_fields,
)
from backend.head_model.lids import BLINKS, LID_PAIRS
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions

F64 = NDArray[np.float64]

PRIOR = 0.3  # how often each full activation in the take counts against a correction
FEW = 8.0  # full activations that it counts for besides: an action that is hardly ever on stays the head's
SYMMETRY = 1.0  # on the difference of mirrored actions' corrections, in units of the prior
CONSTANT = 0.003  # m; σ of what the points are off by in all frames, which is no action's
STRONGER = 0.15  # σ of how much stronger a whole action gets, besides what its weight says already
SATURATED = 0.6  # the same of an action that is at its bound whenever it is on
AT_BOUND = 0.95  # of the bound
SEALED = 1e4  # times the prior: a blink's correction moves both lids alike where they meet
LID_OPENING = 0.005  # m
MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class ActionUnknowns:
    """One action's coefficients: expression ``action``, its ``modes``, those of the other side's where ``mirrored``."""

    action: int
    modes: Modes
    mirrored: bool

    def field(self, skin: SkinFields, coefficients: F64) -> F64:
        """(n,3) metres on the skin."""
        own = self.modes.field(coefficients)
        return own[skin.mirror] * MIRROR if self.mirrored else own

    def everywhere(self, skin: SkinFields) -> F64:
        """(n,3,m) the modes on the skin."""
        own = self.modes.everywhere()
        return own[skin.mirror] * MIRROR[:, None] if self.mirrored else own


@dataclass(frozen=True, eq=False)
class PersonalUnknowns:
    """All of them, in columns: the constant's first, then action by action from ``start (A+2,)``.

    ``at_points (N,3,n)`` metres: what each column moves at the observed points. ``prior (n,n)`` without strengths.
    """

    head: HeadModel
    skin: SkinFields
    constant: Modes
    actions: tuple[ActionUnknowns, ...]
    start: Index
    at_points: NDArray[np.float32]

    @property
    def indices(self) -> Index:
        """(A,) the actions among the head's expressions."""
        return np.array([own.action for own in self.actions], np.int64)

    def corrections(self, coefficients: F64) -> F64:
        """(K_ex,V,3) metres at strength 1."""
        total = np.zeros(self.head.expression_basis.shape)
        for i, own in enumerate(self.actions, 1):
            total[own.action, self.skin.index] = own.field(self.skin, coefficients[self.start[i] : self.start[i + 1]])
            total[own.action, self.skin.follow] = total[own.action, self.skin.lead]
        return total


def partner_of(head: HeadModel, action: int) -> int | None:
    """The right-hand counterpart of a left-hand action."""
    name = head.expression_names[action]
    other = name[:-4] + "Right"
    return head.expression_names.index(other) if name.endswith("Left") and other in head.expression_names else None


def unknowns_of(head: HeadModel, actions: Index, points: SurfacePoints) -> PersonalUnknowns:
    """The unknowns of some of the head's expressions ``actions (A,)``, seen at N surface points."""
    skin, chosen = skin_fields(head), actions.tolist()
    made: dict[int, ActionUnknowns] = {}
    for action in chosen:
        if action in made:
            continue
        modes = action_modes(skin, head.expression_basis[action, skin.index].astype(np.float64))
        made[action] = ActionUnknowns(action, modes, False)
        partner = partner_of(head, action)
        if partner is not None and partner in chosen:
            made[partner] = ActionUnknowns(partner, modes, True)
    ordered = tuple(made[action] for action in chosen)
    constant = constant_modes(skin, CONSTANT)
    there = interpolation(head, points, skin)
    seen = [
        (there @ fields.reshape(len(fields), -1)).reshape(len(points), 3, -1).astype(np.float32)
        for fields in (constant.everywhere(), *(own.everywhere(skin) for own in ordered))
    ]
    start = np.cumsum([0, *(fields.shape[2] for fields in seen)])
    return PersonalUnknowns(head, skin, constant, ordered, start, np.concatenate(seen, axis=2))


def prior_form(unknowns: PersonalUnknowns, strengths: F64) -> F64:
    """The quadratic form (n,n) that holds coefficients to 0, given how strongly actions are on, ``strengths (T,A)``.

    It grows with Σ_t φ² as the evidence does, since landmark errors repeat whenever an action does (``EnergyWeights``).
    """
    head, skin = unknowns.head, unknowns.skin
    upper = head.expression_bounds[unknowns.indices, 1]
    activity = np.square(strengths).sum(axis=0)
    high = np.where(strengths > AT_BOUND * upper, np.square(strengths), 0).sum(axis=0) / np.maximum(activity, 1e-9)
    weight = PRIOR * (FEW + activity)
    size = int(unknowns.start[-1])
    form = np.zeros((size, size))
    own = np.arange(unknowns.start[1])
    form[own, own] = PRIOR * len(strengths)
    order = unknowns.indices.tolist()
    for i, action in enumerate(unknowns.actions):
        own = np.arange(unknowns.start[i + 1], unknowns.start[i + 2])
        block = np.ix_(own, own)
        fields = action.everywhere(skin)
        generic = head.expression_basis[action.action, skin.index].astype(np.float64)
        counted = skin.seen[:, None] * generic
        stronger = np.einsum("na,nam->m", counted, fields) / (counted * generic).sum()
        rows = [stronger / (STRONGER + (SATURATED - STRONGER) * high[i])]
        if head.expression_names[action.action] in BLINKS:
            rows += list(np.sqrt(SEALED) * _closing(unknowns, action) / LID_OPENING)
        form[block] += weight[i] * (np.eye(len(own)) + np.transpose(rows) @ np.array(rows))
        partner = partner_of(head, action.action)
        if partner in order:
            j = order.index(partner)
            other = np.arange(unknowns.start[j + 1], unknowns.start[j + 2])
            tie = SYMMETRY * min(weight[i], weight[j])
            form[own, own] += tie
            form[other, other] += tie
            form[own, other] -= tie
            form[other, own] -= tie
    return form


def _closing(unknowns: PersonalUnknowns, action: ActionUnknowns) -> F64:
    """(P,m) metres by which a blink's modes take the facing points of its lids apart."""
    head, skin = unknowns.head, unknowns.skin
    points = head.landmarks["mediapipe478"]
    eye = BLINKS.index(head.expression_names[action.action])
    ends = [SurfacePoints(points.triangle[index], points.barycentric[index]) for index in np.array(LID_PAIRS[eye]).T]
    upper, lower = (surface_positions(end, head.triangles, head.template).astype(np.float64) for end in ends)
    axis = (upper - lower) / np.linalg.norm(upper - lower, axis=1, keepdims=True)
    fields = action.everywhere(skin)
    moved = [
        (interpolation(head, end, skin) @ fields.reshape(len(fields), -1)).reshape(len(axis), 3, -1) for end in ends
    ]
    return np.einsum("na,nam->nm", axis, moved[0] - moved[1])
