"""Actions of scanned people: ICT-FaceKit's on the open head's vertices.

``scanned_actions.npz`` is a measurement, like ``scanned_identities.npz``: ``backend.point_calibration.actions`` makes
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCANNED_ACTIONS = Path(__file__).with_name("scanned_actions.npz")


@dataclass(frozen=True, eq=False)
class ScannedActions:
    """By ARKit name, metres at strength 1: offsets of the skin (V,3), and motions (4,3) of the lower jaw.

    A point x of the jaw goes by [x, 1] @ motion.
    """

    skin: Mapping[str, NDArray[np.float64]]
    jaw: Mapping[str, NDArray[np.float64]]


def read_scanned_actions() -> ScannedActions:
    """The committed measurement."""
    with np.load(SCANNED_ACTIONS, allow_pickle=False) as data:
        names = tuple(map(str, data["names"]))
        offsets = data["offsets"].astype(np.float64) * float(data["scale"])
        jaw = data["jaw"].astype(np.float64)
    return ScannedActions(dict(zip(names, offsets, strict=True)), dict(zip(names, jaw, strict=True)))
