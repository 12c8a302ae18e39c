"""The same keypoints of skin in several unwrapped views, to a fraction of a texel, and their places in the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model.atlas_texels import sample
from backend.skin_matching.unwrap import Unwrapped

F64 = NDArray[np.float64]

# Chosen on rendered people of dev (``flowface evaluate --rigs --split dev``, MediaPipe's points, nothing known of the
# cameras). Beside a value stands what another makes of the cameras' mean error, on four rigs of three cameras in the
# first round, 0.138° with all values as here but FLOOR 0.5, and in the last, 0.071° with two rigs of eight as well.
NEIGHBOURS = 6
"""Views with which a view is compared, those that share most skin with it: more say the same again. 3: 0.071°."""
FACING = 0.3
"""Cosine between normal and line of sight from which a keypoint is looked for (73°). 0.15: 0.153° and as here; 0.45:
0.120° and 0.083°."""
WINDOW = 31
"""Texels, a few times the size of skin's marks. 21: 0.149° and 0.081°; 41: 0.226° and 0.062°."""
LEVELS = 3
"""Of the pyramid: the window then covers 248 texels, well beyond what a keypoint may be misplaced by. 2: 0.159° and
0.071°; 4 as here."""
RETURN = 1.5
"""Texels by which a keypoint followed there and back may miss its start. 0.75: 0.138° and 0.066° with a tenth of the
keypoints less; 3: 0.178° and 0.065°."""
FARTHEST = 0.05  # of the atlas's side by which a keypoint may be misplaced; 0.03 and 0.1 are as good
MISFIT = 1.5
"""Texels by which what two views say of a keypoint may differ from what all say. 0.75: 0.127° and 0.068°; 3: 0.154°
and 0.070°."""
FLOOR = 0.25
"""Texels, σ of a match at best. Whole fits of the eight rigs: cameras off by 0.051° (at worst 0.17) and 0.66 % of their
distance, focals by 1.3 %; with 0.5 0.070° (0.21), 0.75 % and 1.7 %; with 0.1 0.049° (0.18), 0.66 % and 1.1 %, which is
below what matches miss by. The face is 0.74 mm off with each."""
ITERATIONS = 8


@dataclass(frozen=True, eq=False)
class Matches:
    """P keypoints of skin in C views: ``position (C,P,2)`` and ``sigma (C,P)`` ideal pixels, ``valid (C,P)``."""

    position: F64
    sigma: F64
    valid: NDArray[np.bool_]


def match(views: Sequence[Unwrapped | None], places: F64, check: Callable[[], None] = lambda: None) -> Matches:
    """Look for the keypoints that the views together show nearest to ``places (P,2)``, in texels of the atlas.

    None is a view that does not show the face.

    Every two views that see much of the same skin are compared by Lucas and Kanade's method (OpenCV's, on pyramids).
    What they say of a keypoint's displacement f_ij = d_j − d_i is solved for each view's own d, robustly, with Σ d = 0:
    the pictures tell where views differ, not what is right. ``check`` is called before every comparison and may raise.
    """
    blind = np.zeros(len(places))
    facing: F64 = np.stack([blind if v is None else sample(v.facing, places) for v in views])
    count, points = facing.shape
    flow = np.full((count, count, points, 2), np.nan)
    for i, j in _pairs(facing):
        check()
        first, second = views[i], views[j]
        if first is None or second is None:
            continue
        flow[i, j] = _flow(first, second, places, np.minimum(facing[i], facing[j]) > FACING)
    offset, misfit, valid = consensus(flow, facing)
    found = places + np.where(valid[..., None], offset, 0)
    position, sigma = np.zeros((count, points, 2)), np.ones((count, points))
    for j, view in enumerate(views):
        if view is None:
            continue
        position[j] = sample(view.position, found[j])
        valid[j] &= sample((view.facing > 0).astype(np.float32), found[j]) > 0.99
        ahead = sample(view.position, found[j] + (1, 0)), sample(view.position, found[j] + (0, 1))
        step = np.mean([np.linalg.norm(a - position[j], axis=1) for a in ahead], axis=0)
        sigma[j] = np.maximum(step, 1e-3) * np.hypot(FLOOR, np.where(valid[j], misfit[j], 0))
    valid &= valid.sum(axis=0) >= 2
    return Matches(position, sigma, valid)


def shared(view: Unwrapped, others: Sequence[Unwrapped], places: F64) -> int:
    """The number of keypoints ``places (P,2)`` that a view and any of the others show, summed over those."""
    facing = sample(view.facing, places)
    both = (np.minimum(facing, sample(other.facing, places)) > FACING for other in others)
    flows = (_flow(view, other, places, wanted) for other, wanted in zip(others, both, strict=True))
    return sum(int(np.isfinite(flow[:, 0]).sum()) for flow in flows)


