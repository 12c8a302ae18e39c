"""Footage with cuts that tests make themselves, of scikit-image's pictures moved about."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from backend.footage import FootageFrame

Picture = NDArray[np.uint8]
SIDE = 256  # px


def pan(source: Picture, count: int, *, start: float = 0.0, step: float = 0.003, side: float = 0.7) -> list[Picture]:
    """``count`` pictures of a camera that moves over ``source``: starts, steps and side as shares of its size."""
    height, width = source.shape[:2]
    pictures = []
    for n in range(count):
        at = start + step * n
        left, top = int(at * width), int(at * height / 2)
        part = source[top : top + int(side * height), left : left + int(side * width)]
        pictures.append(np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))
    return pictures


def portrait(count: int, *, step: float = 0.003) -> list[Picture]:
    """Pictures of a woman's face."""
    return pan(data.astronaut()[:400, 60:460], count, step=step)


def coffee(count: int) -> list[Picture]:
    """Pictures of a cup, without a face."""
    return pan(data.coffee(), count)


def cat(count: int) -> list[Picture]:
    """Pictures of a cat."""
    return pan(data.chelsea(), count)


def as_frames(pictures: Sequence[Picture]) -> list[FootageFrame]:
    """The pictures as frames numbered from 1, at 25 frames per second."""
    return [FootageFrame(index + 1, index / 25, index + 1.0, picture) for index, picture in enumerate(pictures)]


def lit(picture: Picture, gain: float, gamma: float = 1.0) -> Picture:
    """The picture in another light."""
    return np.asarray(np.clip(255 * np.clip(picture / 255 * gain, 0, 1) ** gamma, 0, 255), np.uint8)
