"""Samples that cost nothing to make: a flat head on a plain ground, with every point where it was put."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from backend.alignment.crop import Crop
from backend.head_model.library import load_head
from backend.training.atlas_points import atlas_points, with_landmarks
from backend.training.samples import SAMPLE_SIDE, Sample


class FlatHeads:
    """The open head's template seen frontally from afar at a random place, its vertices painted as dots."""

    def __init__(self) -> None:
        head = load_head("open")
        self.points = atlas_points(head)
        self._template = with_landmarks(head, head.template)[:, :2] * [1, -1]
        face = head.template[head.regions["face"], :2] * [1, -1]
        self._template -= (face.min(axis=0) + face.max(axis=0)) / 2
        self._scale = 140 / np.ptp(face[:, 1])

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        middle = SAMPLE_SIDE / 2 + rng.uniform(-6, 6, 2)
        mu = (self._template * self._scale * rng.uniform(0.9, 1.1) + middle).astype(np.float32)
        foreground = np.zeros((SAMPLE_SIDE, SAMPLE_SIDE), np.uint8)
        hull = cv2.convexHull(np.round(mu).astype(np.int32))
        cv2.fillConvexPoly(foreground, hull, 255, cv2.LINE_AA)
        image = np.full((SAMPLE_SIDE, SAMPLE_SIDE, 3), rng.integers(0, 256, 3), np.uint8)
        image[foreground > 127] = (200, 150, 120)
        for x, y in np.floor(mu[::7]).astype(int):
            cv2.circle(image, (int(x), int(y)), 1, (60, 30, 20), -1)
        everywhere = np.ones(len(mu), bool)
        crop = Crop(float(middle[0]), float(middle[1]), 192.0)
        return Sample(image, mu, self.points.weight.copy(), everywhere, foreground, crop, f"flat {index}")


@contextmanager
def open_flat_heads() -> Iterator[FlatHeads]:
    """The heads that a pool is filled from in tests."""
    yield FlatHeads()