def consensus(flow: F64, facing: F64) -> tuple[F64, F64, NDArray[np.bool_]]:
    """Displacements (C,P,2) that explain ``flow (C,C,P,2)`` (NaN where unknown), their misfit (C,P), and where they are
    known (C,P): in views joined to each other by at least two comparisons each that agree to ``MISFIT``.

    ``facing (C,P)`` says how well each view sees a keypoint; its square root weighs the gauge Σ d = 0.
    """
    count, points = facing.shape
    known = np.isfinite(flow[..., 0])
    i, j = np.nonzero(known.any(axis=2))
    there = known[i, j].T  # (P,E)
    said = np.where(there[..., None], np.moveaxis(flow[i, j], 0, 1), 0)  # (P,E,2)
    incidence = np.zeros((len(i), count))
    incidence[np.arange(len(i)), j] += 1
    incidence[np.arange(len(i)), i] -= 1
    trust = there * np.minimum(np.maximum(facing[i], 0), np.maximum(facing[j], 0)).T
    gauge = np.sqrt(np.maximum(facing, 0)).T
    held = gauge[:, :, None] * gauge[:, None, :] + 1e-6 * np.eye(count)
    weight, offset, misfit = trust, np.zeros((points, count, 2)), np.zeros(there.shape)
    for _ in range(ITERATIONS):
        form = np.einsum("pe,ea,eb->pab", weight, incidence, incidence, optimize=True) + held
        offset = np.linalg.solve(form, np.einsum("pe,ea,pec->pac", weight, incidence, said, optimize=True))
        misfit = np.linalg.norm(np.einsum("ea,pac->pec", incidence, offset) - said, axis=2)
        weight = trust / (1 + misfit**2)
    agree = there & (misfit < MISFIT)
    touches = (incidence != 0).astype(np.float64)
    tally = agree.astype(np.float64) @ touches
    valid = (tally >= 2) & _joined(agree, i, j, facing)
    mean_square = (agree * misfit**2) @ touches / np.maximum(tally, 1)
    return np.moveaxis(offset, 1, 0), np.sqrt(mean_square).T, valid.T


def _joined(agree: NDArray[np.bool_], i: NDArray[np.intp], j: NDArray[np.intp], facing: F64) -> NDArray[np.bool_]:
    """(P,C) the views that comparisons join to the one that sees the keypoint best of those that were compared."""
    points, count = len(agree), len(facing)
    linked = np.zeros((points, count, count), bool)
    linked[:, i, j] |= agree
    linked[:, j, i] |= agree
    best = np.where(linked.any(axis=2), facing.T, -1).argmax(axis=1)
    reached = linked | np.eye(count, dtype=bool)
    for _ in range(max(1, int(np.ceil(np.log2(max(count, 2)))))):
        reached = reached @ reached
    return np.asarray(reached[np.arange(points), best])


def _pairs(facing: F64) -> list[tuple[int, int]]:
    """Ordered pairs of views: each with its ``NEIGHBOURS``, both ways."""
    shared = np.minimum(np.maximum(facing[:, None], 0), np.maximum(facing[None], 0)).sum(axis=2)
    np.fill_diagonal(shared, -1)
    pairs = {(i, int(j)) for i in range(len(facing)) for j in np.argsort(-shared[i])[:NEIGHBOURS] if shared[i, j] > 0}
    return sorted(pairs | {(j, i) for i, j in pairs})


def _flow(first: Unwrapped, second: Unwrapped, places: F64, wanted: NDArray[np.bool_]) -> F64:
    """(P,2) texels from the first view's keypoints to the second's; NaN where they were not found there and back."""
    flow = np.full(places.shape, np.nan)
    index = np.flatnonzero(wanted)
    if not len(index):
        return flow
    start = (places[index] - 0.5).astype(np.float32)[:, None]
    there, found = _follow(first.grey, second.grey, start)
    back, returned = _follow(second.grey, first.grey, there, start)
    moved = np.linalg.norm(there - start, axis=2)[:, 0]
    good = found & returned & (np.linalg.norm(back - start, axis=2)[:, 0] < RETURN)
    good &= moved < FARTHEST * len(first.grey)
    flow[index[good]] = (there - start)[good, 0]
    return flow


def _follow(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    start: NDArray[np.float32],
    guess: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        start,
        np.array(start if guess is None else guess),
        winSize=(WINDOW, WINDOW),
        maxLevel=LEVELS,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=1e-3,
    )
    return found, status[:, 0] > 0
