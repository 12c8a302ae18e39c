"""A track of a FLAME head as FLAME's own parameters. Pure numerics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from backend.export.takes import ExportTake
from backend.head_model.converters.flame import JAW, JAW_COLUMNS, jaw_coefficients
from backend.head_model.model import HeadModel, gaze_rotation, posed_vertices
from backend.track.geometry import neutral_of, person_of
from protocol.arrays import at_frames

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

VERTICES, SHAPES, EXPRESSIONS = 5023, 300, 100
WORLD = np.diag([1.0, -1.0, -1.0])
"""The track's world, whose axes are OpenCV's where it is a camera's, with y up and z backward."""
_ALIKE = 1e-9
"""Of the larger of two directions' squared motion: with less, the smaller one is rounding."""
_STEPS = 12


@dataclass(frozen=True, eq=False)
class FlameParameters:
    """FLAME over n frames: ``shape (300,)``, ``expression (n,100)``, ``static_offset (5023,3)``; poses in axis-angle.

    ``rotation``, ``translation``, ``neck``, ``jaw (n,3)`` and ``eyes (n,6)``, left before right: vertices are
    ``lbs(...) + translation``, of which ``rotation`` turns about FLAME's root joint. World is ``WORLD`` times the
    track's, moved so that the mean of ``translation`` is 0 (``moved (3,)``, added to world positions).
    ``apart`` is the greatest distance in metres of any vertex in any frame from the head as it was tracked, by what
    FLAME does not have: a person's own expressions, lids kept clear of the eyes, jaws of another shape than the mean.
    """

    shape: F32
    expression: F32
    static_offset: F32
    rotation: F64
    translation: F64
    neck: F64
    jaw: F64
    eyes: F64
    moved: F64
    apart: float


def require_flame(head: HeadModel) -> None:
    """Raise UserError ``other_head`` where a head is not FLAME (2020, 2023 or 2023 Open)."""
    shapes, names = len(head.shape_basis), head.expression_names
    if (
        (head.vertex_count, shapes) == (VERTICES, SHAPES)
        and names[:1] == ("expression_000",)
        and len(names) >= EXPRESSIONS
    ):
        return
    raise UserError(
        ErrorCode.OTHER_HEAD,
        f"GaussianAvatars poses FLAME by its parameters, and this take was tracked with the head “{head.id[:60]}”.",
        "Track it with a FLAME head (flowface head add flame FILE, then --head flame), or export “insta”, which takes "
        "any head's meshes, or “nerf”.",
    )


def flame_parameters(take: ExportTake, frames: NDArray[np.int64]) -> FlameParameters:
    """FLAME's parameters at ``frames (n,)`` of a take that was tracked with it. Raises UserError ``other_head``."""
    head, track = take.head, take.track
    require_flame(head)
    some = at_frames(track, frames)
    neutral = neutral_of(head, track)
    expression = np.asarray(some.expression, np.float64)
    jaw = _jaw(head, expression)
    turn = WORLD @ Rotation.from_rotvec(some.head_rotation.copy()).as_matrix()
    root = np.asarray(head.joint_regressor[0], np.float64)  # FLAME's joints move with expressions, jaw columns apart
    joint = root @ neutral + expression[:, :EXPRESSIONS] @ np.einsum(
        "v,kvc->kc", root, head.expression_basis[:EXPRESSIONS]
    )
    translation = some.head_translation @ WORLD.T + np.einsum("tij,tj->ti", turn, joint) - joint
    moved = -translation.mean(axis=0)
    gaze = Rotation.from_matrix(gaze_rotation(some.gaze).reshape(-1, 3, 3)).as_rotvec().reshape(-1, 6)
    none = np.zeros((len(frames), 3))
    return FlameParameters(
        shape=_filled(track.identity, SHAPES),
        expression=expression[:, :EXPRESSIONS].astype(np.float32),
        static_offset=neutral - head.neutral(track.identity),
        rotation=Rotation.from_matrix(turn).as_rotvec(),
        translation=translation + moved,
        neck=none,
        jaw=jaw,
        eyes=gaze,
        moved=moved,
        apart=_apart(take, frames, expression, jaw),
    )


