"""The lids among MediaPipe's points, on the mean face of its own network."""

from __future__ import annotations

from functools import cache

import numpy as np

from backend.alignment.landmarks.pose_bias import load_pose_bias
from backend.alignment.lids import LidPoints
from backend.head_model.dense_points import IRIS_POINTS
from backend.head_model.lids import LID_PAIRS
from backend.observations import PointSetId

RIGID = (
    *(33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 48, 278, 129, 358, 122, 351, 196, 419, 193, 417, 8, 9),
    *(
        10,
        151,
        108,
        337,
        67,
        297,
        103,
        332,
        54,
        284,
        21,
        251,
        162,
        389,
        127,
        356,
        234,
        454,
        93,
        323,
        116,
        345,
        117,
        346,
    ),
)
"""Corners of the eyes, nose, forehead, temples and cheekbones."""


@cache
def mediapipe_lids() -> LidPoints:
    """``LidPoints`` of mediapipe478; closed lids hide the irises."""
    id = PointSetId("mediapipe478", "mediapipe")
    left, right = (np.array(pairs) for pairs in LID_PAIRS)
    irises = np.array(IRIS_POINTS[0]), np.array(IRIS_POINTS[1])
    return LidPoints(id, load_pose_bias().mean_points, np.array(RIGID), (left, right), ((id, irises),))
