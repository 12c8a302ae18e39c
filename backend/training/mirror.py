"""The atlas point that each point turns into when its picture is mirrored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.head_model.model import HeadModel


def mirror_permutation(open_head: HeadModel) -> NDArray[np.intp]:
    """Indices (P,) of the mirror images of all ``AtlasPoints``: an involution that keeps the middle line.

    Vertices by their mirrored place in the template, MediaPipe's points by the table they came with. Raises ValueError
    for a head that is not mirror-symmetric.
    """
    template = open_head.template.astype(np.float64)
    _, vertices = cKDTree(template).query(template * [-1, 1, 1])
    if not np.array_equal(vertices[vertices], np.arange(len(template))):
        raise ValueError(f"the head {open_head.id!r} is not mirror-symmetric")
    return np.concatenate([vertices, len(template) + load_point_sigma().mirror]).astype(np.intp)
