"""How much of a picture another one does not explain, by motion and light: little within a shot, much across a cut.

The pictures are compared small and with their histograms equalised, which takes out most of what light and exposure do.
One is shifted (phase correlation) and warped (dense optical flow) onto the other, which explains motion of camera and
things; what correlates least then, in small windows that neither picture clips, is the change. The palettes count as
far as both pictures are as bright. PySceneDetect, the field's library, compares pictures in place: shakes and light and
low frame rates are cuts to it, and a change of people before one background is none.

Measured on the 19 clips of ``../shared/data``: at most 0.05 from frame to frame, 0.17 from one to the fifth after it;
up to 0.14 as exposure doubles or the camera is hit and looks 30 % of the picture aside; between frames of different
clips 0.17 to 2, 1.1 in the median, lowest between people who sit in one studio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
F32 = NDArray[np.float32]

SIDE = 64  # px of a small picture
_SAMPLES = 192  # px read of a side: averaging all of a large picture takes fifty times as long
_WINDOW = 9  # px
_NOISE = 20.0  # variance of equalised grey levels that no window's texture is told from
_BLANK = 3.0  # standard deviation of grey levels up to which a picture shows nothing
_CLIPPED = 3, 248  # grey levels outside of which light has left nothing to compare
_ENOUGH = 0.25  # share of the windows that tells the change of the whole
_OVERLAP = 0.5  # share of a shifted picture that must still lie on the other
_COLOURS = 32  # bins along each of Lab's two axes of hue
_LIKE_LIGHT = 0.25  # difference of log mean brightness beyond which palettes do not compare
_X, _Y = (np.ascontiguousarray(grid, np.float32) for grid in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
_FADE = cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F)  # of the borders, which no shift explains


@dataclass(frozen=True, eq=False)
class Glance:
    """A small picture: ``colour (64,64,3)`` RGB, ``grey (64,64)`` equalised, ``clear (64,64)`` 1 where not clipped,
    ``brightness`` its mean grey, ``detail`` its mean differences along x and y, and whether it is blank."""

    colour: NDArray[np.uint8]
    grey: Grey
    clear: NDArray[np.uint8]
    brightness: float
    detail: tuple[float, float]
    blank: bool


def glance(image: NDArray[np.uint8]) -> Glance:
    """The small picture of an RGB image (H,W,3) of any size and shape."""
    sampled = cv2.resize(image, (_SAMPLES, _SAMPLES), interpolation=cv2.INTER_NEAREST)
    return glance_of(np.asarray(cv2.resize(sampled, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))


def glance_of(colour: NDArray[np.uint8]) -> Glance:
    """The small picture whose ``colour (64,64,3)`` is known: all else follows from it."""
    grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    clear = ((grey >= _CLIPPED[0]) & (grey <= _CLIPPED[1])).astype(np.uint8)
    levelled = np.asarray(cv2.equalizeHist(grey), np.uint8)
    detail = tuple(float(cv2.norm(levelled, np.roll(levelled, 1, axis), cv2.NORM_L1)) / SIDE**2 for axis in (1, 0))
    return Glance(colour, levelled, clear, mean, (detail[0], detail[1]), deviation < _BLANK)


def difference(a: Glance, b: Glance) -> float:
    """Mean difference of the equalised greys (0…255) in place: cheap, and small wherever ``change`` is."""
    return float(cv2.norm(a.grey, b.grey, cv2.NORM_L1)) / SIDE**2


def change(a: Glance, b: Glance) -> float:
    """How little ``a`` and ``b`` explain each other, 0 to about 2; NaN where too little of both can be compared."""
    (forth, share_forth), (back, share_back) = _unexplained(a, b), _unexplained(b, a)
    if min(share_forth, share_back) < _ENOUGH:
        return math.nan
    light = math.log((a.brightness + 5) / (b.brightness + 5)) / _LIKE_LIGHT
    return max(forth, back) * (1 + 2 * _palettes_apart(a, b) * math.exp(-(light**2)))


def mixture(a: Glance, b: Glance, mixed: Glance) -> float | None:
    """The share of ``b`` in a picture that is a blend of ``a`` and ``b``; None where it is none."""
    one, other, middle = (picture.colour.astype(np.float64).ravel() for picture in (a, b, mixed))
    towards, moved = other - one, middle - one
    share = float(towards @ moved / max(float(towards @ towards), 1e-9))
    rest = moved - share * towards
    if 0.1 < share < 0.9 and rest @ rest < 0.1 * float(towards @ towards) * min(share, 1 - share):
        return share
    return None


def _unexplained(a: Glance, b: Glance) -> tuple[float, float]:
    """1 less the mean correlation of ``a`` with ``b`` warped onto it, by the better of two starts, and its share."""
    best = (math.inf, 0.0)
    for shift in ((0.0, 0.0), _shift(a.grey, b.grey)):
        x, y = _X + np.float32(shift[0]), _Y + np.float32(shift[1])
        inside = ((x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)).astype(np.uint8)
        if inside.mean() < _OVERLAP:
            continue
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(  # type: ignore[call-overload]
            a.grey, _sampled(b.grey, x, y, cv2.INTER_LINEAR), None
        )
        x, y = x + flow[..., 0], y + flow[..., 1]
        told = a.clear & inside & _sampled(b.clear, x, y, cv2.INTER_NEAREST)
        best = min(best, _uncorrelated(a.grey, _sampled(b.grey, x, y, cv2.INTER_LINEAR), told))
    return best


def _shift(a: Grey, b: Grey) -> tuple[float, float]:
    """How far what ``a`` shows lies displaced in ``b``, pixels, as phase correlation tells."""
    (x, y), _ = cv2.phaseCorrelate(a.astype(np.float32), b.astype(np.float32), _FADE)
    return float(x), float(y)


def _sampled(picture: NDArray[np.uint8], x: F32, y: F32, how: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _uncorrelated(a: Grey, b: Grey, told: NDArray[np.uint8]) -> tuple[float, float]:
    """1 less the mean correlation of windows (0…2), weighed by their contrast, and the share of windows ``told``."""
    one, other = a.astype(np.float32), b.astype(np.float32)
    mean_one, mean_other = _mean(one), _mean(other)
    variance_one = np.maximum(_mean(one * one) - mean_one**2, 0)
    variance_other = np.maximum(_mean(other * other) - mean_other**2, 0)
    covariance = _mean(one * other) - mean_one * mean_other
    correlation = (covariance + _NOISE) / np.sqrt((variance_one + _NOISE) * (variance_other + _NOISE))
    used = _mean(told.astype(np.float32)) > 0.9
    weight = (np.sqrt(variance_one + variance_other) + 1e-6) * used
    return 1 - float((weight * correlation).sum() / max(float(weight.sum()), 1e-6)), float(used.mean())


def _mean(values: F32) -> F32:
    return np.asarray(cv2.blur(values, (_WINDOW, _WINDOW)), np.float32)


def _palettes_apart(a: Glance, b: Glance) -> float:
    """1 less what the histograms of hue and saturation share, 0…1."""
    return 1 - float(np.minimum(_palette(a), _palette(b)).sum())


def _palette(picture: Glance) -> F32:
    lab = cv2.cvtColor(picture.colour, cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [1, 2], None, [_COLOURS, _COLOURS], [64, 192, 64, 192])
    return np.asarray(cv2.GaussianBlur(counts, (3, 3), 0) / max(float(counts.sum()), 1.0), np.float32)
