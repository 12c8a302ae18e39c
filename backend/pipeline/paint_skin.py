"""A job's texture: the pictures of its views read again, and the file in its folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled, UserError
from backend.files import raise_where_full, write_atomic
from backend.progress import ShouldCancel

if TYPE_CHECKING:
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView
    from backend.texture.types import Pictures
    from backend.track.types import Track

log = logging.getLogger(__name__)
Made = TypeVar("Made")

SIDE = 1024
"""Texels along the atlas: 0.35 mm each on the face."""
PASSED_OVER = 40
"""Frames of a video that are sooner decoded and left out than sought: keyframes often lie further apart."""


def paint_skin(
    track: Track,
    head: HeadModel,
    aligned: Sequence[AlignedView],
    path: Path,
    *,
    on_progress: Callable[[float], None],
    should_cancel: ShouldCancel,
    side: int = SIDE,
) -> dict[str, Any] | None:
    """Write the texture of a track to ``path``, ``side`` texels along.

    Returns what the report says of it, None where there is none.

    Raises:
        Cancelled: ``should_cancel`` said so.
    """
    from backend.texture.make import make_texture

    path.unlink(missing_ok=True)
    pictures = pictures_of(aligned)
    texture = make_texture(track, head, pictures, side=side, on_progress=on_progress, should_cancel=should_cancel)
    if texture is None:
        return None
    done, data = cv2.imencode(".png", cv2.cvtColor(texture.picture, cv2.COLOR_RGB2BGR))
    if not done:
        return None
    write_atomic(path, data.tobytes())
    return {"file": path.name, **texture.report()}


def paint_or_say(
    track: Track,
    head: HeadModel,
    aligned: Sequence[AlignedView],
    path: Path,
    *,
    on_progress: Callable[[float], None],
    should_cancel: ShouldCancel,
) -> tuple[dict[str, Any] | None, list[str]]:
    """As ``paint_skin``, and sentences for the user: what goes wrong is said, and does not cost the take.

    Raises Cancelled, and OSError where the disk is full.
    """
    return spare_the_take(
        lambda: paint_skin(track, head, aligned, path, on_progress=on_progress, should_cancel=should_cancel),
        path,
        "The skin could not be painted",
    )


def spare_the_take(work: Callable[[], Made], path: Path, failure: str) -> tuple[Made | None, list[str]]:
    """What ``work`` makes; what goes wrong is said, beginning with ``failure``, and does not cost the take.

    Raises Cancelled, and OSError where the disk of ``path`` is full.
    """
    try:
        return work(), []
    except Cancelled:
        raise
    except Exception as error:  # too little memory, say: the take itself is whole
        raise_where_full(error, path)
        log.warning("%s", failure, exc_info=True)
        return None, [f"{failure} from the footage ({type(error).__name__}: {error})."]


def pictures_of(aligned: Sequence[AlignedView]) -> Pictures:
    """The pictures of a job's views, decoded anew; one that cannot be read any more is left out."""

    def pictures(view: int, frames: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        mine = aligned[view]
        frame_of = {int(mine.footage_frames[frame]): frame for frame in frames}
        apart = PASSED_OVER if mine.opened.info.kind == "video" else 1
        for first, last in _stretches(sorted(frame_of), apart):
            try:
                for decoded in mine.opened.footage.part((first, last)):
                    if decoded.number in frame_of:
                        yield frame_of[decoded.number], decoded.image
            except UserError:
                continue  # it was read once; that it cannot be any more costs the colour, not the take

    return pictures


def _stretches(numbers: Sequence[int], apart: int) -> Iterator[tuple[int, int]]:
    """First and last of runs of ascending numbers that follow each other by at most ``apart``."""
    breaks = [0, *(n for n in range(1, len(numbers)) if numbers[n] - numbers[n - 1] > apart), len(numbers)]
    for begin, end in pairwise(breaks):
        if end > begin:
            yield numbers[begin], numbers[end - 1]
