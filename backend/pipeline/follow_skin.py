"""The skin of a job's one view followed in time: its pictures read again, and what is said of it to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from backend.fitting import FitResult
    from backend.pipeline.align_views import AlignedView
    from backend.pipeline.read_again import PicturesAgain
    from backend.skin_matching.refine_views import ViewPictures
    from backend.solving.solve import SolvedTake

F32 = NDArray[np.float32]
NOT_FOLLOWED = "The skin could not be followed from frame to frame: the face's points alone tell how the head moves."


def can_follow(view: AlignedView) -> bool:
    """Whether there are two frames in a row that show the face."""
    shown = view.alignment.tells_pose
    return bool((shown[1:] & shown[:-1]).any())


def pictures_in_order(view: AlignedView, reading: PicturesAgain) -> ViewPictures:
    """A job's one view, whose pictures are those of ``reading``."""
    from backend.skin_matching.refine_views import ViewPictures

    return ViewPictures(lambda _view, frame: reading.at(frame), [view.opened.lens])


def following_report(solved: SolvedTake) -> tuple[dict[str, Any] | None, list[str]]:
    """The report's part about the skin followed in time, None where none was, and warnings for the user.

    Errors are RMS over a frame's matched points: before, of the fit to the aligner's points alone; after, of the take.
    """
    followed = solved.followed
    if followed is None or solved.skin_error_px is None:
        return None, [NOT_FOLLOWED]
    shown = followed.keypoints > 0
    report = {
        "frames": int(shown.sum()),
        "keypoints": round(float(followed.keypoints[shown].mean()), 1),
        "rounds": int(followed.rounds),
        "before": _errors(followed.before_px, solved.fit),
        "after": _errors(solved.skin_error_px, solved.fit),
    }
    return report, []


def _errors(pixels: NDArray[np.float64], fit: FitResult) -> dict[str, float | None]:
    percent = 100 * pixels / fit.inter_ocular_px[0]
    figures: dict[str, float | None] = {}
    for unit, values in (("px", pixels), ("percent_iod", percent)):
        known = values[np.isfinite(values)]
        figures[f"mean_{unit}"] = round(float(known.mean()), 4) if len(known) else None
        figures[f"p95_{unit}"] = round(float(np.percentile(known, 95)), 4) if len(known) else None
    return figures


def skin_error_percent(solved: SolvedTake) -> F32 | None:
    """(T,) by how much the take misses the skin in each frame, percent of the inter-ocular distance; None without."""
    if solved.skin_error_px is None:
        return None
    return (100 * solved.skin_error_px / solved.fit.inter_ocular_px[0]).astype(np.float32)
