"""The skin of a job's views matched: their pictures read again, and what is said of it to the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import UserError
from backend.pipeline.align_views import picture_at
from backend.pipeline.follow_skin import can_follow, following_report, pictures_in_order

if TYPE_CHECKING:
    from backend.pipeline.align_views import AlignedView
    from backend.skin_matching.refine_views import MatchedFit, ViewPictures
    from backend.solving import SolvedTake
    from protocol.options import SolveOptions


@contextmanager
def matching(options: SolveOptions, aligned: Sequence[AlignedView]) -> Iterator[ViewPictures | None]:
    """The pictures in which a job's skin is to be matched, open for as long; None where it is not."""
    from backend.pipeline.read_again import PicturesAgain

    if not options.matches_skin(len(aligned)):
        yield None
    elif len(aligned) > 1:
        yield pictures_of(aligned)
    elif can_follow(aligned[0]):
        with PicturesAgain(aligned[0]) as reading:
            yield pictures_in_order(aligned[0], reading)
    else:
        yield None


def matched_in(aligned: Sequence[AlignedView], solved: SolvedTake, *, wanted: bool) -> tuple[dict[str, Any], list[str]]:
    """The report's parts about skin, matched between views and in time, where it was ``wanted``; warnings for users."""
    parts: dict[str, Any] = {"matching": None, "matching_in_time": None}
    said: list[str] = []
    if wanted and len(aligned) > 1:
        parts["matching"], said = matching_report(aligned, solved.matched)
    elif wanted:
        parts["matching_in_time"], said = following_report(solved)
    return parts, said


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
