"""ARKit-52 weights of any head's expression, so that every track drives every ARKit rig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from backend.head_model.lids import BLINKS, closure_of, lid_closure
from backend.head_model.model import HeadModel, SurfacePoints, actions_of, surface_positions
from protocol.face_actions import ARKIT_ACTIONS

RIDGE = 5e-5
"""On each weight squared, in units of what the action itself moves. It settles what actions share: on the open head the
least determined mixture of actions has 2e-3 of the curvature of a single one, and loses 3 % to this."""

SYMMETRY = 5e-5
"""On the difference of a left and a right action, in the same units; no more than a tie-breaker."""

LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))
"""Facing points of the upper and the lower lip's inner edge in mediapipe478."""

LIP_GAP = 0.03
"""The weight of the gap between two facing points of the lips, as a share of all vertices.

A millimetre between lips that should touch is seen where a millimetre on a cheek is not.
"""

_OPPOSED = {"jawLeft", "jawRight", "mouthLeft", "mouthRight"}  # one action in two directions, not one on each side
_CHUNK = 1024  # frames solved at once: 22 MB of matrices
_TOLERANCE = 1e-9  # on the optimality conditions, in units of the largest curvature
_PATIENCE = 3  # full exchanges without progress before they are made one by one (Júdice and Pires 1994)
_EXCHANGES = 400  # usual problems take about ten; what rounding keeps from ending is finished by coordinate descent
_FIRST_SWEEPS, _LAST_SWEEPS = 8, 2000  # of coordinate descent: to begin near the answer, and instead of pivoting
_LID_PASSES = 2  # each frees actions that need not close the lids any more, and leaves more to the blink

FloatArray = NDArray[np.float64]


def solve_action_weights(
    head: HeadModel, expression: NDArray[np.floating[Any]], gaze: NDArray[np.floating[Any]] | None = None
) -> NDArray[np.float32]:
    """The weights (T,52) in 0…1, in the order of ``ARKIT_ACTIONS``, of expressions (T,K_ex) of a head.

    They are the bounded least-squares solution: the head's ``actions_of``, so weighted, come closest to its expression
    offsets. A vertex counts by ``vertex_weight``, eyeballs not at all, gaps between the lips extra. The eight eyeLook
    actions follow the eyes (``gaze (T,2,2)`` = (left, right) × (yaw, pitch), radians, full at ``FULL_LOOK_ANGLE``; None
    looks ahead), and the others explain what their lids leave. eyeBlink closes the lids as far as the expression does
    once all others have done their part: closed lids give closed lids on any rig. Where every expression is itself an
    ARKit action, the weights are the expression's own coefficients. Actions that the head lacks stay 0.

    Raises ``ValueError`` where the shapes do not belong to this head and to each other.
    """
    coefficients = np.asarray(expression, np.float64)
    if coefficients.ndim != 2 or coefficients.shape[1] != len(head.expression_names):
        raise ValueError(
            f"expression has shape {coefficients.shape}, the head {len(head.expression_names)} expressions"
        )
    if gaze is not None and np.shape(gaze) != (len(coefficients), 2, 2):
        raise ValueError(f"gaze has shape {np.shape(gaze)}, expected {(len(coefficients), 2, 2)}")
    weights = np.zeros((len(coefficients), len(ARKIT_ACTIONS)), np.float32)
    if not head.action_names and set(head.expression_names) <= set(ARKIT_ACTIONS):
        weights[:, [ARKIT_ACTIONS.index(name) for name in head.expression_names]] = coefficients
        return weights
    looks = look_weights(np.zeros((len(coefficients), 2, 2)) if gaze is None else np.asarray(gaze, np.float64))
    solved = _solve_face(head, coefficients, looks)
    for name, values in solved.items():
        weights[:, ARKIT_ACTIONS.index(name)] = values
    return weights


