"""A job's wrinkles: the pictures of its views read again, and the file in its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.pipeline.paint_skin import pictures_of, spare_the_take
from backend.progress import ShouldCancel

if TYPE_CHECKING:
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView
    from backend.track.types import Track

SIDE = 512
"""Texels along the atlas: 0.64 mm each on the face, as much as a pixel of most footage."""


def read_wrinkles(
    track: Track,
    head: HeadModel,
    aligned: Sequence[AlignedView],
    path: Path,
    *,
    on_progress: Callable[[float], None],
    should_cancel: ShouldCancel,
    side: int = SIDE,
) -> dict[str, Any]:
    """Write the wrinkles of a track to ``path``, ``side`` texels along, where the pictures tell of any.

    Returns what the report says of them, with ``none`` whether there are none and ``said``, sentences for the user.

    Raises:
        Cancelled: ``should_cancel`` said so.
    """
    from backend.detail.io import save_wrinkles
    from backend.detail.make import make_wrinkles

    path.unlink(missing_ok=True)
    found, report = make_wrinkles(
        track, head, pictures_of(aligned), side=side, on_progress=on_progress, should_cancel=should_cancel
    )
    if found is not None:
        save_wrinkles(found, path)
    return {"file": path.name, **report.to_plain(), "none": found is None, "said": list(report.said)}


def read_or_say(
    track: Track,
    head: HeadModel,
    aligned: Sequence[AlignedView],
    path: Path,
    *,
    on_progress: Callable[[float], None],
    should_cancel: ShouldCancel,
) -> dict[str, Any]:
    """As ``read_wrinkles``; what goes wrong is said, and does not cost the take.

    Raises Cancelled, and OSError where the disk is full.
    """
    told, said = spare_the_take(
        lambda: read_wrinkles(track, head, aligned, path, on_progress=on_progress, should_cancel=should_cancel),
        path,
        "Wrinkles could not be read",
    )
    return {"none": True, "said": said} if told is None else told
