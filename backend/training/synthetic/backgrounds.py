"""Backgrounds behind a head: parts of photographs that show nobody, gradients, noise, shapes; blurred or sharp."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.training.samples import SAMPLE_SIDE

Image = NDArray[np.uint8]

# In scikit-image's own wheel; nobody is on them.
_PHOTOGRAPHS = (
    "coffee.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg", "grass.png", "brick.png", "gravel.png",
    "hubble_deep_field.jpg", "chelsea.png", "page.png", "text.png", "moon.png", "clock_motion.png",
)  # fmt: skip


def draw_background(random: np.random.Generator, side: int = SAMPLE_SIDE) -> Image:
    """A picture (side,side,3); the same generator draws the same at every size."""
    kind = random.random()
    if kind < 0.45:
        image = _photograph_part(random, side)
    elif kind < 0.65:
        image = _gradient(random, side)
    elif kind < 0.8:
        image = _blobs(random, side)
    else:
        image = _shapes(random, side)
    if random.random() < 0.6:
        sigma = float(np.exp(random.uniform(np.log(0.6), np.log(12))))
        image = _blurred(image, sigma * side / SAMPLE_SIDE)
    return image


def _photograph_part(random: np.random.Generator, side: int) -> Image:
    pictures = _photographs()
    if not pictures:
        return _shapes(random, side)
    photograph = pictures[random.integers(len(pictures))]
    height, width = photograph.shape[:2]
    part = int(min(height, width) * random.uniform(0.35, 0.98))
    top, left = random.integers(height - part + 1), random.integers(width - part + 1)
    crop = photograph[top : top + part, left : left + part]
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR)
    tint = random.uniform(0.4, 1.2) * (1 + random.uniform(-0.15, 0.15, 3))
    return np.clip(crop * tint.astype(np.float32), 0, 255).astype(np.uint8)


def _gradient(random: np.random.Generator, side: int) -> Image:
    corners = random.uniform(0, 255, (2, 2, 3))
    if random.random() < 0.4:
        corners = corners.mean(axis=2, keepdims=True) + random.normal(0, 8, (1, 1, 3))
    if random.random() < 0.3:
        corners = corners.mean(axis=(0, 1), keepdims=True) + random.normal(0, 10, (2, 2, 1))
    small = np.clip(corners, 0, 255).astype(np.float32)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def _blobs(random: np.random.Generator, side: int) -> Image:
    """Noise of several sizes in two colours' range."""
    total = np.zeros((side, side, 3), np.float32)
    for cells in random.choice((3, 5, 9, 20, 45, 100), size=3, replace=False):
        small = random.standard_normal((cells, cells, 3 if random.random() < 0.5 else 1), dtype=np.float32)
        layer = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        total += layer.reshape(side, side, -1) * random.uniform(8, 40)
    return np.clip(total + random.uniform(30, 220, 3), 0, 255).astype(np.uint8)


def _shapes(random: np.random.Generator, side: int) -> Image:
    """Rectangles, discs and lines over a gradient: furniture, windows, lamps to a network."""
    image = np.ascontiguousarray(_gradient(random, side))
    unit = side / SAMPLE_SIDE
    for _ in range(random.integers(3, 14)):
        color = tuple(int(c) for c in random.integers(0, 256, 3))
        drawn = random.integers((-60, -60, 10, 10), (SAMPLE_SIDE, SAMPLE_SIDE, 180, 180))
        x, y, w, h = (int(v) for v in drawn * unit)
        kind = random.integers(4)
        if kind < 2:
            box = cv2.boxPoints(((x + w / 2, y + h / 2), (w, h), float(random.normal(0, 12))))
            cv2.fillConvexPoly(image, box.astype(np.int32), color, cv2.LINE_AA)
        elif kind == 2:
            cv2.ellipse(image, (x, y), (w // 2, h // 2), float(random.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
        else:
            end = (x + 2 * w - int(180 * unit), y + 2 * h - int(180 * unit))
            cv2.line(image, (x, y), end, color, max(1, int(random.integers(1, 12) * unit)), cv2.LINE_AA)
    return image


def _blurred(image: Image, sigma: float) -> Image:
    if sigma < 3:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    # A wide blur of a shrunken picture is the same and takes a fraction of the time.
    small = cv2.resize(image, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 3)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


@lru_cache(maxsize=1)
def _photographs() -> tuple[Image, ...]:
    """Those that are installed; scikit-image fetches some of its pictures only when they are asked for."""
    found = []
    for name in _PHOTOGRAPHS:
        try:
            data = (resources.files("skimage.data") / name).read_bytes()
        except (ModuleNotFoundError, OSError):
            continue
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        scale = 640 / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found.append(np.ascontiguousarray(image[..., ::-1]))
    return tuple(found)
