"""What the landmark network has learnt to see, beside the points that it tells: its last stages' outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.convert import with_outputs
from backend.alignment.landmarks.face_mesh import POINTS
from backend.alignment.landmarks.networks import Network, network_bytes

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STAGES = ((1, 2, 2, 128), (1, 4, 4, 128))
"""Of the network's seven stages the last two: where the face is, and how it moves."""
FEATURES = 4 * 128 + 16 * 128
"""Numbers of both stages together."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network sees in B crops: ``points (B,478,3)`` in crop coordinates (0…256), presence (B,) in 0…1, and
    ``features (B,FEATURES)``."""

    points: F64
    presence: F64
    features: F32


class FeatureNetwork:
    """The landmark network with its features; telling them costs no time. Not safe to call from two threads at once."""

    def __init__(self, lanes: int = 1) -> None:
        self._network = Network(_with_features(), lanes=lanes)

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> Seen:
        """Look at crops (256,256,3) RGB, of which there is one at least."""
        points, presence, _, *stages = self._network(crops)
        logits = np.clip(presence[:, 0].astype(np.float64), -100, 100)
        placed = points.reshape(-1, POINTS, 3).astype(np.float64)
        return Seen(placed, 1 / (1 + np.exp(-logits)), np.concatenate(stages, axis=1))

    def close(self) -> None:
        """Stop the network's threads."""
        self._network.close()


@cache
def _with_features() -> bytes:
    return with_outputs(network_bytes()["face_mesh"], STAGES)
