"""The pose-dependent bias of MediaPipe's points: a committed table that was measured, and its use.

The network draws its mean face turned: where it tells 30° of yaw, the tip of the nose lies 4 % of the inter-ocular
distance from where the head has it, and a fit that believes that turns the head too little. The table
``mediapipe_pose_bias.npz`` (``backend/point_calibration/pose_bias.py``) holds

- ``mean_points (478,3)``: the network's points of a frontal face, inter-ocular distance 1, centred, for the pose;
- ``coefficients (5,478,2)``: bias in inter-ocular distances, x and y of an upright crop, by s, s², p, s·p, p² with
  s = sin yaw and p = sin pitch as the network's own points tell them; zero for the outline of the face, which has no
  one place on a head;
- ``about``: how it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.rigid import nearest_rotation

F64 = NDArray[np.float64]
TABLE = Path(__file__).with_name("mediapipe_pose_bias.npz")

# Beyond these the network goes on telling the same pose whatever the head does; so does the table.
MAX_YAW, MAX_PITCH = 1.05, 0.65


def pose_features(yaw: NDArray[np.floating[Any]] | float, pitch: NDArray[np.floating[Any]] | float) -> F64:
    """(…,5) what bias is a linear function of, of yaw and pitch in radians; zero for a frontal face."""
    s = np.sin(np.clip(yaw, -MAX_YAW, MAX_YAW))
    p = np.sin(np.clip(pitch, -MAX_PITCH, MAX_PITCH))
    return np.stack(np.broadcast_arrays(s, s * s, p, s * p, p * p), axis=-1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class PoseBias:
    """The table described in this module's docstring."""

    mean_points: F64
    coefficients: F64
    about: str

    def pose(self, points: F64) -> tuple[float, float]:
        """Yaw and pitch (radians) of the network's points (478,3) in an upright crop, by Procrustes alignment."""
        centred = points - points.mean(axis=0)
        forward = nearest_rotation(centred.T @ self.mean_points)[:, 2]
        return float(np.arctan2(forward[0], forward[2])), float(np.arcsin(np.clip(forward[1], -1.0, 1.0)))

    def offsets(self, points: F64) -> F64:
        """(478,2) how far the network's points (478,3) lie from where they should, in inter-ocular distances."""
        return np.einsum("f,fnc->nc", pose_features(*self.pose(points)), self.coefficients)

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            mean_points=self.mean_points.astype(np.float32),
            coefficients=self.coefficients.astype(np.float32),
            about=np.array(self.about),
        )


@cache
def load_pose_bias(path: Path = TABLE) -> PoseBias:
    """The committed table."""
    with np.load(path, allow_pickle=False) as data:
        return PoseBias(
            mean_points=data["mean_points"].astype(np.float64),
            coefficients=data["coefficients"].astype(np.float64),
            about=str(data["about"]),
        )
