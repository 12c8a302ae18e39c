"""Many views of the same skin to one picture: exposure evened out, what does not belong rejected, detail kept.

Two bands (Burt and Adelson 1983): brightness and tint from all views, so that no seam shows where one view begins,
and detail from the few best ones, as many that are each a pixel off make a blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backend.texture.observe import Observation
from backend.texture.types import F32

CELL = 8
"""Texels along a cell, in which brightness and tint are compared: 2.8 mm of 1024² on the face."""
GAIN = (0.6, 1.7)
"""Bounds of how much brighter or darker a picture is made."""
UNLIKE = 14.0
"""Grey levels off the weighted median of all views that leave a quarter of a view's weight."""
DETAIL_POWER = 8
"""Of a view's weight for detail: one that is worth half as much adds a 256th.

Frames that are not among the views differ from the texture by 33.1 dB with 4, 32.7 with 12 and 31.3 with 24, while
moles and brows get the sharper. Moving the views onto each other by optical flow changed that by less than 0.1 dB,
smeared moles and took as long again."""
BROAD = 2.0
"""Cells, the width over which brightness and tint are taken from all views."""
DARK, BRIGHT = 8, 247
"""Grey levels between which a picture tells of its exposure."""
ROUNDS = 4
LEAST_CONTRAST = 0.5  # grey levels, below which there is none
LEAST_SHARE = 0.25  # of a cell's texels that must be seen


@dataclass(frozen=True, eq=False)
class Blend:
    """``color (S,S,3)`` sRGB, 0…255, and ``weight (S,S)``, the sum of the views' weights."""

    color: F32
    weight: F32


def blend(views: Sequence[Observation], trust: Sequence[float]) -> Blend:
    """The views (at least one) as one, each with a weight of its own besides those of its texels."""
    coarse = [_Coarse.of(view) for view in views]
    color = np.stack([view.color for view in coarse])
    weight = np.stack([view.weight * share for view, share in zip(coarse, trust, strict=True)])
    gain = _gains(color, weight)
    evened = color * gain[:, None, None]
    off = np.abs(evened - _weighted_median(evened, weight)).max(axis=-1)
    likely = np.asarray(1 / (1 + (off / UNLIKE) ** 2) ** 2, np.float32)
    sharp = _sharpness(np.stack([view.contrast for view in coarse]))
    size = (len(views[0].weight),) * 2
    broad, spread = zip(*(_smoothed(view.color, view.weight) for view in coarse), strict=True)
    detail = np.zeros((*size, 3), np.float32)
    detail_weight, total = np.zeros((2, *size), np.float32)
    for view, mine, own_gain, fits, share, crisp in zip(
        views, zip(broad, spread, strict=True), gain, likely, trust, sharp, strict=True
    ):
        known = view.weight * cv2.resize(fits * np.float32(share), size, interpolation=cv2.INTER_LINEAR)
        total += known
        best = (known * np.float32(crisp)) ** DETAIL_POWER
        own = cv2.subtract(view.color, _up(mine[0], mine[1], size), dtype=cv2.CV_32F)
        detail += (best[..., None] * own_gain) * own
        detail_weight += best
    detail /= np.maximum(detail_weight, 1e-12)[..., None]
    worth = np.stack(spread) * np.asarray(trust, np.float32)[:, None, None] * likely
    low = _mean(np.stack(broad) * gain[:, None, None], worth)
    return Blend(np.clip(_up(low, worth.sum(axis=0), size) + detail, 0, 255), total)


@dataclass(frozen=True, eq=False)
class _Coarse:
    """Cells' mean colours (s,s,3), mean weights (s,s) and contrast within (s,s), NaN where little is seen."""

    color: F32
    weight: F32
    contrast: F32

    @classmethod
    def of(cls, view: Observation) -> _Coarse:
        seen = (view.weight > 0).astype(np.uint8)
        size = (len(seen) // CELL, len(seen) // CELL)
        share = cv2.resize(seen * np.uint8(255), size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        masked = cv2.bitwise_and(view.color, view.color, mask=seen)
        color = cv2.resize(masked, size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-3)[..., None]
        weight = cv2.resize(view.weight, size, interpolation=cv2.INTER_AREA) * (share > LEAST_SHARE)
        grey = cv2.cvtColor(view.color, cv2.COLOR_RGB2GRAY)
        fine = cv2.absdiff(grey, cv2.blur(grey, (CELL, CELL)))
        contrast = cv2.resize(fine, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        contrast[weight < 0.05] = np.nan
        return cls(np.asarray(np.minimum(color, 255), np.float32), weight, contrast)


def _smoothed(color: F32, weight: F32) -> tuple[F32, F32]:
    """Cells' colours averaged over those around, and the weights that they were averaged with."""
    spread = cv2.GaussianBlur(weight, (0, 0), BROAD)
    return cv2.GaussianBlur(color * weight[..., None], (0, 0), BROAD) / np.maximum(spread, 1e-6)[..., None], spread


def _up(color: F32, weight: F32, size: tuple[int, int]) -> F32:
    """Cells' colours for each texel, those without weight taking no part."""
    known = (weight > 1e-4).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_LINEAR)
    whole = cv2.resize((color * known[..., None]).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole / np.maximum(share, 1e-3)[..., None])


def _mean(color: F32, weight: F32) -> F32:
    total = np.maximum(weight.sum(axis=0), 1e-9)[..., None]
    return np.asarray((color * weight[..., None]).sum(axis=0) / total, np.float32)


def _gains(color: F32, weight: F32) -> F32:
    """(n,3) by which each view's colours (n,s,s,3) agree best; the one that shows most stays as it is."""
    gain = np.ones((len(color), 3), np.float32)
    if len(color) == 1:
        return gain
    usable = (weight > 0.02) & (color > DARK).all(axis=-1) & (color < BRIGHT).all(axis=-1)
    for _ in range(ROUNDS):
        middle = _mean(color * gain[:, None, None], weight)
        for index, (own, good) in enumerate(zip(color, usable, strict=True)):
            if good.sum() > 20:
                gain[index] = np.median(middle[good] / own[good], axis=0)
        gain = gain / gain[weight.sum(axis=(1, 2)).argmax()]
    return np.asarray(np.clip(gain, *GAIN), np.float32)


def _weighted_median(color: F32, weight: F32) -> F32:
    """(s,s,3) of n views (n,s,s,3), channel by channel."""
    result = np.empty(color.shape[1:], np.float32)
    for channel in range(3):
        order = np.argsort(color[..., channel], axis=0)
        sums = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
        at = (sums < sums[-1:] / 2).sum(axis=0).clip(max=len(color) - 1)
        chosen = np.take_along_axis(order, at[None], axis=0)
        result[..., channel] = np.take_along_axis(color[..., channel], chosen, axis=0)[0]
    return result


def _sharpness(contrast: F32) -> F32:
    """(n,) how much contrast each of n views (n,s,s) has beside what is usual of the same skin; about 1."""
    known = np.isfinite(contrast)
    usual = np.nanmedian(np.where(known.any(axis=0), contrast, 1.0), axis=0)
    clear = known & (usual > LEAST_CONTRAST)
    ratio = [
        float(np.median(one[good] / usual[good])) if good.any() else 1.0
        for one, good in zip(contrast, clear, strict=True)
    ]
    return np.asarray(np.clip(ratio, 0.5, 1.5), np.float32)
