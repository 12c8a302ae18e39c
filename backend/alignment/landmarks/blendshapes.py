"""The blendshape network: how strongly each of ARKit's actions shows, told from the landmark network's points alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.face_mesh import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS
from backend.alignment.landmarks.networks import F32, Network, network_bytes
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

SUBSET = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478),
)  # fmt: skip
"""The 146 of the 478 points that the network is shown (MediaPipe's graph ``face_blendshapes``)."""

_TOLD = len(ARKIT_ACTIONS) - 1  # its first answer, "_neutral", is none of them, and it knows no tongueOut, the last


def _swapped(name: str) -> str:
    left = name.endswith("Left")
    return name.removesuffix("Left") + "Right" if left else name.removesuffix("Right") + "Left"


_SWAP = np.array(
    [ARKIT_ACTIONS.index(s) if (s := _swapped(n)) in ARKIT_ACTIONS else i for i, n in enumerate(ARKIT_ACTIONS)]
)
"""Where in ``ARKIT_ACTIONS`` each action's mirror image is."""


def mirrored_scores(scores: F32) -> F32:
    """Scores or weights (…,52) of the mirror image."""
    return scores[..., _SWAP]


class BlendshapeNetwork:
    """Scores of many faces at once. Not safe to call from two threads at once."""

    def __init__(self, mirror: NDArray[np.int64], lanes: int = 1) -> None:
        """``mirror (478,)`` is the index of each point's mirror image. ``lanes`` as in ``Network``."""
        self._mirror = mirror
        self._network = Network(network_bytes()["blendshapes"], scale=1.0, lanes=lanes)

    def __call__(self, points: Sequence[F64]) -> F32:
        """Scores (B,52) in 0…1, in the order of ``ARKIT_ACTIONS``, of image points (B,478,2); NaN for tongueOut.

        The mean of what the network says of a face and of its mirror image. Where in the picture a face is and how
        large makes no difference to the network, but how it is turned in it does: it is shown faces upright.
        """
        if not len(points):
            return np.empty((0, len(ARKIT_ACTIONS)), np.float32)
        upright = [_upright(face) for face in points]
        shown = [face[list(SUBSET)] for face in upright]
        shown += [face[self._mirror][list(SUBSET)] * (-1, 1) for face in upright]
        told = self._network(shown)[0][:, 1:]
        scores = np.full((2, len(points), len(ARKIT_ACTIONS)), np.nan, np.float32)
        scores[..., :_TOLD] = told.reshape(2, len(points), _TOLD)
        return np.asarray((scores[0] + mirrored_scores(scores[1])) / 2, np.float32)

    def close(self) -> None:
        """Stop the network's threads."""
        self._network.close()


def _upright(points: F64) -> F64:
    """Image points (478,2) turned about their middle until the line between the eyes is level."""
    across = points[LEFT_OUTER_CANTHUS] - points[RIGHT_OUTER_CANTHUS]
    cos, sin = across / max(float(np.linalg.norm(across)), 1e-9)
    return (points - points.mean(axis=0)) @ np.array([[cos, -sin], [sin, cos]])
