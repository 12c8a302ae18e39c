"""How far each eye's lids are closed over a take: their opening in the head's pose against the person's own open eye.

In an image an opening shrinks when the head nods and a corner-to-corner width when it turns, so that a ratio of the two
calls a nodding head's eyes closed and a turned one's never. Here a frame's points tell where the mean face's axes lie
in the image (an affine camera, least squares over points that no expression moves), and the opening is measured along
the lids' own axis as it appears there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.head_model.rigid import nearest_rotation
from backend.observations import PointSet, PointSetId, ViewAlignment

F64 = NDArray[np.float64]
Indices = NDArray[np.int64]

EYE_TURNED = np.radians(20.0)
"""How far an eye's opening looks to its side of the face."""
LEAST_FACING = 0.3
"""Cosine between an eye's opening and the direction to the camera below which its lids are not told: of rendered people
turned by 50°, whose far eye is at 0.19, MediaPipe says the same of closed and of open lids but for a half."""
USUAL_FRAMES = 12
"""Frames that the mean face's open eye counts as beside the take's own."""
OPEN_SHARE = 0.75
"""The quantile of a take's openings that is its open eye: blinks and looks down lie below, surprise above."""
OPEN_BOUNDS = 0.55, 1.5
"""An open eye's least and largest opening, in those of the mean face (training clips: 0.78 to 1.33)."""
CLOSED_READS = 0.9
"""The closure that is told of closed lids of a frontal face: 0.75 to 1.0 in the blinks of training clips, 0.97 of
rendered people's."""
SHUTS, OPENS = 0.72, 0.6
"""Closures (of what closed lids read) at which lids count as closed, and at which as open again."""


@dataclass(frozen=True, eq=False)
class LidPoints:
    """Which of a point set's points tell the lids of the (left, right) eye, and their shape on a mean face.

    ``shape (N,3)`` has the axes of the image of a frontal face (right, down, away); ``rigid (R,)`` are points that no
    expression moves; ``pairs`` facing points of the (upper, lower) lid's edge (n,2); ``behind`` the points of any set
    that closed lids hide.
    """

    id: PointSetId
    shape: F64
    rigid: Indices
    pairs: tuple[Indices, Indices]
    behind: tuple[tuple[PointSetId, tuple[Indices, Indices]], ...]


def with_lid_closure(view: ViewAlignment, lids: LidPoints) -> ViewAlignment:
    """The same view with ``lid_closure``, and without the points that lie behind closed lids."""
    seen = next(own for own in view.point_sets if own.id == lids.id)
    if not seen.mu.shape[1]:
        return view
    opening, reads = lid_openings(seen, lids)
    told = closures(opening, reads)
    shut = told >= 1
    sets = []
    for own in view.point_sets:
        valid = own.valid.copy()
        for id, sides in lids.behind:
            if id == own.id:
                for side, hidden in enumerate(sides):
                    valid[np.ix_(shut[:, side], hidden)] = False
        sets.append(replace(own, valid=valid))
    return replace(view, point_sets=tuple(sets), lid_closure=told.astype(np.float32))


def lid_openings(seen: PointSet, lids: LidPoints) -> tuple[F64, F64]:
    """Openings (T,2) of the (left, right) lids in those of the mean face, NaN where they are not seen.

    Also (T,2) the closure that closed lids read in that pose.
    """
    mu = seen.mu.astype(np.float64)
    weight = seen.valid[:, lids.rigid].astype(np.float64)
    told = weight.sum(axis=1) >= 6
    camera = affine_cameras(mu[:, lids.rigid], lids.shape[lids.rigid], weight)
    opening, reads = np.full((len(mu), 2), np.nan), np.ones((len(mu), 2))
    turn = _turns(camera)
    for side, pairs in enumerate(lids.pairs):
        axis = (lids.shape[pairs[:, 0]] - lids.shape[pairs[:, 1]]).mean(axis=0)
        along = camera @ axis
        apart = (mu[:, pairs[:, 0]] - mu[:, pairs[:, 1]]).mean(axis=1)
        facing, reads[:, side] = _as_seen(turn, side)
        visible = told & seen.valid[:, pairs].all(axis=(1, 2)) & (facing >= LEAST_FACING)
        with np.errstate(invalid="ignore", divide="ignore"):
            opening[:, side] = np.where(visible, (apart * along).sum(-1) / (along**2).sum(-1), np.nan)
    return opening, reads


