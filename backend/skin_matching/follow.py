"""Keypoints followed through the pictures of a take: from each frame to the next, and from the take's own texture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.fitting import FitResult
from backend.head_model.atlas_texels import sample
from backend.observations import ViewAlignment
from backend.skin_matching.chain import Said
from backend.skin_matching.comparing import compare, structure
from backend.skin_matching.lay_out import STEP, Laid, Places, TakeLayout
from backend.skin_matching.refine_views import ViewPictures

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

FACING = 0.3
"""Cosine between normal and line of sight from which a keypoint is looked for (73°)."""
SPREAD = 24
"""Frames whose mean is the take's texture: all of them if there are no more."""
STRIP = 16
"""Frames posed at once."""
ROBUST = 30.0
"""Grey levels beyond which a frame's pull on the mean texture fades."""


@dataclass(frozen=True, eq=False)
class FollowedSkin:
    """What pictures said of P keypoints over T frames; their ``pixels (T,P,2)`` as fitted, and the ``jacobian
    (T,P,2,2)`` of those by the texel."""

    said: Said
    pixels: F64
    jacobian: F64


@dataclass(frozen=True, eq=False)
class MeanTexture:
    """A take's texture: ``grey (S,S)`` uint8, and the nodes of the coarse grid ``seen (R,C)`` by any frame."""

    grey: NDArray[np.uint8]
    seen: F32


def follow(
    layout: TakeLayout,
    fit: FitResult,
    alignment: ViewAlignment,
    pictures: ViewPictures,
    places: F64,
    *,
    consecutive: bool,
    mean_texture: bool,
    check: Callable[[], None],
    on_progress: Callable[[float], None],
) -> FollowedSkin:
    """Follow the keypoints at texels ``places (P,2)`` through the frames of a fitted view.

    ``check`` is called before every picture and may raise.
    """
    count, points = alignment.frame_count, len(places)
    shown = alignment.tells_pose

    def laid(t: int, at: Places) -> Laid | None:
        check()
        picture = pictures.picture(0, t)
        return None if picture is None else layout.lay_out(picture, at)

    texture = mean_of(layout, fit, shown, laid) if mean_texture else None
    marks = None if texture is None else structure(texture.grey, places)
    known = None if texture is None else sample(texture.seen, places / STEP) > 0.99
    relative, absolute = np.full((count, points, 2), np.nan), np.full((count, points, 2), np.nan)
    relative_sigma, absolute_sigma = np.full((count, points), np.nan), np.full((count, points), np.nan)
    facing, pixels = np.zeros((count, points)), np.zeros((count, points, 2))
    jacobian = np.zeros((count, points, 2, 2))
    last: Laid | None = None
    last_number = -2
    for start in range(0, count, STRIP):
        strip = np.arange(start, min(start + STRIP, count))
        for t, at in zip(strip, layout.places(fit, strip), strict=True):
            one = laid(int(t), at) if shown[t] else None
            if one is None:
                last = None
                continue
            facing[t], pixels[t] = one.facing(places), one.pixels(places)
            jacobian[t] = _jacobian(one, places)
            wanted = facing[t] > FACING
            if last is not None and consecutive and last_number == t - 1:
                own = structure(last.grey, places) if marks is None else marks
                both = wanted & (facing[t - 1] > FACING)
                found = compare(last.grey, one.grey, places, both, own, back=texture is None)
                relative[t] = found.flow
                relative_sigma[t] = found.sigma / np.sqrt(facing[t] * facing[t - 1]).clip(0.1)
            if texture is not None and marks is not None and known is not None:
                found = compare(texture.grey, one.grey, places, wanted & known, marks)
                absolute[t] = found.flow
                absolute_sigma[t] = found.sigma / np.sqrt(facing[t]).clip(0.1)
            last, last_number = one, int(t)
        on_progress((start + len(strip)) / count)
    return FollowedSkin(Said(relative, relative_sigma, absolute, absolute_sigma, facing), pixels, jacobian)


def spread_frames(shown: Bools) -> NDArray[np.intp]:
    """At most ``SPREAD`` of the frames ``shown (T,)``, evenly."""
    every = np.flatnonzero(shown)
    return every[np.unique(np.linspace(0, len(every) - 1, min(SPREAD, len(every))).round().astype(int))]


def mean_of(
    layout: TakeLayout, fit: FitResult, shown: Bools, laid: Callable[[int, Places], Laid | None]
) -> MeanTexture:
    """The robust mean texture of frames spread over the take, every texel by how well they see it."""
    seen = [
        one for t in spread_frames(shown) if (one := laid(int(t), layout.places(fit, np.array([t]))[0])) is not None
    ]
    grey = np.stack([one.grey for one in seen]) if seen else np.full((1, layout.side, layout.side), 128, np.uint8)
    facing = (
        np.stack([one.places.facing for one in seen]) if seen else np.zeros((1, *[layout.side // STEP] * 2), np.float32)
    )
    weights = [np.repeat(np.repeat(f * (f > FACING), STEP, axis=0), STEP, axis=1) for f in facing]
    mean = _mean(grey, weights)
    for _ in range(2):
        faded = [w / (1 + np.square((g - mean) / ROBUST)) for g, w in zip(grey, weights, strict=True)]
        mean = _mean(grey, faded)
    return MeanTexture(mean.round().astype(np.uint8), (facing > FACING).any(axis=0).astype(np.float32))


def _mean(grey: NDArray[np.uint8], weights: list[F32]) -> F32:
    total, weight = np.zeros(grey.shape[1:], np.float32), np.zeros(grey.shape[1:], np.float32)
    for one, own in zip(grey, weights, strict=True):
        total += own * one
        weight += own
    return np.where(weight > 0, total / np.maximum(weight, 1e-6), np.float32(128))


def _jacobian(one: Laid, places: F64) -> F64:
    """(P,2,2) pixels by texel, over two nodes of the coarse grid."""
    sides = [(one.pixels(places + axis) - one.pixels(places - axis)) / (2 * STEP) for axis in np.eye(2) * STEP]
    return np.stack(sides, axis=-1)