def _solve_face(head: HeadModel, coefficients: FloatArray, looks: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Every action's weights (T,) for expressions (T,K_ex), given those of the eyeLook actions."""
    problem = _normal_equations(head)
    linear = coefficients @ problem.slopes.T
    known = {name: values for name, values in looks.items() if name in problem.names}
    weights = _solve_others(problem, linear, known, None)
    own, of_actions = lid_closure(head), closure_of(head, problem.basis)
    if own is not None and of_actions is not None and all(blink in problem.names for blink in BLINKS):
        for _ in range(_LID_PASSES):
            for eye, blink in enumerate(BLINKS):
                known[blink] = _blink(problem, weights, blink, of_actions[eye], coefficients @ own[eye])
            weights = _solve_others(problem, linear, known, weights)
    return looks | {name: weights[:, k] for k, name in enumerate(problem.names)}


def _blink(
    problem: _Problem, weights: FloatArray, blink: str, of_actions: FloatArray, closed: FloatArray
) -> FloatArray:
    """The weights (T,) at which a blink closes the lids to ``closed (T,)``, the other actions' shares given."""
    at = problem.names.index(blink)
    others = weights @ of_actions - weights[:, at] * of_actions[at]
    return np.clip((closed - others) / of_actions[at], 0.0, 1.0)


def _solve_others(
    problem: _Problem, linear: FloatArray, known: dict[str, FloatArray], start: FloatArray | None
) -> FloatArray:
    """All weights (T,A): the known ones (T,) by name, and the best of all other actions for them."""
    weights = np.zeros_like(linear)
    pinned = [k for k, name in enumerate(problem.names) if name in known]
    solved = [k for k, name in enumerate(problem.names) if name not in known]
    if pinned:
        weights[:, pinned] = np.stack([known[problem.names[k]] for k in pinned], axis=1)
        linear = linear - weights[:, pinned] @ problem.curvature[pinned]
    weights[:, solved] = box_least_squares(
        problem.curvature[np.ix_(solved, solved)], linear[:, solved], None if start is None else start[:, solved]
    )
    return weights


def look_weights(gaze: FloatArray) -> dict[str, FloatArray]:
    """The eight eyeLook weights (T,), 0…1, of gaze angles (T,2,2) = (left, right) × (yaw, pitch) in radians."""
    share = gaze / FULL_LOOK_ANGLE
    return {
        name: np.clip(sign * share[:, eye, axis], 0.0, 1.0)
        for eye, actions in enumerate(LOOK_ACTIONS)
        for name, axis, sign in zip(actions, (0, 0, 1, 1), (1, -1, 1, -1), strict=True)
    }


@dataclass(frozen=True, eq=False)
class _Problem:
    """½ wᵀHw − (slopes φ)ᵀw over the A actions that move the face."""

    names: tuple[str, ...]
    basis: NDArray[np.float32]  # (A,V,3) m
    curvature: FloatArray  # (A,A) H, regularised
    slopes: FloatArray  # (A,K_ex)


def _normal_equations(head: HeadModel) -> _Problem:
    names, basis = actions_of(head)
    vertex_weight = np.asarray(head.vertex_weight, np.float64).copy()
    for region in ("left_eyeball", "right_eyeball"):
        if region in head.regions:
            vertex_weight[head.regions[region]] = 0.0
    root = np.sqrt(vertex_weight)[None, :, None]
    gap = np.sqrt(LIP_GAP * vertex_weight.sum())

    def rows(fields: NDArray[np.float32]) -> FloatArray:
        whole = (fields * root).reshape(len(fields), head.vertex_count * 3)
        return np.concatenate([whole, gap * _lip_gaps(head, fields)], axis=1)

    actions = rows(basis)
    strength = np.einsum("an,an->a", actions, actions)
    moves = strength > 1e-6 * max(strength.max(initial=0.0), 1e-12)
    kept = tuple(name for name, moving in zip(names, moves, strict=True) if moving)
    actions, strength = actions[moves], strength[moves]
    expressions = rows(head.expression_basis)
    curvature = actions @ actions.T
    curvature[np.diag_indices(len(kept))] += RIDGE * strength
    for left, right in _pairs(kept):
        tie = SYMMETRY * 0.5 * (strength[left] + strength[right])
        curvature[[left, right], [left, right]] += tie
        curvature[[left, right], [right, left]] -= tie
    return _Problem(kept, basis[moves], curvature, actions @ expressions.T)


def _lip_gaps(head: HeadModel, fields: NDArray[np.float32]) -> FloatArray:
    """(K,3·P) how each of the fields (K,V,3) moves facing points of the lips apart; P is 0 without such landmarks."""
    points = head.landmarks.get("mediapipe478")
    if points is None:
        return np.zeros((len(fields), 0))
    upper, lower = (
        surface_positions(SurfacePoints(points.triangle[index], points.barycentric[index]), head.triangles, fields)
        for index in np.array(LIP_PAIRS).T
    )
    return np.asarray(upper - lower, np.float64).reshape(len(fields), -1)


def _pairs(names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Indices of each left action and its right counterpart."""
    mirrored = {name: name.replace("Left", "Right") for name in names if name.endswith("Left") and name not in _OPPOSED}
    return [(names.index(left), names.index(right)) for left, right in mirrored.items() if right in names]


def box_least_squares(curvature: FloatArray, linear: FloatArray, start: FloatArray | None = None) -> FloatArray:
    """The w (T,A) in [0, 1] that minimise ½ wᵀHw − gᵀw for each row g of ``linear (T,A)``; H (A,A) positive definite.

    Block principal pivoting for bounded problems (Júdice and Pires 1994, Computers & Operations Research 21(5)): every
    variable is free or at a bound; those that contradict that are exchanged together, or one by one where that stops
    helping, which ends after finitely many steps. All frames are solved side by side; those that rounding errors keep
    from ending are finished by coordinate descent. ``start (T,A)``, a guess, saves time.
    """
    if not linear.size:
        return np.zeros_like(linear)
    scale = np.sqrt(np.diag(curvature))  # unit curvature in every direction: one tolerance fits all
    normalised = curvature / np.outer(scale, scale)
    guess = np.zeros_like(linear) if start is None else start * scale
    sweeps = _FIRST_SWEEPS if start is None else 1
    chunks = []
    for at in range(0, len(linear), _CHUNK):
        part = slice(at, at + _CHUNK)
        near = _descend(normalised, linear[part] / scale, guess[part], scale, sweeps)
        chunks.append(_pivot(normalised, linear[part] / scale, near, scale))
    return np.concatenate(chunks) / scale


def _pivot(curvature: FloatArray, linear: FloatArray, start: FloatArray, upper: FloatArray) -> FloatArray:
    """As ``box_least_squares`` for a unit-diagonal H and bounds 0 and ``upper (A,)``."""
    frames, count = linear.shape
    state = np.where(start <= 0, -1, np.where(start >= upper, 1, 0))  # at the lower bound, at the upper one, or free
    solution = start.copy()
    open_frames = np.arange(frames)
    best, patience = np.full(frames, count + 1), np.full(frames, _PATIENCE)
    for _ in range(_EXCHANGES):
        if not len(open_frames):
            break
        at = state[open_frames]
        values = _solve_free(curvature, linear[open_frames], at, upper)
        gradient = values @ curvature - linear[open_frames]
        solution[open_frames] = values
        below = (at == 0) & (values < -_TOLERANCE)
        above = (at == 0) & (values > upper + _TOLERANCE)
        release = ((at == -1) & (gradient < -_TOLERANCE)) | ((at == 1) & (gradient > _TOLERANCE))
        wrong = below | above | release
        faults = wrong.sum(axis=1)
        better = faults < best[open_frames]
        best[open_frames] = np.where(better, faults, best[open_frames])
        patience[open_frames] = np.where(better, _PATIENCE, patience[open_frames] - 1)
        single = patience[open_frames] < 0
        last = count - 1 - np.argmax(wrong[:, ::-1], axis=1)
        wrong &= ~single[:, None] | (np.arange(count) == last[:, None])
        state[open_frames] = np.where(wrong, np.where(below, -1, np.where(above, 1, 0)), at)
        open_frames = open_frames[faults > 0]
    solution = np.clip(solution, 0.0, upper)
    if len(open_frames):
        solution[open_frames] = _descend(curvature, linear[open_frames], solution[open_frames], upper, _LAST_SWEEPS)
    return solution


def _descend(
    curvature: FloatArray, linear: FloatArray, start: FloatArray, upper: FloatArray, sweeps: int
) -> FloatArray:
    """Cyclic coordinate descent for a unit-diagonal H from ``start (T,A)``; it cannot fail to lower the objective."""
    values = np.clip(start, 0.0, upper)
    for _ in range(sweeps):
        before = values.copy()
        for k in range(len(curvature)):
            values[:, k] = np.clip(values[:, k] + linear[:, k] - values @ curvature[k], 0.0, upper[k])
        if np.abs(values - before).max() < _TOLERANCE:
            break
    return values


def _solve_free(curvature: FloatArray, linear: FloatArray, at: NDArray[np.int_], upper: FloatArray) -> FloatArray:
    """Values (T,A) where the free variables' gradient vanishes and the others stay at their bounds."""
    values = np.where(at == 1, upper, 0.0)
    free = at == 0
    width = int(free.sum(axis=1).max(initial=0))  # systems as large as the frame with most free variables needs
    index = np.argsort(~free, axis=1, kind="stable")[:, :width]
    inside = np.take_along_axis(free, index, axis=1)
    matrix = curvature[index[:, :, None], index[:, None, :]] * (inside[:, :, None] & inside[:, None, :])
    diagonal = np.arange(width)
    matrix[:, diagonal, diagonal] += ~inside
    right = np.take_along_axis(linear - values @ curvature, index, axis=1) * inside
    solved = np.linalg.solve(matrix, right[..., None])[..., 0]
    np.put_along_axis(values, index, np.where(inside, solved, np.take_along_axis(values, index, axis=1)), axis=1)
    return values
