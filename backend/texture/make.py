"""A track's texture from its footage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import lens_of
from backend.errors import Cancelled
from backend.head_model.model import HeadModel
from backend.head_model.posed import PosedHead
from backend.texture.blend import blend
from backend.texture.choose_frames import choose_frames
from backend.texture.fill import fill
from backend.texture.observe import Observation, observe
from backend.texture.skin_atlas import skin_atlas
from backend.texture.types import Pictures, Texture
from backend.track.geometry import neutral_of, seen_vertices
from backend.track.types import Track

LEAST_SEEN = 0.05
"""Share of the outer skin's texels below which there is no texture."""


def make_texture(
    track: Track,
    head: HeadModel,
    pictures: Pictures,
    *,
    side: int,
    on_progress: Callable[[float], None] = lambda _: None,
    should_cancel: Callable[[], bool] = lambda: False,
) -> Texture | None:
    """The skin of the person tracked in ``side`` texels along the atlas, None where the pictures show too little of it.

    ``side`` is a multiple of 16.

    Raises:
        Cancelled: ``should_cancel`` said so.
    """
    chosen = choose_frames(track, head)
    atlas = skin_atlas(head, side)
    neutral = neutral_of(head, track)
    views: list[Observation] = []
    trust: list[float] = []
    used: list[tuple[int, int]] = []
    for view in sorted({view for view, _ in chosen}):
        for frame, picture in pictures(view, [frame for number, frame in chosen if number == view]):
            if should_cancel():
                raise Cancelled
            face = posed_head(track, head, view, frame, neutral)
            views.append(observe(head, atlas, picture, face))
            trust.append(_trust(track, view, frame))
            used.append((view, frame))
            on_progress(0.8 * len(views) / len(chosen))
    if not views:
        return None
    blended = blend(views, trust)
    if should_cancel():
        raise Cancelled
    picture, seen = fill(head, atlas, blended)
    if seen[atlas.outer].mean() < LEAST_SEEN:
        return None
    return Texture(picture, seen, tuple(used))


def posed_head(track: Track, head: HeadModel, view: int, frame: int, neutral: NDArray[np.float32]) -> PosedHead:
    """The head before a view's camera at a frame of the take."""
    lens = lens_of(track.cameras[view])
    focal, centre = lens.focal_px, lens.principal_point
    seen = seen_vertices(head, track, np.array([frame]), neutral=neutral, view=view)[0]
    seen[:, :2] = (seen[:, :2] - centre) / focal * seen[:, 2:]
    return PosedHead(seen, focal, centre, None if lens.ideal else lens)


def _trust(track: Track, view: int, frame: int) -> float:
    """0…1, less where the head lies further from what was seen than it usually does."""
    error = track.cameras[view].reprojection_error_percent_iod
    if not np.isfinite(error[frame]):
        return 1.0
    usual = float(np.nanmedian(error))
    return float(1 / (1 + (max(0.0, float(error[frame]) / max(usual, 1e-6) - 1)) ** 2))
