"""How strongly each ARKit action shows in a take, as its pictures tell it: a witness for the fit beside the points.

Points alone do not say which of many alike mixtures of actions a face does. What rendered people of known weights
taught (``backend.point_calibration.action_witness``, whose table ``action_witness.npz`` is) does: a linear answer to
the blendshape network's scores and to how far each of MediaPipe's points lies from where it lies when the face is at
rest, the head turned to the front. Both are counted from the take's own calmest frames, so that what a face always
looks like is not taken for an expression; only what is there beyond three standard deviations even so is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from backend.observations import ViewAlignment
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

TABLE = Path(__file__).with_name("action_witness.npz")
TOLD = len(ARKIT_ACTIONS) - 1
"""The actions that are told: all but tongueOut, the last one."""
POINTS = "mediapipe478"

CALM_SHARE = 0.2
"""Share of a take's frames that count as calm. Of known rest, 0.1, 0.2 and all frames' median, held-out rendered people
were told 0.62, 0.61, 0.61 and 0.62 in correlation."""
LEAST_FRAMES = 24
"""Takes that show fewer are compared with people in general: too few to hold a calm one."""
SURE = 3.0
"""Standard deviations beyond which an expression that never goes away is one.

At 2, five of eight calm people of the train clips always frown or sneer a little; at 3 only one who always smiles does.
"""
FULL_VIEW, NO_VIEW = np.cos(np.deg2rad((35.0, 65.0)))
"""A head turned from the camera by less is told fully, by more not at all."""
_CALM = [i for i, name in enumerate(ARKIT_ACTIONS[:TOLD]) if "Look" not in name and "Blink" not in name]
_BLINKS = [ARKIT_ACTIONS.index("eyeBlinkLeft"), ARKIT_ACTIONS.index("eyeBlinkRight")]
_OPPOSED = [tuple(ARKIT_ACTIONS.index(name) for name in pair) for pair in OPPOSED_ACTIONS]
_OPEN = 0.2  # blink scores of open eyes
_UNIT = 10.0  # of points' offsets, so that they are as large as scores


@dataclass(frozen=True, eq=False)
class WitnessTable:
    """What was learnt: A = ``TOLD`` actions, N = 478 points, F = 2A + 2N features.

    ``mean_points (N,3)`` a face from the front, for its pose; ``neutral_points (N,2)`` and ``usual_scores (A,)`` are
    those of people at rest; ``weights (F,A)``; ``sigma (A,)`` of the answer where a take's own rest is known and
    ``sigma_alone (A,)`` where it is not, inf for actions of which nothing can be told; ``about`` says what of.
    """

    mean_points: F64
    neutral_points: F64
    usual_scores: F64
    weights: F64
    sigma: F64
    sigma_alone: F64
    about: str

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            mean_points=self.mean_points.astype(np.float32),
            neutral_points=self.neutral_points.astype(np.float32),
            usual_scores=self.usual_scores.astype(np.float32),
            weights=self.weights.astype(np.float16),
            sigma=self.sigma.astype(np.float32),
            sigma_alone=self.sigma_alone.astype(np.float32),
            about=np.array(self.about),
        )


@cache
def load_witness_table(path: Path = TABLE) -> WitnessTable:
    """The committed table."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name].astype(np.float64) for name in data.files if name != "about"}
        return WitnessTable(**arrays, about=str(data["about"]))


@dataclass(frozen=True, eq=False)
class Witness:
    """``target (T,K)`` of K actions and ``precision (T,K)`` = 1/σ², 0 where nothing is told."""

    target: F64
    precision: F64

    def at(self, frames: NDArray[np.int64]) -> Witness:
        """Only these of the frames."""
        return Witness(self.target[frames], self.precision[frames])


@dataclass(frozen=True, eq=False)
class Seen:
    """``scores (T,A)`` and ``moved (T,N,2)`` of a view's frames, and how far it faces the head, ``facing (T,)`` cos."""

    scores: F64
    moved: F64
    facing: F64

    @classmethod
    def of(cls, scores: NDArray[np.floating[Any]], points: NDArray[np.floating[Any]], mean_points: F64) -> Seen:
        """Of image points (T,N,2). ``moved``: off the mean face, seen from the front, in its units.

        The pose is that of weak perspective, from the best affine map of ``mean_points (N,3)`` to the image.
        """
        mean = mean_points - mean_points.mean(0)
        centred = points.astype(np.float64) - points.mean(axis=1, keepdims=True, dtype=np.float64)
        affine = np.einsum("kn,tnc->tck", np.linalg.pinv(mean), centred)
        left, size, right = np.linalg.svd(affine, full_matrices=False)
        turned = left @ right
        off = centred / size.mean(axis=1)[:, None, None] - mean @ turned.swapaxes(1, 2)
        facing = np.abs(np.linalg.det(turned[:, :, :2]))
        back = np.linalg.inv(turned[:, :, :2] + 1e-6 * np.eye(2))
        return cls(scores.astype(np.float64), _UNIT * off @ back.swapaxes(1, 2), facing)

    def calm(self, usual_scores: F64) -> NDArray[np.int64]:
        """Indices of the calmest frames by their scores."""
        active = np.maximum(self.scores[:, _CALM] - usual_scores[_CALM], 0).sum(axis=1)
        active += 0.5 * np.maximum(self.scores[:, _BLINKS] - _OPEN, 0).sum(axis=1)
        return np.argsort(active, kind="stable")[: max(1, int(np.ceil(CALM_SHARE * len(active))))]

    def features(self, rest_scores: F64, rest_points: F64) -> F64:
        """(T,F): rise of the scores, its root, and the points' offsets: at rest all 0, and so is what is told."""
        rise = np.maximum(self.scores - rest_scores, 0)
        off = (self.moved - rest_points).reshape(len(rise), -1)
        return np.concatenate([rise, np.sqrt(rise), off], axis=1)

    def rest(self, usual_scores: F64) -> tuple[F64, F64]:
        """Scores (A,) and points (N,2) of the rest that the frames themselves show."""
        return np.quantile(self.scores, 0.1, axis=0), self.moved[self.calm(usual_scores)].mean(axis=0)

    def features_of_take(self, usual_scores: F64) -> F64:
        """(T,F) from the rest that the take itself shows."""
        return self.features(*self.rest(usual_scores))


