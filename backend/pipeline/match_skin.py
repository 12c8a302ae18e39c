"""The skin of a job's views matched: their pictures read again, and what is said of it to the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.pipeline.align_views import picture_at
from backend.progress import ShouldCancel

if TYPE_CHECKING:
    from backend.fitting import FitOptions, FitResult, View
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView


@dataclass(frozen=True, eq=False)
class MatchedJob:
    """The fit to go on with, a line of the report (None where nothing was matched) and sentences for the user."""

    fit: FitResult
    report: dict[str, Any] | None
    warnings: list[str]


def match_skin(
    head: HeadModel,
    aligned: Sequence[AlignedView],
    views: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    neutral_prior: NDArray[np.float32] | None,
    *,
    on_progress: Callable[[float], None],
    should_cancel: ShouldCancel,
) -> MatchedJob:
    """Refine the joint fit of several views by what their pictures show alike.

    Raises:
        Cancelled: ``should_cancel`` said so.
    """
    from backend.skin_matching.refine_views import ViewPictures, refine

    def picture(view: int, frame: int) -> NDArray[np.uint8] | None:
        try:
            return picture_at(aligned[view], frame)
        except UserError:
            return None  # it was read once; that it cannot be any more costs this frame's matches, not the take

    pictures = ViewPictures(picture, [view.opened.lens for view in aligned])
    matched = refine(
        head,
        views,
        fit,
        options,
        pictures,
        neutral_prior=neutral_prior,
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    if matched is None:
        sentence = (
            "The pictures show too little skin alike to match the views by it: the face's points alone place them."
        )
        return MatchedJob(fit, None, [sentence])
    names = [view.opened.spec.name for view in aligned]
    left_out = [name for name, count in zip(names, matched.keypoints, strict=True) if not count]
    warnings = []
    if left_out:
        warnings.append(
            f"Too little skin of “{'”, “'.join(left_out)}” could be matched with other views: the face's points alone "
            "tell where it was taken from."
        )
    if not matched.well_constrained and len(views) > 2:
        warnings.append("The cameras stand too close to each other for the skin to tell lenses and places exactly.")
    report = {
        "frames": [int(aligned[0].alignment.numbers[t]) for t in matched.frames],
        "keypoints": {name: int(count) for name, count in zip(names, matched.keypoints, strict=True)},
        "residual_px": round(matched.residual_px, 4),
        "cameras_well_constrained": matched.well_constrained,
    }
    return MatchedJob(matched.fit, report, warnings)
