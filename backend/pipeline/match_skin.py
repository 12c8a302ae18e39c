"""The skin of a job's views matched: their pictures read again, and what is said of it to the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.pipeline.align_views import picture_at

if TYPE_CHECKING:
    from backend.pipeline.align_views import AlignedView
    from backend.skin_matching.refine_views import MatchedFit, ViewPictures


def pictures_of(aligned: Sequence[AlignedView]) -> ViewPictures:
    """The pictures of a job's views, decoded anew when they are asked for."""
    from backend.skin_matching.refine_views import ViewPictures

    def picture(view: int, frame: int) -> NDArray[np.uint8] | None:
        try:
            return picture_at(aligned[view], frame)
        except UserError:
            return None  # it was read once; that it cannot be any more costs this frame's matches, not the take

    return ViewPictures(picture, [view.opened.lens for view in aligned])


def matching_report(
    aligned: Sequence[AlignedView], matched: MatchedFit | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """The report's part about the matching, None where nothing was matched, and warnings for the user."""
    if matched is None:
        sentence = (
            "The pictures show too little skin alike to match the views by it: the face's points alone place them."
        )
        return None, [sentence]
    names = [view.opened.spec.name for view in aligned]
    left_out = [name for name, count in zip(names, matched.keypoints, strict=True) if not count]
    warnings = []
    if left_out:
        warnings.append(
            f"Too little skin of “{'”, “'.join(left_out)}” could be matched with other views: the face's points alone "
            "tell where it was taken from."
        )
    if not matched.well_constrained and len(aligned) > 2:
        warnings.append("The cameras stand too close to each other for the skin to tell lenses and places exactly.")
    report = {
        "frames": [int(aligned[0].alignment.numbers[t]) for t in matched.frames],
        "keypoints": {name: int(count) for name, count in zip(names, matched.keypoints, strict=True)},
        "residual_px": round(matched.residual_px, 4),
        "cameras_well_constrained": matched.well_constrained,
    }
    return report, warnings
