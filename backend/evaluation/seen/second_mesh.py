"""The second detector: MediaPipe's 192² landmark network, which no aligner of ours uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop, cut
from backend.alignment.landmarks.face_mesh import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS
from backend.alignment.landmarks.networks import Network, network_bytes

F64 = NDArray[np.float64]

NAME = "face_mesh_192"
NETWORK = Path(__file__).with_name("second_mesh.safetensors")
SHA256 = "c19c6b0abd233eab2e1f06b0136756939b3e36a60f00198a89cebd51b763202c"
"""Of ``NETWORK``."""
POINTS, SIZE = 468, 192
SIDE = 1.5
"""A crop's side over the longer one of the box around all points, as in MediaPipe's own graph."""


class SecondMesh:
    """The network in crops that are given. Not safe to call from two threads at once."""

    def __init__(self) -> None:
        self._network = Network(network_bytes(NETWORK, SHA256)[NAME])

    def __call__(self, images: Sequence[NDArray[np.uint8]], crops: Sequence[Crop]) -> tuple[F64, F64]:
        """Image points (B,468,2) in pixels and presence (B,) in 0…1 of B RGB images, each in its crop of 192²."""
        if not images:
            return np.empty((0, POINTS, 2)), np.empty(0)
        outputs = self._network([cut(image, crop) for image, crop in zip(images, crops, strict=True)])
        points, logits = sorted(outputs, key=lambda output: -output.shape[1])
        flat = points.reshape(-1, POINTS, 3)[..., :2].astype(np.float64)
        placed = np.stack([crop.points_to_image(p) for crop, p in zip(crops, flat, strict=True)])
        return placed, 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -100, 100)))

    def close(self) -> None:
        """Stop the network's threads."""
        self._network.close()


def crop_around(points: F64, size: int = SIZE) -> Crop:
    """MediaPipe's crop around a face's image points (478,2) or (468,2), turned with the eyes."""
    low, high = points.min(axis=0), points.max(axis=0)
    eyes = points[LEFT_OUTER_CANTHUS] - points[RIGHT_OUTER_CANTHUS]
    x, y = (low + high) / 2
    side = SIDE * float((high - low).max())
    return Crop(float(x), float(y), side, float(np.arctan2(eyes[1], eyes[0])), size=size)
