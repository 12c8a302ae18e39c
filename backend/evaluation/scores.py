"""MediaPipe's own pipeline, as the free add-ons hand it out: its mesh, and its blendshape network's scores on that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.blendshapes import SUBSET
from backend.alignment.landmarks.networks import Network, network_bytes
from backend.alignment.landmarks.plain_mesh import PlainFaceMesh
from protocol.face_actions import ARKIT_ACTIONS

F32 = NDArray[np.float32]

_TOLD = len(ARKIT_ACTIONS) - 1  # its first answer is "_neutral", and it knows no tongueOut, the last


class PlainScores:
    """The blendshape network alone, its answer as it comes. Not safe to call from two threads at once."""

    def __init__(self) -> None:
        self._network = Network(network_bytes()["blendshapes"], scale=1.0)

    def __call__(self, points: Sequence[NDArray[np.floating]]) -> F32:  # type: ignore[type-arg]
        """Scores (B,52) in the order of ``ARKIT_ACTIONS`` of image points (B,478,2) in pixels; 0 for tongueOut."""
        scores = np.zeros((len(points), len(ARKIT_ACTIONS)), np.float32)
        if len(points):
            scores[:, :_TOLD] = self._network([np.asarray(p)[list(SUBSET)] for p in points])[0][:, 1:]
        return scores

    def close(self) -> None:
        """Stop the network's threads."""
        self._network.close()


def plain_scores(images: Iterable[NDArray[np.uint8]]) -> F32:
    """Scores (T,52) of MediaPipe's tracking mode on a video's pictures (H,W,3); NaN where it finds no face."""
    told = []
    network = PlainScores()
    with PlainFaceMesh(still=False) as mesh:
        for image in images:
            seen = mesh(image)
            height, width = image.shape[:2]
            points = None if seen is None else seen[:, :2] * (width, height)
            told.append(np.full((1, len(ARKIT_ACTIONS)), np.nan) if points is None else network([points]))
    network.close()
    return np.concatenate(told).astype(np.float32) if told else np.zeros((0, len(ARKIT_ACTIONS)), np.float32)
