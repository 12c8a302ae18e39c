"""Pairs of MediaPipe's points whose difference is told better than the points: a committed table, and its use.

The file ``mediapipe_pairs.npz`` (``backend/point_calibration/pairs.py``) holds

- ``first (P,)``, ``second (P,)``: indices into mediapipe478;
- ``share (P,)``: variance of the error of the pair's difference over the sum of the two points' own (their σ² in
  ``mediapipe_sigma.npz``), both on a frontal face;
- ``about``: how it was measured.

What a pair's σ grows by (a turned head, a small face) is taken from its points, whose σ says so frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.observations.types import PointSet

TABLE = Path(__file__).with_name("mediapipe_pairs.npz")


@dataclass(frozen=True, eq=False)
class PairTable:
    """The table described in this module's docstring."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: NDArray[np.float64]
    about: str

    def difference(self, seen: PointSet) -> NDArray[np.float32]:
        """(T,P,2) pixels: the first point less the second, 0 where one of them is not seen."""
        both = seen.valid[:, self.first] & seen.valid[:, self.second]
        return np.where(both[..., None], seen.mu[:, self.first] - seen.mu[:, self.second], np.float32(0))

    def precision(self, seen: PointSet) -> NDArray[np.float32]:
        """(T,P) what a pair tells of its difference beyond its points, 1/pixels²; 0 where one of them is not seen.

        Two points that err each for itself tell their difference with the variance s = σ_a² + σ_b². It is measured to
        have share·s, so what is missing from E_A is 1/(share·s) − 1/s: nothing of it counts twice.
        """
        both = seen.valid[:, self.first] & seen.valid[:, self.second]
        apart = seen.sigma[:, self.first] ** 2 + seen.sigma[:, self.second] ** 2
        beyond = np.maximum(1 / self.share - 1, 0) / np.where(both, apart, 1)
        return np.where(both, beyond, 0).astype(np.float32)

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            first=self.first.astype(np.int16),
            second=self.second.astype(np.int16),
            share=self.share.astype(np.float32),
            about=np.array(self.about),
        )


@cache
def load_pair_table(path: Path = TABLE) -> PairTable:
    """The committed table."""
    with np.load(path, allow_pickle=False) as data:
        return PairTable(
            first=data["first"].astype(np.int64),
            second=data["second"].astype(np.int64),
            share=data["share"].astype(np.float64),
            about=str(data["about"]),
        )
