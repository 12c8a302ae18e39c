"""The square around a face that the alignment network looks at, laid out from points of the face itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop
from backend.head_model.model import HeadModel, surface_positions

ENLARGED = 1.25
"""The crop's side over the face's longer extent: the paper's 20 % (seeds/001 §3.1.1), and a little for ears."""


_CHIN = 152  # MediaPipe's lowest point


@dataclass(frozen=True, eq=False)
class CropLayout:
    """The open head's vertices that span the crop, and those that tell where up is."""

    face: NDArray[np.intp]
    upper: NDArray[np.intp]
    lower: NDArray[np.intp]

    @classmethod
    def of(cls, open_head: HeadModel) -> CropLayout:
        """From the face region: all of it, its upper and its lower third. Turning to profile moves neither's middle up
        or down much, so the roll stays defined where the line between the eyes no longer is."""
        chin = surface_positions(open_head.landmarks["mediapipe478"], open_head.triangles, open_head.template)[_CHIN, 1]
        # The face region goes on under the chin, where no detector's box reaches.
        above = open_head.template[:, 1] >= chin
        face = np.flatnonzero(open_head.regions["face"] & open_head.regions["skin"] & above)
        height = open_head.template[face, 1]
        low, high = np.quantile(height, [1 / 3, 2 / 3])
        return cls(face, face[height > high], face[height < low])

    def crop(self, mu: NDArray[np.floating[Any]], size: int) -> Crop:
        """The crop of ``size`` pixels for image positions (≥V,2) of the open head's vertices, turned with the face."""
        up = mu[self.upper].mean(axis=0) - mu[self.lower].mean(axis=0)
        roll = float(np.arctan2(up[0], -up[1]))
        c, s = np.cos(roll), np.sin(roll)
        turn = np.array([[c, -s], [s, c]])
        level = mu[self.face] @ turn
        low, high = level.min(axis=0), level.max(axis=0)
        x, y = turn @ ((low + high) / 2)
        return Crop(float(x), float(y), ENLARGED * float((high - low).max()), roll, size=size)