def affine_cameras(mu: F64, shape: F64, weight: F64) -> F64:
    """(T,2,3): the linear part of the affine map from ``shape (n,3)`` to ``mu (T,n,2)``; ``weight (T,n)``."""
    total = np.maximum(weight.sum(axis=1), 1e-9)[:, None]
    middle = weight @ shape / total
    offset = shape[None] - middle[:, None]
    centred = mu - ((weight[..., None] * mu).sum(axis=1) / total)[:, None]
    weighted = offset * weight[..., None]
    gram = weighted.transpose(0, 2, 1) @ offset + 1e-12 * np.eye(3)
    return np.linalg.solve(gram, weighted.transpose(0, 2, 1) @ centred).transpose(0, 2, 1)


def _turns(camera: F64) -> F64:
    """(T,3,3) the rotations nearest to affine cameras (T,2,3)."""
    right, down = (row / np.maximum(np.linalg.norm(row, axis=-1, keepdims=True), 1e-9) for row in camera.swapaxes(0, 1))
    return np.stack([nearest_rotation(np.stack([r, d, np.cross(r, d)])) for r, d in zip(right, down, strict=True)])


def _as_seen(turn: F64, side: int) -> tuple[F64, F64]:
    """(T,) how far an eye faces the camera, 1 fully; and the closure that its closed lids read there.

    What MediaPipe says of closed lids on 8 rendered dev people: 0.97 frontal and nodding; 0.59 of the near eye, 0.45 of
    the far one at 50° (which it tells as 59°); 0.82 and 0.62 at 30°; 0.83 of a head raised by 20°.
    """
    outwards = np.sin(EYE_TURNED) * (1.0, -1.0)[side]
    facing = turn @ np.array([outwards, 0.0, -np.cos(EYE_TURNED)])
    forward = -turn[:, :, 2]
    yaw = np.arctan2(forward[:, 0], -forward[:, 2]) * (1.0, -1.0)[side]  # positive: this eye turns away
    raised = np.maximum(np.arcsin(np.clip(-forward[:, 1], -1, 1)), 0.0)
    share = np.minimum(np.abs(yaw) / np.radians(60.0), 1.0)
    reads = np.where(yaw > 0, 1 - 0.55 * share, 1 - 0.4 * share**2) * (
        1 - 0.17 * np.minimum(raised / np.radians(20), 1.5)
    )
    return -facing[:, 2], CLOSED_READS * reads


def closures(opening: F64, reads: F64) -> F64:
    """(T,2) in 0…1 of openings (T,2) in those of the mean face; NaN where they are.

    Lids that close by ``SHUTS`` are closed (1) until they open by ``OPENS``; before and after they close by degrees.
    """
    told = np.full(opening.shape, np.nan)
    for side in (0, 1):
        own = opening[:, side]
        known = np.isfinite(own)
        if not known.any():
            continue
        usual = usual_opening(own[known])
        shut = False
        for t in np.flatnonzero(known):
            told[t, side] = closure_now(own[t], reads[t, side], usual, shut=shut)
            shut = bool(told[t, side] >= 1)
    return told


def usual_opening(openings: F64) -> float:
    """A person's open eye, within ``OPEN_BOUNDS``, of openings (n,) in those of the mean face."""
    count = len(openings)
    own = count * np.quantile(openings, OPEN_SHARE) if count else 0.0
    return float(np.clip((own + USUAL_FRAMES) / (count + USUAL_FRAMES), *OPEN_BOUNDS))


def closure_now(opening: float, reads: float, usual: float, *, shut: bool) -> float:
    """The closure in 0…1 of an eye that is usually open by ``usual``, and was ``shut`` before; see ``closures``."""
    closed = (1 - opening / usual) / reads
    return 1.0 if closed > (OPENS if shut else SHUTS) else float(np.clip(closed, 0.0, SHUTS))