def _jaw(head: HeadModel, expression: F64) -> F64:
    """(n,3) the jaw poses that come nearest to the head's jaw columns, by how far those move its vertices.

    Gauss–Newton on the opening θ and the shift ψ, whose columns are θ/0.15, (θ/0.45)² and ψ/0.06.
    """
    jaw = np.zeros((len(expression), 3))
    if head.expression_names[EXPRESSIONS:] != JAW_COLUMNS:
        return jaw
    columns = head.expression_basis[EXPRESSIONS:].reshape(len(JAW_COLUMNS), -1).astype(np.float64)
    weight, wanted = columns @ columns.T, expression[:, EXPRESSIONS:]
    per_radian = jaw_coefficients(1.0, 1.0)  # (1/0.15, 1/0.45², 1/0.06)
    jaw[:, 0], jaw[:, 1] = wanted[:, 0] / per_radian[0], wanted[:, 2] / per_radian[2]
    for _ in range(_STEPS):
        rest = wanted - _columns(jaw)
        slope = np.zeros((len(jaw), 3, 2))
        slope[:, 0, 0], slope[:, 1, 0], slope[:, 2, 1] = per_radian[0], 2 * per_radian[1] * jaw[:, 0], per_radian[2]
        normal = np.einsum("tka,kl,tlb->tab", slope, weight, slope)
        pull = np.einsum("tka,kl,tl->ta", slope, weight, rest)
        # the least step: of a head whose columns move everything alike, no vertex tells opening from shift
        jaw[:, :2] += (np.linalg.pinv(normal, _ALIKE, hermitian=True) @ pull[..., None])[..., 0]
    return jaw


def _columns(jaw: F64) -> F64:
    """(n,3) what the jaw columns are at jaw poses (n,3)."""
    per_radian = np.array(jaw_coefficients(1.0, 1.0))
    return np.stack([jaw[:, 0], jaw[:, 0] ** 2, jaw[:, 1]], axis=1) * per_radian


def _apart(take: ExportTake, frames: NDArray[np.int64], expression: F64, jaw: F64) -> float:
    head, track = take.head, take.track
    neutral, person = neutral_of(head, track), person_of(head, track)
    columns = _columns(jaw) if expression.shape[1] > EXPRESSIONS else np.zeros((len(jaw), 0))
    plain = np.hstack([expression[:, :EXPRESSIONS], columns])
    worst = 0.0
    for row, frame in enumerate(frames):
        some = at_frames(track, np.array([frame]))
        tracked = posed_vertices(person, neutral, some.expression, some.gaze)
        written = posed_vertices(head, neutral, plain[[row]], some.gaze)
        turned = _jaw_of_shape(head, neutral, plain[row, :EXPRESSIONS], jaw[row])
        worst = max(worst, float(np.linalg.norm(tracked - written - turned, axis=-1).max()))
    return worst


def _jaw_of_shape(head: HeadModel, neutral: F32, expression: F64, jaw: F64) -> F64:
    """(V,3) by how much the jaw joint moves this face otherwise than the mean one, of which the columns are."""
    joint, weight = head.joint_regressor[JAW], head.skinning_weights[:, JAW, None]
    moved = neutral - head.template + np.einsum("k,kvc->vc", expression, head.expression_basis[:EXPRESSIONS])
    turn = Rotation.from_rotvec(jaw).as_matrix() - np.eye(3)
    return np.asarray(weight * ((moved - joint @ moved) @ turn.T), np.float64)


def _filled(values: F32, count: int) -> F32:
    return np.concatenate([values, np.zeros(count - len(values), np.float32)])
