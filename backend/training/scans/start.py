"""The open head brought near a scan: pose, size, identity and actions, by landmarks and then by the surface itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from backend.head_model.lids import BLINKS
from backend.head_model.model import HeadModel, SurfacePoints, actions_of
from backend.head_model.registration.parts import Parts
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]

IDENTITY_MODES = 60
LANDMARK_ROUNDS, SURFACE_ROUNDS = 10, 8
ACTION_SIGMA = 0.35
"""Prior of an action's strength, whose bounds are 0 and 1: a scan shows few of them at once."""
SURFACE_SIGMA = 0.001
"""Metres. Neighbouring vertices say the same, so that one counts as less sure than the scanner is."""
REACH = (0.025, 0.008)
"""Metres from a vertex to the scan's nearest surface that pulls it, in the first and the last round."""
_AGREEMENT = 0.5
_LEFT_OUT = ("eyeLook", "tongueOut")  # what skin does not show


@dataclass(frozen=True, eq=False)
class Shapes:
    """What the fit may choose from: ``base (V,3)`` plus ``basis (K,V,3)``, K identity modes and skin's actions.

    ``sigma (K,)`` is the prior of their strengths, which stay between ``low (K,)`` and ``high (K,)``: actions in 0…1.
    """

    base: F64
    basis: F64
    sigma: F64
    low: F64
    high: F64

    @classmethod
    def of_head(cls, head: HeadModel, shut: tuple[bool, bool] = (False, False)) -> Shapes:
        """Any person's face with any expression; the subject's (left, right) eye closed where ``shut``."""
        identity = head.shape_basis[:IDENTITY_MODES].astype(np.float64)
        free = np.full(len(identity), np.inf)
        actions = cls.of_person(head, head.template.astype(np.float64), 1.0, shut)
        return cls(
            actions.base,
            np.concatenate([identity, actions.basis]),
            np.concatenate([np.ones(len(identity)), actions.sigma]),
            np.concatenate([-free, actions.low]),
            np.concatenate([free, actions.high]),
        )

    @classmethod
    def of_person(cls, head: HeadModel, neutral: F64, scale: float, shut: tuple[bool, bool] = (False, False)) -> Shapes:
        """Any expression of a person whose neutral (V,3), metres, is known, as the open head is turned.

        ``scale`` is the neutral's over the open head's.
        """
        names, basis = actions_of(head)
        kept = [n for n, name in enumerate(names) if not name.startswith(_LEFT_OUT)]
        low = np.zeros(len(kept))
        for closed, name in zip(shut, BLINKS, strict=True):
            if closed and name in names:
                low[kept.index(names.index(name))] = 0.999
        sigma = np.full(len(kept), ACTION_SIGMA)
        return cls(neutral, scale * basis[kept].astype(np.float64), sigma, low, np.ones(len(kept)))

    def at(self, strengths: F64) -> F64:
        """Vertices (V,3)."""
        return np.asarray(self.base + np.tensordot(strengths, self.basis, axes=1))


@dataclass(frozen=True, eq=False)
class Start:
    """The fitted head: ``vertices (V,3)`` on the scan, before it (``shaped``) in the open head's frame, ``move``."""

    vertices: F64
    shaped: F64
    move: Similarity
    strengths: F64


