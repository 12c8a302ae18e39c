"""Actions of scanned people: ICT-FaceKit's on the open head's vertices.

``scanned_actions.npz`` is a measurement, like ``scanned_identities.npz``: ``backend.point_calibration.actions`` makes
it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCANNED_ACTIONS = Path(__file__).with_name("scanned_actions.npz")


def read_scanned_actions() -> dict[str, NDArray[np.float64]]:
    """The committed measurement: offsets (V,3), metres at strength 1, by ARKit name."""
    with np.load(SCANNED_ACTIONS, allow_pickle=False) as data:
        offsets = data["offsets"].astype(np.float64) * float(data["scale"])
        return dict(zip(map(str, data["names"]), offsets, strict=True))
