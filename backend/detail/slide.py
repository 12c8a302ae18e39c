"""How the skin slides over the tracked head: what is painted on it lies elsewhere in each picture's atlas, by a little.

Left alone, blotches that slide as the brows rise look like wrinkles that come with them. Only what is painted is moved:
wrinkles stay where each picture shows them on the tracked head, which is what wears them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from backend.detail.band import slope
from backend.detail.types import F32

POOLED_MM = 7.0
"""σ of the window that slides as one: skin is stiff."""
USUAL_MM = 1.5
"""Standard deviation of how far it slides."""
FARTHEST_MM = 5.0
STEADY_MM = 0.5
"""Standard deviation of the error of place that is left even where skin hardly slides: 0.15 leaves rendered brow hair
twice the depth, and with 1 frown lines beside it are lost."""
LEFT = 0.5
"""The same beside how far skin slides in a place: what following did not find of it, as hair slides farther than the
skin about it, with which a window moves as one."""
NEAR_MM = 0.7
"""σ within which texture is taken to lie: a stroke that is off changes what is beside it, too."""
COARSE = 4
"""Texels along a cell, in which slides are looked at."""


class Slides:
    """The slides of n pictures of a patch, in texels; none to begin with."""

    def __init__(self, count: int, shape: tuple[int, int], texel_mm: float) -> None:
        self._texel_mm = texel_mm
        rows, columns = np.indices(shape)
        self._grid = np.stack([columns, rows], axis=-1).astype(np.float32)
        self._slide = [np.zeros((*shape, 2), np.float32) for _ in range(count)]

    def follow(
        self, painted: Sequence[F32], weight: Sequence[F32], variance: float, on_picture: Callable[[], None]
    ) -> list[F32]:
        """What sliding adds to each of the pictures ``painted (h,w)`` of the same skin, logarithms of brightness.

        One step of Lucas and Kanade (1981) from the slides known so far, in windows of ``POOLED_MM``, held at 0 by what
        is usual; ``variance`` is that of the pictures' faults. The mean slide of all pictures is none.
        ``on_picture`` may raise to stop it.
        """
        skin = self._skin(painted, weight)
        for index, (picture, own) in enumerate(zip(painted, weight, strict=True)):
            on_picture()
            shown = self._at(skin, self._slide[index])
            step = self._step(picture - shown, shown, own, variance, self._slide[index])
            moved = self._slide[index] + step
            far = np.linalg.norm(moved, axis=-1, keepdims=True) * self._texel_mm
            self._slide[index] = moved * np.minimum(1, FARTHEST_MM / np.maximum(far, 1e-6)).astype(np.float32)
        middle = np.mean(self._slide, axis=0)
        self._slide = [own - middle for own in self._slide]
        skin = self._skin(painted, weight)
        return [self._at(skin, own) - skin for own in self._slide]

    def false_change(self, skin: F32, weight: Sequence[F32]) -> list[F32]:
        """(h,w) the variance that the skin's texture makes in each of n pictures where it lies a little off its place.

        ``skin (h,w)`` is what is painted on it, logarithms of brightness. To first order a change is the texture's
        slope times the error of place (errors in variables; Fuller 1987, "Measurement Error Models"), whose variance is
        that of what is left of the slides known so far; ``weight (h,w)`` tells where a picture knows of them.
        """
        across, down = slope(skin)
        steep = self._about((across**2 + down**2) / self._texel_mm**2, NEAR_MM)
        total = np.sum(weight, axis=0)
        slid = sum(own * (slide**2).sum(axis=-1) for slide, own in zip(self._slide, weight, strict=True))
        pooled = self._about(slid, POOLED_MM) / np.maximum(self._about(total, POOLED_MM), 1e-3)
        left = STEADY_MM**2 + (LEFT * self._texel_mm) ** 2 * pooled
        return [left * self._at(steep, own) for own in self._slide]

    def _about(self, values: F32, sigma_mm: float) -> F32:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_mm / self._texel_mm), np.float32)

    def usual_mm(self, weight: Sequence[F32]) -> float:
        """By how much skin slides, root mean square."""
        square = sum(float((own[..., None] * slide**2).sum()) for slide, own in zip(self._slide, weight, strict=True))
        return float(np.sqrt(square / max(sum(float(own.sum()) for own in weight), 1e-6))) * self._texel_mm

    def _skin(self, painted: Sequence[F32], weight: Sequence[F32]) -> F32:
        """(h,w) what all pictures show, each slid back."""
        total = np.full(painted[0].shape, 1e-6, np.float32)
        found = np.zeros_like(total)
        for picture, own, slide in zip(painted, weight, self._slide, strict=True):
            back = self._at(own, -slide)
            total += back
            found += back * self._at(picture, -slide)
        return found / total

    def _at(self, picture: F32, slide: F32) -> F32:
        return np.asarray(cv2.remap(picture, self._grid + slide, None, cv2.INTER_LINEAR), np.float32)

    def _step(self, off: F32, shown: F32, weight: F32, variance: float, slide: F32) -> F32:
        across = cv2.Sobel(shown, cv2.CV_32F, 1, 0, scale=1 / 8)
        down = cv2.Sobel(shown, cv2.CV_32F, 0, 1, scale=1 / 8)
        parts = weight[..., None] * np.dstack([across**2, across * down, down**2, across * off, down * off])
        size = (parts.shape[1] // COARSE, parts.shape[0] // COARSE)
        sigma = POOLED_MM / self._texel_mm / COARSE
        cells = np.dstack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in np.moveaxis(parts, -1, 0)])
        pooled = cv2.GaussianBlur(cells, (0, 0), sigma)
        many = 4 * np.pi * (POOLED_MM / self._texel_mm) ** 2 / variance
        xx, xy, yy, bx, by = np.moveaxis(many * pooled, -1, 0)
        firm = (self._texel_mm / USUAL_MM) ** 2
        now = cv2.resize(slide, size, interpolation=cv2.INTER_AREA)
        bx, by = bx - firm * now[..., 0], by - firm * now[..., 1]
        xx, yy = xx + firm, yy + firm
        whole = xx * yy - xy * xy
        step = np.dstack([(yy * bx - xy * by) / whole, (xx * by - xy * bx) / whole])
        return np.asarray(cv2.resize(step, shown.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
