"""Maps of wrinkles as sums of bumps of a wrinkle's width: what least squares solve for is how much of each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.detail.types import F32

FINE_MM, BROAD_MM = 0.6, 3.5
"""σ of the Gaussians whose difference a bump is: finer is pores and noise, broader is the smooth head's shape."""
ABOUT_MM = 1.5
"""σ of what is about a place, beside which it stands out or lies deep."""
SLOW_MM = 5.0
"""σ of brightness that changes slowly over the skin and is left out: light, blood, the smooth head's faults."""


@dataclass(frozen=True)
class Band:
    """The bumps of an atlas whose texels are ``texel_mm`` wide; pictures are (h,w), 0 beyond their border."""

    texel_mm: float

    def bumps(self, amounts: F32) -> F32:
        """The map that amounts (h,w) make: white noise of 1 becomes a map of variance 1. It is its own transpose."""
        return np.asarray((self._blur(amounts, FINE_MM) - self._blur(amounts, BROAD_MM)) / self._spread(), np.float32)

    def stands_out(self, depth: F32) -> F32:
        """How far a map (h,w), millimetres, stands out of what is about it, in widths of that. Its own transpose."""
        return np.asarray((depth - self._blur(depth, ABOUT_MM)) / ABOUT_MM, np.float32)

    def slow(self, values: F32, weight: F32) -> F32:
        """The slow part of values (h,w) that are known as well as ``weight (h,w)`` says."""
        known = self._blur(weight, SLOW_MM)
        return np.asarray(self._blur(values * weight, SLOW_MM) / np.maximum(known, 1e-4), np.float32)

    def _blur(self, values: F32, sigma_mm: float) -> F32:
        sigma = max(sigma_mm / self.texel_mm, 0.3)
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float32)

    def _spread(self) -> float:
        """The standard deviation of the difference of Gaussians of white noise."""
        one, other = (max(sigma / self.texel_mm, 0.3) for sigma in (FINE_MM, BROAD_MM))
        return float(np.sqrt((1 / (4 * one**2) + 1 / (4 * other**2) - 1 / (one**2 + other**2)) / np.pi))


def slope(depth: F32) -> tuple[F32, F32]:
    """Derivatives of a map (h,w) by column and by row, per texel; 0 at the border."""
    across, down = np.zeros_like(depth), np.zeros_like(depth)
    across[:, 1:-1] = (depth[:, 2:] - depth[:, :-2]) / 2
    down[1:-1] = (depth[2:] - depth[:-2]) / 2
    return across, down


def slope_transposed(across: F32, down: F32) -> F32:
    """The transpose of ``slope``."""
    depth = np.zeros_like(across)
    depth[:, 2:] += across[:, 1:-1] / 2
    depth[:, :-2] -= across[:, 1:-1] / 2
    depth[2:] += down[1:-1] / 2
    depth[:-2] -= down[1:-1] / 2
    return depth
