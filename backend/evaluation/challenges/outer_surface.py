"""The part of our head that a scanner would see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel

SCANNED = ("skin", "left_eyeball", "right_eyeball")


def outer_triangles(head: HeadModel) -> NDArray[np.int32]:
    """(F,3) its skin and eyeballs, which scans show, without lashes, teeth and tongue, which they do not."""
    seen = np.any([head.regions[name] for name in SCANNED if name in head.regions], axis=0)
    return np.asarray(head.triangles[seen[head.triangles].all(axis=1)])
