"""The σ of MediaPipe's points: a committed table that was measured (``measure_sigma.py``), and its use.

The file ``mediapipe_sigma.npz`` holds

- ``sigma_fraction (478,)``: standard deviation of a point about the surface point it stands for, per image axis, on a
  frontal face, as a fraction of the inter-ocular distance (outer eye corners, seen frontally at the head's depth);
- ``yaw_knots (Y,)``: head yaw as MediaPipe tells it (beyond 60° it goes on saying 60°) towards the point's own side
  turning away, radians, ascending from −π/2 to π/2: positive where the point is on the far side of a turned head;
- ``side_factor (Y,)`` and ``middle_factor (Y,)``: what ``sigma_fraction`` is multiplied with at each knot, for points
  at the side of the face and on its middle line; linear between knots, and between side and middle by ``lateral``;
- ``lateral (478,)``: −1 at the subject's right edge of the face, 0 on the middle line, 1 at the left edge;
- ``floor_px``: standard deviation in pixels added in quadrature: what the picture's own grid costs small faces;
- ``mirror (478,)``: index of each point's mirror image;
- ``lean (478,2)``: how far on the mean a picture's points lie from the mean of them and the mirror image's, as
  fractions of the inter-ocular distance;
- ``place (478,2)``: where the points lie on the mean frontal face, in inter-ocular distances;
- ``about``: how it was measured.

That is the σ of a face that is seen well. Where a hand, blur or darkness hides it, or it turns far, the network answers
a picture and its mirror image differently, and σ grows by that (``GAIN``, ``USUAL``, ``REACH``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GAIN = 1.5
"""σ for half the distance of the two answers, each per axis. Of 43 pictures of photographed (train, dev) and rendered
(dev) people, clean and with hands, things, blur and darkness painted on, half the people were fitted by maximum
likelihood; on the other half the rank correlation of σ and error went from 0.56 to 0.69, error over σ from 1.7 to 1.3.
A third look at a shifted crop adds 0.01 to the rank correlation, the network's presence nothing."""
USUAL = 0.23
"""How much of the table's σ the two answers are apart by on a face that is seen well (same pictures)."""
REACH = 0.15
"""Inter-ocular distances over which disagreement is averaged (Gaussian): a hand hides more than one point, and two
answers agree on single ones by chance. 0.1 to 0.25 do the same."""
TABLE = Path(__file__).with_name("mediapipe_sigma.npz")


@dataclass(frozen=True, eq=False)
class PointSigma:
    """The table described in this module's docstring."""

    sigma_fraction: NDArray[np.float64]  # (478,)
    yaw_knots: NDArray[np.float64]  # (Y,)
    side_factor: NDArray[np.float64]  # (Y,)
    middle_factor: NDArray[np.float64]  # (Y,)
    lateral: NDArray[np.float64]  # (478,)
    floor_px: float
    mirror: NDArray[np.int64]  # (478,)
    lean: NDArray[np.float64]  # (478,2)
    place: NDArray[np.float64]  # (478,2)
    about: str

    @cached_property
    def _nearby(self) -> NDArray[np.float64]:
        """(478,478) by rows: how much every point counts in what is averaged about one."""
        weight = np.exp(-((self.place[:, None] - self.place) ** 2).sum(axis=-1) / (2 * REACH**2))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))

    def pixels(
        self, yaw: float, inter_ocular_px: float, apart: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Standard deviations (478,) in pixels for a head turned by ``yaw`` radians towards the subject's left.

        ``apart (478,2)`` is half the difference of the answers for a picture and its mirror image, in inter-ocular
        distances; None where there is one answer only.
        """
        # Turning left hides the left side: for a point on the left, yaw > 0 means turning away.
        away = yaw * np.where(self.lateral < 0, -1.0, 1.0)
        middle = np.interp(away, self.yaw_knots, self.middle_factor)
        side = np.interp(away, self.yaw_knots, self.side_factor)
        factor = middle + (side - middle) * np.abs(self.lateral)
        well_seen = self.sigma_fraction * factor
        squared = well_seen**2
        if apart is not None:
            disagreement = self._nearby @ np.square(apart).mean(axis=1)
            squared = squared + GAIN**2 * np.maximum(disagreement - (USUAL * well_seen) ** 2, 0)
        return np.hypot(np.sqrt(squared) * inter_ocular_px, self.floor_px).astype(np.float32)

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            sigma_fraction=self.sigma_fraction.astype(np.float32),
            yaw_knots=self.yaw_knots.astype(np.float32),
            side_factor=self.side_factor.astype(np.float32),
            middle_factor=self.middle_factor.astype(np.float32),
            lateral=self.lateral.astype(np.float32),
            floor_px=np.float32(self.floor_px),
            mirror=self.mirror.astype(np.int16),
            lean=self.lean.astype(np.float32),
            place=self.place.astype(np.float32),
            about=np.array(self.about),
        )


@cache
def load_point_sigma(path: Path = TABLE) -> PointSigma:
    """The committed table."""
    with np.load(path, allow_pickle=False) as data:
        return PointSigma(
            sigma_fraction=data["sigma_fraction"].astype(np.float64),
            yaw_knots=data["yaw_knots"].astype(np.float64),
            side_factor=data["side_factor"].astype(np.float64),
            middle_factor=data["middle_factor"].astype(np.float64),
            lateral=data["lateral"].astype(np.float64),
            floor_px=float(data["floor_px"]),
            mirror=data["mirror"].astype(np.int64),
            lean=data["lean"].astype(np.float64),
            place=data["place"].astype(np.float64),
            about=str(data["about"]),
        )
