"""The marks of light, lens, sensor and codec on a picture."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.training.config import AugmentConfig

Image = NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114])
_NOISE = 1 << 20


def recolour(image: Image, config: AugmentConfig, rng: np.random.Generator) -> Image:
    """``image (D,D,3)`` in another light and white balance, other tones and hues, perhaps grey."""
    if rng.random() < config.grey:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    elif rng.random() < config.colour:
        mixed = cv2.transform(image, _hue_saturation(rng.normal(0, 0.08), rng.uniform(0.5, 1.3)).astype(np.float32))
        image = np.asarray(mixed, np.uint8)
    if rng.random() < config.colour:
        image = np.asarray(cv2.LUT(image, _tones(rng)), np.uint8)
    return image


def degrade(image: Image, config: AugmentConfig, rng: np.random.Generator) -> Image:
    """``image (D,D,3)`` blurred, coarser, noisy and compressed, each with its own chance."""
    size = image.shape[0]
    if rng.random() < config.blur:
        image = _blurred(image, rng)
    if rng.random() < config.low_resolution:
        small = max(8, round(size * float(np.exp(rng.uniform(np.log(0.25), np.log(0.9))))))
        coarse = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        how = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
        image = np.asarray(cv2.resize(coarse, (size, size), interpolation=how), np.uint8)
    if rng.random() < config.noise:
        image = _noisy(image, float(np.exp(rng.uniform(np.log(1.0), np.log(18.0)))), rng)
    if rng.random() < config.compression:
        quality = int(rng.integers(12, 90))
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


def _hue_saturation(turn: float, saturation: float) -> NDArray[np.float64]:
    """Colour matrix (3,3): hues turned by ``turn`` radians about the grey axis, then spread about their luma."""
    c, s, k = np.cos(turn), np.sin(turn) / np.sqrt(3), (1 - np.cos(turn)) / 3
    rotation = np.array([[c + k, k - s, k + s], [k + s, c + k, k - s], [k - s, k + s, c + k]])
    spread = saturation * np.eye(3) + (1 - saturation) * _LUMA
    return spread @ rotation


def _tones(rng: np.random.Generator) -> Image:
    """A look-up table (1,256,3): white balance, gamma, contrast, brightness."""
    level = np.arange(256)[:, None] / 255
    balance = np.exp(rng.normal(0, 0.08, 3))
    toned = np.clip(level * balance, 0, 1) ** np.exp(rng.normal(0, 0.22))
    toned = (toned - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.06)
    return np.clip(toned * 255, 0, 255).astype(np.uint8)[None]


def _blurred(image: Image, rng: np.random.Generator) -> Image:
    size = image.shape[0]
    if rng.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, size / 90))), np.uint8)
    length = int(rng.integers(1, max(2, size // 48) + 1)) * 2 + 1
    kernel = np.zeros((length, length), np.float32)
    reach = (length / 2) * np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)])
    start, end = (np.round(length / 2 - 0.5 + sign * reach).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _noisy(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Normal noise of ``sigma`` grey levels, of its own per channel or (as film grain) the same in all."""
    count = image[..., 0].size if rng.random() < 0.4 else image.size
    start = int(rng.integers(_NOISE - count)) if count < _NOISE else 0
    grain = np.resize(_normal_noise()[start : start + count], count) * np.float32(sigma)
    grain = np.round(grain).astype(np.int16).reshape(*image.shape[:2], -1)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _normal_noise() -> NDArray[np.float32]:
    """Drawn once: a fresh million normals would cost more than all the rest."""
    return np.random.default_rng(20261121).standard_normal(_NOISE, np.float32)
