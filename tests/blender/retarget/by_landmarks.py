"""The measures of a face by landmarks that were placed on it by hand or registration: independent of the add-on's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blender_addon.retarget.calibration import measures as m

_INNER_LIPS = ((61, 67), (62, 66), (63, 65))
_LIDS = (((43, 47), (44, 46)), ((37, 41), (38, 40)))
_EYES = (range(42, 48), range(36, 42))
_INNER_BROWS, _OUTER_BROWS = ((22, 23), (20, 21)), ((24, 25), (18, 19))


def measured(points: NDArray[Any], rest: NDArray[Any], blinking: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The measures (T,) of iBUG's points (T,68,3) of a face that looks along +z with y up.

    ``rest (68,3)`` is the face at rest, and ``blinking`` with both its eyes closed.
    """
    between = rest[list(_EYES[0])].mean(axis=0) - rest[list(_EYES[1])].mean(axis=0)
    size = float(np.linalg.norm(between))
    moved = (points - rest) / size

    def gap(of: NDArray[Any], pairs: Any) -> NDArray[Any]:
        upper, lower = np.array(pairs).T
        return np.asarray((of[..., upper, 1] - of[..., lower, 1]).mean(axis=-1))

    def height(of: NDArray[Any], chosen: Any) -> NDArray[Any]:
        return np.asarray(of[..., list(chosen), 1].mean(axis=-1))

    found = {
        m.LIPS: np.maximum(gap(moved, _INNER_LIPS), 0.0),
        m.SMILE: moved[:, 54, 0] - moved[:, 48, 0],
        m.JAW: -height(moved, (8,)),
    }
    for side in range(2):
        opening = gap(rest, _LIDS[side]) - gap(blinking, _LIDS[side])
        found[m.LIDS[side]] = np.minimum(-gap(moved, _LIDS[side]) * size / opening, 1.0)
        found[m.INNER_BROWS[side]] = height(moved, _INNER_BROWS[side])
        found[m.OUTER_BROWS[side]] = height(moved, _OUTER_BROWS[side])
    return found
