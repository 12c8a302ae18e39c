"""Pictures to put behind heads and onto occluders: cuttings of photographs without people, and drawn patterns."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib import resources

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SIDE = 256
DRAWN = 48

# In scikit-image's wheel, with nobody in them, and none of those that the benchmark puts behind its people.
_PHOTOGRAPHS = (
    "chelsea.png",
    "retina.jpg",
    "ihc.png",
    "moon.png",
    "coins.png",
    "page.png",
    "text.png",
    "clock_motion.png",
    "color.png",
    "chessboard_RGB.png",
)


class Backgrounds:
    """The same pictures in every process; which part of which is drawn by the caller's generator."""

    def __init__(self) -> None:
        self._pictures = [*_photographs(), *_drawn()]

    def cutting(self, size: int, rng: np.random.Generator) -> Image:
        """A random part (size,size,3) of a random picture, in random colours."""
        picture = self._pictures[int(rng.integers(len(self._pictures)))]
        height, width = picture.shape[:2]
        side = int(min(height, width) * rng.uniform(0.3, 1.0))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        part = picture[top : top + side, left : left + side, :: int(rng.choice((-1, 1)))]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        cutting = cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=cv2.INTER_LINEAR)
        if rng.random() < 0.4:
            cutting = cv2.blur(cutting, (int(rng.integers(3, 16)), int(rng.integers(3, 16))))
        gains = rng.uniform(0.35, 1.15) * rng.uniform(0.8, 1.2, 3)
        tones = np.arange(256)[:, None] * gains + rng.uniform(0, 30)
        return np.asarray(cv2.LUT(cutting, np.clip(tones, 0, 255).astype(np.uint8)[None]), np.uint8)

    def behind(self, image: Image, foreground: Image, rng: np.random.Generator) -> Image:
        """``image (D,D,3)`` with another picture where ``foreground (D,D)`` is 0."""
        return blend(self.cutting(image.shape[0], rng), image, foreground)


def blend(under: Image, over: Image, alpha: Image) -> Image:
    """``over`` on ``under (H,W,3)``, as opaque as ``alpha (H,W)`` says in 0…255."""
    share = alpha.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(over, under, share, 1 - share), np.uint8)


@lru_cache(maxsize=1)
def _photographs() -> tuple[Image, ...]:
    """Those that are installed: scikit-image comes with the ``train`` extra."""
    pictures = []
    for name in _PHOTOGRAPHS:
        try:
            data = (resources.files("skimage.data") / name).read_bytes()
        except (ModuleNotFoundError, OSError):
            continue
        with PIL.Image.open(io.BytesIO(data)) as picture:  # OpenCV complains aloud about their colour profiles
            pictures.append(np.asarray(picture.convert("RGB")))
    return tuple(pictures)


@lru_cache(maxsize=1)
def _drawn() -> tuple[Image, ...]:
    rng = np.random.default_rng(20261121)
    kinds = (_gradient, _clouds, _boxes, _stripes)
    return tuple(kinds[n % len(kinds)](rng) for n in range(DRAWN))


def _gradient(rng: np.random.Generator) -> Image:
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    return np.asarray(cv2.resize(corners, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _clouds(rng: np.random.Generator) -> Image:
    """Noise of several octaves."""
    total = np.zeros((SIDE, SIDE, 3), np.float32)
    fading = rng.uniform(0.4, 0.8)
    for octave in range(1, 7):
        grain = rng.normal(0, fading**octave, (2**octave, 2**octave, 3)).astype(np.float32)
        total += cv2.resize(grain, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(rng.uniform(60, 190, 3) + 90 * total, 0, 255).astype(np.uint8)


def _boxes(rng: np.random.Generator) -> Image:
    """Overlapping boxes, as shelves, windows and screens are."""
    image = _gradient(rng)
    for _ in range(int(rng.integers(8, 40))):
        low = rng.integers(0, SIDE, 2)
        high = low + rng.integers(8, 110, 2)
        tone = [int(value) for value in rng.integers(0, 256, 3)]
        cv2.rectangle(image, low.tolist(), high.tolist(), tone, -1 if rng.random() < 0.7 else 2)
    blurred = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 5)))
    return np.asarray(blurred, np.uint8)


def _stripes(rng: np.random.Generator) -> Image:
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 60)
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period))
    share = np.clip(0.5 + wave * rng.uniform(0.5, 4), 0, 1)[..., None]
    first, second = rng.uniform(0, 255, (2, 3))
    return np.asarray(share * first + (1 - share) * second, np.uint8)
