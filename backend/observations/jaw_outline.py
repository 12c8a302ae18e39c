"""MediaPipe's points along the jaw: told across the jaw's outline, not along it. A committed table, and its use.

Along the outline nothing in a picture says where one of these points ends and the next begins, and its σ
(``mediapipe_sigma.npz``) is as large as it slides. Across, a frontal picture shows where the jaw ends. The file
``mediapipe_jaw_outline.npz`` (``backend/point_calibration/jaw_outline.py``) holds

- ``chain (P+2,)``: indices into mediapipe478 along the jaw, from below one ear over the chin to below the other; the
  first and the last only tell where the outline of their neighbours runs;
- ``share (P,)``: standard deviation of the error across the outline over the point's own σ, on a frontal face;
- ``turn``: the turn (``turned``) of the head that doubles it;
- ``about``: how it was measured.

The points are those of one place on the jaw all the same: the network draws them where the jaw is, turned with the
head, and not where a turned head's outline is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.observations.types import PointSet

TABLE = Path(__file__).with_name("mediapipe_jaw_outline.npz")

_NOSE, _SIDES = 1, (454, 234)
"""The tip of the nose, and the sides of the face in front of the ears."""


@dataclass(frozen=True, eq=False)
class JawOutline:
    """The table described in this module's docstring."""

    chain: NDArray[np.int64]
    share: NDArray[np.float64]
    turn: float
    about: str

    @property
    def points(self) -> NDArray[np.int64]:
        """(P,) the points that it speaks of."""
        return self.chain[1:-1]

    def positions(self, seen: PointSet) -> NDArray[np.float64]:
        """(T,P,2) pixels, 0 where the outline is not seen."""
        return np.where(self._told(seen)[..., None], seen.mu[:, self.points], 0).astype(np.float64)

    def normals(self, seen: PointSet) -> NDArray[np.float64]:
        """(T,P,2) unit vectors of the image across the outline, to either side; 0 where the outline is not seen."""
        mu = seen.mu.astype(np.float64)
        along = mu[:, self.chain[2:]] - mu[:, self.chain[:-2]]
        length = np.linalg.norm(along, axis=-1)
        told = self._told(seen) & (length > 0)
        across = np.stack([-along[..., 1], along[..., 0]], axis=-1) / np.where(told, length, 1)[..., None]
        return np.where(told[..., None], across, 0.0)

    def precision(self, seen: PointSet) -> NDArray[np.float64]:
        """(T,P) what a point tells across the outline beyond E_A, 1/pixels²; 0 where the outline is not seen.

        Across, E_A takes it to err by σ where it errs by share·σ, so what is missing is 1/(share·σ)² − 1/σ².
        """
        grown = 1 + (turned(seen) / self.turn) ** 2
        share = np.minimum(self.share * grown[:, None], 1.0)
        told = self._told(seen)
        sigma = np.where(told, seen.sigma[:, self.points], 1).astype(np.float64)
        return np.where(told, (1 / share**2 - 1) / sigma**2, 0.0)

    def _told(self, seen: PointSet) -> NDArray[np.bool_]:
        """(T,P) where a point, both its neighbours, and the turn of the head are seen."""
        valid = seen.valid[:, self.chain]
        turn = seen.valid[:, [_NOSE, *_SIDES]].all(axis=1)
        return np.asarray(valid[:, 1:-1] & valid[:, 2:] & valid[:, :-2] & turn[:, None])

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            chain=self.chain.astype(np.int16),
            share=self.share.astype(np.float32),
            turn=np.float32(self.turn),
            about=np.array(self.about),
        )


def turned(seen: PointSet) -> NDArray[np.float64]:
    """(T,) how far the head looks to one side, by MediaPipe's points alone: 0 frontal, 0.25 at 10°, 0.8 at 30° of yaw.

    It is how much farther the tip of the nose lies from one side of the face than from the other along the line between
    the two, over their distance.
    """
    mu = seen.mu.astype(np.float64)
    left, right = (mu[:, side] for side in _SIDES)
    across = left - right
    square = np.maximum((across**2).sum(axis=1), 1e-12)
    return np.asarray(np.abs(((left + right - 2 * mu[:, _NOSE]) * across).sum(axis=1)) / square)


@cache
def load_jaw_outline(path: Path = TABLE) -> JawOutline:
    """The committed table."""
    with np.load(path, allow_pickle=False) as data:
        return JawOutline(
            chain=data["chain"].astype(np.int64),
            share=data["share"].astype(np.float64),
            turn=float(data["turn"]),
            about=str(data["about"]),
        )
