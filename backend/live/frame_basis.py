"""What of a person's head one picture's solve looks at, as plain arrays: made once, used for every picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.fitting.types import EnergyWeights
from backend.head_model.model import HeadModel
from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from backend.live.person import Person
from backend.observations.jaw_outline import load_jaw_outline
from backend.observations.point_pairs import load_pair_table

F64 = NDArray[np.float64]
POINTS = "mediapipe478"
POSE, GAZE = 6, 4
"""Unknowns of the head's pose and of both eyes' angles, which come after a frame's K expressions, in this order."""


@dataclass(frozen=True, eq=False)
class FrameBasis:
    """N = Ns + Ne points of the face in head space, metres: x = point + columns · φ, those of eyes turned about theirs.

    ``skin (Ns,3)``, ``skin_columns (Ns,3,K)``, ``eye (Ne,3)``, ``eye_columns (Ne,3,K)``, ``eye_side (Ne,)`` 0 left,
    1 right, ``eye_joint (2,3)``; ``skin_index`` and ``eye_index`` are their places among the N. ``lower``, ``upper
    (K,)`` bound φ. ``prior (K+4,K+4)`` is the quadratic form on (φ, gaze) of a face that is seen, ``eye_prior
    (2,K+4,K+4)`` those of each eye that is (``fitting.point_basis``); ``sealed`` the places of mouthClose and jawOpen;
    ``closure (2,K)`` how far an action closes each eye's lids; ``opposed (K,K)`` 1 for two actions that cannot act at
    once, and ``opposed_convex`` the curvature of the convex part of that; ``sparse (K,)`` the actions that are off
    unless seen. ``first``, ``second (P,)`` and ``outline (Q,)`` are places among the skin's points of pairs and of the
    jaw's outline.
    """

    names: tuple[str, ...]
    skin: F64
    skin_columns: F64
    skin_index: NDArray[np.int64]
    eye: F64
    eye_columns: F64
    eye_index: NDArray[np.int64]
    eye_side: NDArray[np.int64]
    eye_joint: F64
    lower: F64
    upper: F64
    prior: F64
    eye_prior: F64
    sealed: tuple[int, int] | None
    closure: F64 | None
    opposed: F64
    opposed_convex: F64
    sparse: NDArray[np.bool_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    outline: NDArray[np.int64]

    @property
    def count(self) -> int:
        """K."""
        return len(self.lower)

    @property
    def points(self) -> int:
        """N."""
        return len(self.skin_index) + len(self.eye_index)

    @property
    def neutral(self) -> F64:
        """(N,3) the points at rest, in their own order."""
        points = np.empty((self.points, 3))
        points[self.skin_index], points[self.eye_index] = self.skin, self.eye
        return points


def build_frame_basis(person: Person, weights: EnergyWeights) -> FrameBasis:
    """The basis of a person at MediaPipe's points, by the fit's own (``build_point_basis``)."""
    import torch

    from backend.fitting.point_basis import build_point_basis

    head = person.own_head()
    basis = build_point_basis(head, (head.landmarks[POINTS],), weights, 0, None, torch.device("cpu"))
    skin, eye, joint = (part.numpy() for part in (basis.skin, basis.eye, basis.eye_joint))
    skin_index = basis.skin_index.numpy()
    pairs = load_pair_table()
    return FrameBasis(
        names=head.expression_names,
        skin=np.ascontiguousarray(skin[..., 0]),
        skin_columns=np.ascontiguousarray(skin[..., 1:]),
        skin_index=skin_index,
        eye=np.ascontiguousarray(eye[..., 0]),
        eye_columns=np.ascontiguousarray(eye[..., 1:]),
        eye_index=basis.eye_index.numpy(),
        eye_side=basis.eye_side.numpy(),
        eye_joint=np.ascontiguousarray(joint[..., 0]),
        lower=basis.lower.numpy(),
        upper=basis.upper.numpy(),
        prior=basis.prior.numpy(),
        eye_prior=basis.eye_prior.numpy(),
        sealed=basis.sealed,
        closure=None if basis.closure is None else basis.closure.numpy(),
        opposed=(opposed := _opposed(head)),
        opposed_convex=opposed + np.diag(opposed.sum(axis=0)),
        sparse=(head.expression_bounds[:, 0] == 0) & np.array(["Look" not in name for name in head.expression_names]),
        first=np.searchsorted(skin_index, pairs.first),
        second=np.searchsorted(skin_index, pairs.second),
        outline=np.searchsorted(skin_index, load_jaw_outline().points),
    )


def _opposed(head: HeadModel) -> F64:
    names = head.expression_names
    opposed = np.zeros((len(names), len(names)))
    for one, other in OPPOSED_ACTIONS:
        if one in names and other in names:
            i, j = names.index(one), names.index(other)
            opposed[i, j] = opposed[j, i] = 1.0
    return opposed
