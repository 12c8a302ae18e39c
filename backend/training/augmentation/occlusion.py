"""Things in front of faces: flat or textured blobs, strips and hands, opaque or see-through, and soft shadows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.training.augmentation.backgrounds import Backgrounds, blend
from backend.training.config import AugmentConfig

Image = NDArray[np.uint8]


def hide_parts(
    image: Image, backgrounds: Backgrounds, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Image, NDArray[np.bool_] | None]:
    """``image (D,D,3)`` with random occluders, and where opaque ones hide it (D,D); None where there are none."""
    covered: NDArray[np.bool_] | None = None
    if rng.random() < config.veil:
        image = _veiled(image, backgrounds, rng)
    if rng.random() < config.occlusion:
        hidden = np.zeros(image.shape[:2], np.bool_)
        for _ in range(int(rng.choice((1, 1, 1, 2, 3)))):
            mask, fleshy = _shape(image.shape[0], rng)
            image = blend(image, _stuff(image, backgrounds, fleshy, rng), mask)
            hidden |= mask > 127
        covered = hidden
    return image, covered


def _veiled(image: Image, backgrounds: Backgrounds, rng: np.random.Generator) -> Image:
    """Shadows, glares and see-through things: soft or sharp shapes that dim, brighten or mix."""
    mask, _ = _shape(image.shape[0], rng)
    if rng.random() < 0.6:
        width = int(rng.integers(2, 24)) * 2 + 1
        mask = np.asarray(cv2.blur(mask, (width, width)), np.uint8)
    mask = np.asarray(cv2.convertScaleAbs(mask, alpha=float(rng.uniform(0.15, 0.7))), np.uint8)
    kind = rng.random()
    if kind < 0.6:
        over = np.empty_like(image)
        over[:] = rng.integers(0, 60) if kind < 0.4 else rng.integers(190, 256, 3)
    else:
        over = backgrounds.cutting(image.shape[0], rng)
    return blend(image, over, mask)


def _stuff(image: Image, backgrounds: Backgrounds, fleshy: bool, rng: np.random.Generator) -> Image:
    """The material of an occluder: skin for hands (often in this face's own tone), else a texture or one colour."""
    size = image.shape[0]
    if not fleshy:
        if rng.random() < 0.6:
            return backgrounds.cutting(size, rng)
        flat = np.empty_like(image)
        flat[:] = rng.integers(0, 256, 3)
        return flat
    if rng.random() < 0.6:
        row, column = rng.integers(int(size * 0.35), int(size * 0.65), 2)
        tone = image[row : row + 3, column : column + 3].reshape(-1, 3).mean(axis=0)
    else:
        tone = np.array([230, 185, 160]) * rng.uniform(0.3, 1.0) * rng.uniform(0.92, 1.08, 3)
    shade = rng.uniform(0.65, 1.25, (4, 4)).astype(np.float32)
    relief = cv2.resize(shade, (size, size), interpolation=cv2.INTER_LINEAR)[..., None]
    return np.clip(relief * tone, 0, 255).astype(np.uint8)


def _shape(size: int, rng: np.random.Generator) -> tuple[Image, bool]:
    """A random mask (size,size), 0…255, and whether it is a hand."""
    mask = np.zeros((size, size), np.uint8)
    centre = rng.uniform(0.1, 0.9, 2) * size
    kind = int(rng.integers(5))
    if kind == 0:
        axes = np.maximum(1, rng.uniform(0.04, 0.25, 2) * size).astype(int).tolist()
        cv2.ellipse(mask, centre.astype(int).tolist(), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    elif kind == 1:
        _fill(mask, _blob(centre, rng.uniform(0.06, 0.25) * size, 24, rng))
    elif kind == 2:
        corners = int(rng.integers(3, 8))
        _fill(mask, _blob(centre, rng.uniform(0.08, 0.3) * size, corners, rng))
    elif kind == 3:
        reach = np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)]) * size * rng.uniform(0.2, 1.0)
        _line(mask, centre - reach, centre + reach, rng.uniform(0.015, 0.1) * size)
    else:
        _hand(mask, centre, rng)
    return mask, kind == 4


def _hand(mask: Image, centre: NDArray[np.float64], rng: np.random.Generator) -> None:
    """A palm, four fingers more or less spread, a thumb and the forearm leaving the picture."""
    palm = rng.uniform(0.09, 0.17) * mask.shape[0]
    pointing = rng.uniform(0, 2 * np.pi)
    spread = rng.uniform(0.08, 0.35)
    _fill(mask, _blob(centre, palm, 16, rng, rough=0.1))
    for finger in range(4):
        angle = pointing + (finger - 1.5) * spread
        side = pointing + np.pi / 2
        root = centre + palm * (0.6 * _unit(pointing) + (finger - 1.5) * 0.42 * _unit(side))
        length = palm * rng.uniform(0.5, 1.9)
        _line(mask, root, root + length * _unit(angle), palm * 0.42)
    thumb = pointing + rng.choice((-1, 1)) * rng.uniform(0.7, 1.4)
    _line(mask, centre, centre + palm * 1.6 * _unit(thumb), palm * 0.45)
    _line(mask, centre, centre - palm * 12 * _unit(pointing + rng.normal(0, 0.3)), palm * 1.3)


def _blob(
    centre: NDArray[np.float64], radius: float, corners: int, rng: np.random.Generator, rough: float = 0.35
) -> NDArray[np.float64]:
    """Corners (n,2) around ``centre`` at radii that vary smoothly by ``rough``."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi)
    order = np.arange(1, 4)[:, None]
    waves = rng.normal(0, rough, (3, 1)) * np.cos(order * angle + rng.uniform(0, 2 * np.pi, (3, 1)))
    reach = radius * np.clip(1 + waves.sum(axis=0), 0.2, 2.5)
    return centre + reach[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def _unit(angle: float) -> NDArray[np.float64]:
    return np.array([np.cos(angle), np.sin(angle)])


def _fill(mask: Image, corners: NDArray[np.float64]) -> None:
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA)


def _line(mask: Image, start: NDArray[np.float64], end: NDArray[np.float64], width: float) -> None:
    first, last = (np.round(point).astype(int).tolist() for point in (start, end))
    cv2.line(mask, first, last, 255, max(1, round(width)), cv2.LINE_AA)
