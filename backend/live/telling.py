"""From the points seen in one picture to what the energy is told, by what is known so far of the person at rest.

A whole take's rest is known at its end (``fitting.action_witness``, ``alignment.lids``). Here the same is told from the
calibration's pictures and the last minute's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.lid_points import mediapipe_lids
from backend.alignment.lids import closure_now, lid_openings, usual_opening
from backend.fitting.action_priors import BUSY, LEAST_SHARE, TOLD_ON
from backend.fitting.action_witness import TOLD, Rest, Seen, load_witness_table, places_of, without_opposed
from backend.fitting.types import EnergyWeights
from backend.head_model.model import HeadModel
from backend.live.frame_basis import POINTS, FrameBasis
from backend.live.frame_energy import Told
from backend.observations import Alignment, PointSet
from backend.observations.jaw_outline import load_jaw_outline
from backend.observations.point_pairs import load_pair_table
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]
KEPT = 300
"""Pictures that the rest is told from, the calibration's among them until they are displaced."""
KEEP_EVERY = 0.2
"""Seconds between two that are kept: a minute in all. A person who changes their seat or light is another at rest."""
REST_EVERY = 1.0
"""Seconds after which the rest is told anew."""


class Telling:
    """Keeps what is known of the face at rest, within ``KEPT`` pictures, and tells each picture by it."""

    def __init__(self, head: HeadModel, basis: FrameBasis, weights: EnergyWeights) -> None:
        self._basis, self._weights = basis, weights
        self._table, self._lids = load_witness_table(), mediapipe_lids()
        self._pairs, self._outline = load_pair_table(), load_jaw_outline()
        self._places = np.array(places_of(head))
        self._scores: deque[NDArray[np.float32]] = deque(maxlen=KEPT)
        self._moved: deque[NDArray[np.float32]] = deque(maxlen=KEPT)
        self._openings: deque[F64] = deque(maxlen=KEPT)
        self._rest = self._rest_now()
        self._usual = [1.0, 1.0]
        self._shut = [False, False]
        self._kept_at = self._rest_at = -np.inf

    def tell(self, seen: Alignment, time: float) -> Told:
        """What a picture at ``time`` seconds tells."""
        points = _as_take(next(own for own in seen.point_sets if own.id.name == POINTS))
        shown = self._shown(seen, points)
        opening, reads = lid_openings(points, self._lids)
        if time - self._kept_at >= KEEP_EVERY:
            self._keep(shown, opening[0], time)
        if time - self._rest_at >= REST_EVERY:
            self._settle(time)
        closure, valid = self._closure(opening[0], reads[0], points.valid[0])
        precision = np.where(valid, 1 / np.square(points.sigma[0].astype(np.float64)), 0.0)
        target, target_precision = self._actions(shown)
        eyes = (precision > 0)[self._basis.eye_index]
        weights = self._weights
        return Told(
            mu=points.mu[0].astype(np.float64),
            precision=precision,
            difference=self._pairs.difference(points)[0].astype(np.float64),
            pair_precision=weights.pairs * self._pairs.precision(points)[0].astype(np.float64),
            position=self._outline.positions(points)[0],
            normal=self._outline.normals(points)[0],
            outline_precision=self._outline.precision(points)[0],
            closure=closure,
            closure_weight=weights.closed_lids * closure**6,
            target=target,
            target_precision=weights.witness * target_precision,
            sparse_weight=weights.sparse_actions * self._kept_off(target, target_precision),
            eyes=np.array([eyes[self._basis.eye_side == side].any() for side in (0, 1)], np.float64),
        )

    def learn(self, frames: Sequence[tuple[Alignment, float]]) -> None:
        """Take calibrated pictures and their times (seconds) for what the person looks like."""
        for seen, time in frames:
            points = _as_take(next(own for own in seen.point_sets if own.id.name == POINTS))
            self._keep(self._shown(seen, points), lid_openings(points, self._lids)[0][0], time)
        self._settle(-np.inf)
        self._kept_at = -np.inf

    def _shown(self, seen: Alignment, points: PointSet) -> Seen | None:
        scores = seen.action_scores
        if scores is None or not np.isfinite(scores[:TOLD]).all():
            return None
        return Seen.of(scores[None, :TOLD], points.mu, self._table.mean_points)

    def _keep(self, shown: Seen | None, opening: F64, time: float) -> None:
        self._kept_at = time
        self._openings.append(opening)
        if shown is not None:
            self._scores.append(shown.scores[0].astype(np.float32))
            self._moved.append(shown.moved[0].astype(np.float32))

    def _settle(self, time: float) -> None:
        self._rest_at = time
        self._rest = self._rest_now()
        openings = np.array(self._openings).reshape(-1, 2)
        for side in (0, 1):
            own = openings[:, side]
            self._usual[side] = usual_opening(own[np.isfinite(own)])

    def _rest_now(self) -> Rest:
        count = len(self._scores)
        scores = np.array(self._scores, np.float64).reshape(count, TOLD)
        moved = np.array(self._moved, np.float64).reshape(count, len(self._table.mean_points), 2)
        return Rest.shown_by(Seen(scores, moved, np.ones(count)), self._table)

    def _closure(self, opening: F64, reads: F64, valid: NDArray[np.bool_]) -> tuple[F64, NDArray[np.bool_]]:
        """How far each eye is closed (2,), one that is not seen as the other; and the points that are not hidden."""
        told = np.full(2, np.nan)
        for side in (0, 1):
            if np.isfinite(opening[side]):
                told[side] = closure_now(opening[side], reads[side], self._usual[side], shut=self._shut[side])
                self._shut[side] = bool(told[side] >= 1)
        shut = told >= 1
        valid = valid.copy()
        for _, sides in self._lids.behind:
            for side, hidden in enumerate(sides):
                valid[hidden] &= not shut[side]
        return np.nan_to_num(np.where(np.isfinite(told), told, told[::-1])), valid

    def _actions(self, shown: Seen | None) -> tuple[F64, F64]:
        """Strengths (K,) and their precision, 0 where nothing is told."""
        target, precision = np.zeros((1, len(ARKIT_ACTIONS))), np.zeros(len(ARKIT_ACTIONS))
        if shown is not None:
            told = self._rest.told(shown, self._table)
            target[:, :TOLD], precision[:TOLD] = told.target, told.precision[0]
        target = without_opposed(target)
        known = self._places >= 0
        return target[0, self._places], np.where(known, precision[self._places], 0.0)

    def _kept_off(self, target: F64, precision: F64) -> F64:
        """(K,) as ``fitting.action_priors`` has it: a pull to 0 of what nobody tells."""
        told, sparse = precision > 0, self._basis.sparse
        busy = float(target[told & sparse].sum())
        share = np.maximum(np.where(told, 1 - target / TOLD_ON, 1 - busy / BUSY), LEAST_SHARE)
        return np.where(sparse & told.any(), share, 0.0)


def _as_take(seen: PointSet) -> PointSet:
    """A picture's points as those of a take of one frame."""
    return PointSet(seen.id, seen.mu[None], seen.sigma[None], seen.valid[None], seen.points)
