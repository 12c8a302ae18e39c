"""The outline of people in a picture, by MediaPipe's selfie segmentation network, drawn to the picture's own edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.networks import Network, network_bytes

F32 = NDArray[np.float32]
Box = tuple[int, int, int, int]

NAME = "selfie"
NETWORK = Path(__file__).with_name("selfie.safetensors")
SHA256 = "f53c24112f62efdef4bc896d7a3a5948c23f3deaf2fca6c379e79914b4081bee"
"""Of ``NETWORK``."""
RADIUS = 1.0 / 64
"""Of the guided filter, in sides of what the network was shown: four of its pixels, within which it blurs outlines."""
SURE = 0.05
"""Up to this share a pixel is nobody's, and from 1 less this on wholly somebody's: the network is never certain."""
EPSILON = 1e-4
"""Of the guided filter, for pictures in 0…1: a contrast of a hundredth is an edge to draw to."""


class PersonOutline:
    """Finds which pixels show a person: head, hair, neck and clothes. Not safe to call from two threads at once."""

    def __init__(self) -> None:
        """Raises UserError ``bad_weights`` where the network's file is not the one expected."""
        self._network = Network(network_bytes(NETWORK, SHA256)[NAME])

    def alpha(self, picture: NDArray[np.uint8], box: Box | None = None) -> F32:
        """(H,W) 0…1, how much of each pixel of an RGB picture (H,W,3) is person.

        Only within ``box`` (left, top, right, bottom; pixels, cut at the picture) is looked, as far as one is given,
        and 0 beyond it: people who are small in a picture are found where it is about as large as they.
        The network (256²) answers softly; a guided filter (He, Sun, Tang: Guided Image Filtering, TPAMI 2013, eqs. 5,
        6, 8) of the picture's brightness moves its outlines to the picture's edges.
        """
        height, width = picture.shape[:2]
        left, top, right, bottom = box or (0, 0, width, height)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        alpha = np.zeros((height, width), np.float32)
        if right <= left or bottom <= top:
            return alpha
        part = np.ascontiguousarray(picture[top:bottom, left:right])
        size = self._network.size
        (rough,) = self._network([cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)])
        mask = cv2.resize(rough.reshape(size, size), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        guide = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        radius = max(1, round(RADIUS * max(mask.shape)))
        shares = guided(np.asarray(mask), guide, radius)
        alpha[top:bottom, left:right] = np.clip((shares - SURE) / (1 - 2 * SURE), 0, 1)
        return alpha


def guided(mask: NDArray[np.floating[Any]], guide: F32, radius: int) -> F32:
    """``mask (H,W)`` as a linear function of ``guide (H,W)`` in every window of ``2 radius + 1`` pixels a side."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(cv2.blur(values, side, borderType=cv2.BORDER_REFLECT), np.float64)

    g, m = guide.astype(np.float64), mask.astype(np.float64)
    of_guide, of_mask = mean(g), mean(m)
    slope = (mean(g * m) - of_guide * of_mask) / (np.maximum(mean(g * g) - of_guide**2, 0) + EPSILON)
    return np.asarray(mean(slope) * g + mean(of_mask - slope * of_guide), np.float32)