def fit_start(
    shapes: Shapes,
    parts: Parts,
    triangles: NDArray[np.int32],
    on: SurfacePoints,
    wanted: F64,
    sigma: F64,
    target: MeshSurface,
    drawn: NDArray[np.bool_],
    *,
    scaled: bool = True,
    on_round: Callable[[float], None] = lambda _: None,
) -> Start:
    """The head whose points ``on (N,)`` come to ``wanted (N,3)``, known to ``sigma (N,)`` metres, and then its surface.

    ``drawn (V,)`` vertices are pulled towards ``target``'s nearest point. Everything is in metres. Unless ``scaled``
    the head keeps its size.
    """
    index = np.flatnonzero(drawn & parts["outer"])
    corners = triangles[on.triangle]
    weights = on.barycentric.astype(np.float64)
    points = np.einsum("nk,nkc->nc", weights, shapes.base[corners])
    basis = np.einsum("nk,bnkc->bnc", weights, shapes.basis[:, corners])
    strengths = np.zeros(len(shapes.basis))
    trust = 1 / sigma**2
    total = LANDMARK_ROUNDS + SURFACE_ROUNDS
    move = similarity_between(points, wanted, trust, scaled=scaled)
    for n in range(LANDMARK_ROUNDS):
        move = similarity_between(points + np.tensordot(strengths, basis, axes=1), wanted, trust, scaled=scaled)
        rows, right = _landmark_rows(points, basis, wanted, trust, move)
        strengths = _bounded(rows, right, shapes)
        on_round((n + 1) / total)
    for n in range(SURFACE_ROUNDS):
        reach = REACH[0] * (REACH[1] / REACH[0]) ** (n / max(SURFACE_ROUNDS - 1, 1))
        now = move.apply(shapes.at(strengths))
        pulled, goal, normal, strength = _pulled(now, triangles, index, target, reach)
        marks = points + np.tensordot(strengths, basis, axes=1)
        places = np.concatenate([marks, move.undo(now[pulled])])
        goals = np.concatenate([wanted, goal])
        share = np.concatenate([trust, strength / SURFACE_SIGMA**2 * 0.3])
        move = similarity_between(places, goals, share, scaled=scaled)
        rows, right = _landmark_rows(points, basis, wanted, trust, move)
        more, more_right = _surface_rows(shapes, pulled, goal, normal, strength, move)
        strengths = _bounded(rows + more, right + more_right, shapes)
        on_round((LANDMARK_ROUNDS + n + 1) / total)
    shaped = shapes.at(strengths)
    return Start(move.apply(shaped), shaped, move, strengths)


def _pulled(
    now: F64, triangles: NDArray[np.int32], index: NDArray[np.intp], target: MeshSurface, reach: float
) -> tuple[NDArray[np.intp], F64, F64, F64]:
    """Which vertices the scan pulls, where to, the surface's normals there, and how much."""
    normals = vertex_normals(now, triangles)[index]
    foot = target.closest_nearby(now[index], normals)
    facing = target.normals[foot.triangle]
    kept = (foot.distance < reach) & (np.einsum("nc,nc->n", facing, normals) > _AGREEMENT)
    strength = 1 / (1 + (foot.distance[kept] / (0.5 * reach)) ** 2)
    return index[kept], foot.position[kept], facing[kept], strength


def _landmark_rows(points: F64, basis: F64, wanted: F64, trust: F64, move: Similarity) -> tuple[F64, F64]:
    """Normal equations (K,K) and (K,) of the landmarks."""
    left = (move.undo(wanted) - points) * np.sqrt(trust)[:, None] * move.scale
    rows = (basis * np.sqrt(trust)[:, None] * move.scale).reshape(len(basis), -1)
    return rows @ rows.T, rows @ left.ravel()


def _surface_rows(
    shapes: Shapes, pulled: NDArray[np.intp], goal: F64, normal: F64, strength: F64, move: Similarity
) -> tuple[F64, F64]:
    """Normal equations of the distances along the scan's normals."""
    across = normal @ move.rotation  # in the open head's frame
    root = np.sqrt(strength) * move.scale / SURFACE_SIGMA * 0.3
    rows = np.einsum("bnc,nc->bn", shapes.basis[:, pulled], across) * root
    left = np.einsum("nc,nc->n", move.undo(goal) - shapes.base[pulled], across) * root
    return rows @ rows.T, rows @ left


def _bounded(matrix: F64, right: F64, shapes: Shapes) -> F64:
    """The strengths (K,) within their bounds that cost least."""
    matrix = matrix + np.diag(1 / shapes.sigma**2)
    root = np.linalg.cholesky(matrix).T
    found = lsq_linear(root, np.linalg.solve(root.T, right), (shapes.low, shapes.high), tol=1e-4, max_iter=50)
    return np.asarray(found.x)
