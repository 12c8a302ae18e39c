"""A picture of what the network sees: augmented samples with their points."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.training.atlas_points import AtlasPoints
from backend.training.augmentation.sample import Augmented

Image = NDArray[np.uint8]

TILE = 256
EVERY = 9  # of the vertices that count

_VISIBLE, _HIDDEN, _LANDMARK = (90, 230, 90), (240, 90, 70), (90, 170, 255)


def augmented_sheet(views: list[Augmented], points: AtlasPoints, columns: int = 8) -> Image:
    """RGB tiles side by side: vertices of λ = 1 green, red where hidden, MediaPipe's points blue.

    What counts nothing is left out.
    """
    tiles = [_tile(view, points) for view in views]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def _tile(view: Augmented, points: AtlasPoints) -> Image:
    zoom = TILE / view.image.shape[0]
    tile = np.asarray(cv2.resize(view.image, (TILE, TILE), interpolation=cv2.INTER_LINEAR), np.uint8)
    vertices = np.flatnonzero((points.weight == 1) & (view.weight > 0))
    vertices = vertices[vertices < points.vertices][::EVERY]
    landmarks = np.arange(points.vertices, len(points))[:: EVERY // 2]
    for index in (*vertices, *landmarks[view.weight[landmarks] > 0]):
        tone = _LANDMARK if index >= points.vertices else _VISIBLE if view.visible[index] else _HIDDEN
        x, y = (int(value) for value in np.clip(np.round(view.mu[index] * zoom * 16 - 8), -30000, 30000))
        cv2.circle(tile, (x, y), 20, tone, -1, cv2.LINE_AA, 4)
    return tile
