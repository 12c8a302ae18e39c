"""The check that a take's views belong together: one person, in synchronised frames, in front of the known cameras.

A joint fit always finds something. That it found a compromise between things that never were one shows in how much
better each view fits alone. Measured with the MediaPipe aligner, as the median over the views of the error together by
the error alone. Cameras unknown: views of one synchronised frame 1.1 (the scan), a clip beside itself a frame later
1.3, three frames later 1.8, half a second later 2.3, clips of two people 2.6 and 2.8, portraits of two people 1.2 to
2.3: single pictures are refused in the clear cases only. Positions known, which bares the aligner's bias on turned
faces: 1.2 to 1.5 (the scan), 8 and more with two of its cameras mistaken for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.progress import ShouldCancel

if TYPE_CHECKING:
    from backend.fitting import FitOptions, FitResult, View
    from backend.head_model.model import HeadModel

SAMPLE = 8
"""Frames that are looked at, spread over the take: each view is fitted alone to them."""
MOST_VIEWS = 4
"""Views that are looked at: of a larger rig, those spread from the best fitted to the worst."""
ITERATIONS = 15
"""Of a fit alone; by then its error is within a few per cent of where it ends."""
GOOD_ENOUGH = 0.8
"""% of the inter-ocular distance. Joint fits this close in the median view are not looked at again."""
REMARKABLE, REFUSED = 1.5, 2.2
KNOWN_CAMERAS = 1.8
"""By how much more views may differ where their cameras' positions are pinned."""


@dataclass(frozen=True, eq=False)
class Consistency:
    """The factor by which each view fits worse with the others than alone.

    Errors (C,) in % of the inter-ocular distance.
    """

    together: NDArray[np.float64]
    alone: NDArray[np.float64]

    @property
    def ratio(self) -> float:
        """The median view's error together over its error alone."""
        return float(np.median(self.together / self.alone))


def check_consistency(
    head: HeadModel,
    views: Sequence[View],
    names: Sequence[str],
    fit: FitResult,
    options: FitOptions,
    should_cancel: ShouldCancel,
) -> list[str]:
    """Warnings about a joint ``fit`` of ``views`` for the user; none where the views agree or there is only one.

    Raises:
        UserError: ``views_disagree`` where they show different people, or frames that are not synchronised, or the
        calibration is another rig's. Cancelled: ``should_cancel`` said so.
    """
    seen = [j for j in range(len(views)) if np.isfinite(fit.reprojection_error_px[j]).any()]
    if len(seen) < 2:
        return []
    error = fit.reprojection_error_percent_iod
    means = np.array([np.nanmean(error[j]) for j in seen])
    if np.median(means) < GOOD_ENOUGH:
        return []
    spread = np.linspace(0, len(seen) - 1, min(MOST_VIEWS, len(seen))).round().astype(int)
    seen = [seen[i] for i in sorted(np.argsort(means)[spread])]
    consistency = measure(head, [views[j] for j in seen], error[seen], options, should_cancel)
    calibrated = sum(views[j].camera.world_to_camera is not None for j in seen) > 1
    ratio = consistency.ratio / (KNOWN_CAMERAS if calibrated else 1.0)
    if ratio < REMARKABLE:
        return []
    worst = names[seen[int(np.argmax(consistency.together / consistency.alone))]]
    sentence = (
        f"Together the views fit {consistency.ratio:.1f} times worse than each alone "
        f"({np.median(consistency.together):.1f} % of the inter-ocular distance, “{worst}” most of all)"
    )
    if ratio < REFUSED:
        return [f"{sentence}: check their offsets" + (" and the calibration." if calibrated else ".")]
    causes = "do not show one person in synchronised frames" + (
        ", or this is not their calibration" if calibrated else ""
    )
    raise UserError(
        ErrorCode.VIEWS_DISAGREE,
        f"The views {causes}. {sentence}.",
        "Check the offsets, the frame rates and which face each view shows; or track the views one by one.",
    )


def measure(
    head: HeadModel,
    views: Sequence[View],
    together: NDArray[np.floating[Any]],
    options: FitOptions,
    should_cancel: ShouldCancel,
) -> Consistency:
    """Fit each view alone to some frames that it shows; ``together (C,T,N)`` are the joint fit's errors, % IOD."""
    from backend.fitting import fit_take

    joint, alone = [], []
    plain = replace(options, deform_region=None, max_iterations=ITERATIONS)
    for view, error in zip(views, together, strict=True):
        frames = _spread(view.alignment.tells_pose)
        single = fit_take(head, [_at(view, frames)], plain, should_cancel=should_cancel)
        joint.append(np.nanmean(error[frames]))
        alone.append(np.nanmean(single.reprojection_error_percent_iod))
    return Consistency(np.array(joint), np.array(alone))


def _spread(found: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Some of the frames in which there is a face, evenly."""
    index = np.flatnonzero(found)
    return index[np.unique(np.linspace(0, len(index) - 1, min(SAMPLE, len(index))).round().astype(int))]


def _at(view: View, frames: NDArray[np.int64]) -> View:
    """A view's frames, too far apart in time to be smooth."""
    return replace(view, alignment=view.alignment.at(frames).far_apart())