@dataclass(frozen=True, eq=False)
class Rest:
    """A face at rest: ``scores (A,)`` and ``points (N,2)``; ``lasting (A,)`` of what it shows even so.

    ``sigma (A,)`` is that of answers that are told from it.
    """

    scores: F64
    points: F64
    lasting: F64
    sigma: F64

    @classmethod
    def shown_by(cls, shown: Seen, table: WitnessTable) -> Rest:
        """The rest of the face that some frames show; people's in general where fewer than ``LEAST_FRAMES``."""
        if len(shown.scores) < LEAST_FRAMES:
            usual = table.usual_scores
            return cls(usual, table.neutral_points, np.zeros(TOLD), table.sigma_alone)
        alone = shown.features(table.usual_scores, table.neutral_points) @ table.weights
        always = alone[shown.calm(table.usual_scores)].mean(axis=0)
        lasting = np.where(np.isfinite(table.sigma_alone), np.maximum(always - SURE * table.sigma_alone, 0), 0)
        return cls(*shown.rest(table.usual_scores), lasting, table.sigma)

    def told(self, shown: Seen, table: WitnessTable) -> Witness:
        """What frames (T) tell of the ``TOLD`` actions of a face that is at rest so."""
        answer = np.clip(shown.features(self.scores, self.points) @ table.weights + self.lasting, 0, 1)
        share = np.clip((shown.facing - NO_VIEW) / (FULL_VIEW - NO_VIEW), 0, 1)
        return Witness(answer, share[:, None] / self.sigma**2)


def told_by(view: ViewAlignment, table: WitnessTable) -> Witness:
    """What one view tells of the 52 actions, 0…1."""
    frames = view.frame_count
    target, precision = np.zeros((frames, len(ARKIT_ACTIONS))), np.zeros((frames, len(ARKIT_ACTIONS)))
    points = next((s for s in view.point_sets if s.id.name == POINTS), None)
    if view.action_scores is None or points is None or points.mu.shape[1] != len(table.mean_points):
        return Witness(target, precision)
    seen = np.flatnonzero(view.found & np.isfinite(view.action_scores[:, :TOLD]).all(axis=1))
    if not len(seen):
        return Witness(target, precision)
    shown = Seen.of(view.action_scores[seen, :TOLD], points.mu[seen], table.mean_points)
    told = Rest.shown_by(shown, table).told(shown, table)
    target[seen, :TOLD], precision[seen, :TOLD] = told.target, told.precision
    return Witness(target, precision)


def action_witness(head: HeadModel, views: Sequence[ViewAlignment]) -> Witness | None:
    """What all views tell of a head's expressions (T,K_ex); None where they are no ARKit actions or no view tells.

    Views err alike, so several are no surer than the best of them, and of two opposed actions the stronger one is told.
    """
    index = places_of(head)
    if max(index, default=-1) < 0:
        return None
    told = told_by_all(views)
    known = np.array(index) >= 0
    target, precision = told.target[:, index], np.where(known, told.precision[:, index], 0.0)
    return Witness(target, precision) if precision.any() else None


def places_of(head: HeadModel) -> list[int]:
    """(K_ex) the place of each of a head's expressions among the 52 actions, -1 for what is none of them."""
    return [_told_as(name) for name in head.expression_names]


def _told_as(name: str) -> int:
    """An expression's place in ``ARKIT_ACTIONS``, one side's in that of both (browInnerUpLeft); -1 for none."""
    both = name.removesuffix("Left").removesuffix("Right")
    return next((ARKIT_ACTIONS.index(known) for known in (name, both) if known in ARKIT_ACTIONS), -1)


def told_by_all(views: Sequence[ViewAlignment]) -> Witness:
    """What several views of one take tell of the 52 actions together."""
    table = load_witness_table()
    each = [told_by(view, table) for view in views]
    total = sum((one.precision for one in each), np.zeros_like(each[0].precision))
    pulled = sum((one.precision * one.target for one in each), np.zeros_like(total))
    target = without_opposed(pulled / np.maximum(total, 1e-12))
    return Witness(target, np.max([one.precision for one in each], axis=0))


def without_opposed(target: F64) -> F64:
    """Strengths (T,A) of which, of two opposed actions, only the stronger one is on, by as much as it is stronger."""
    target = target.copy()
    for one, other in _OPPOSED:
        both = np.minimum(target[:, one], target[:, other])
        target[:, one] -= both
        target[:, other] -= both
    return target
