"""The frames of a take, as its footage counts them (see ``timing``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import compat
from ..vendor import take as contract
from . import animation
from . import ownership as replace
from . import versions_of_take as versions

SLACK = 0.5
"""Frames: a run that ends so near to the take's end reaches it; its frames may fall between the scene's."""


def span(take: contract.TakeResult) -> tuple[float, float]:
    """First and last frame of a run."""
    return float(np.min(take.scene_frames)), float(np.max(take.scene_frames))


def span_of(collection: Any) -> tuple[float, float] | None:
    """First and last frame of a built take, None where nothing of its animation is left."""
    version = versions.current(collection)
    if version is not None:
        return version.span
    rig = replace.member(collection, replace.ARMATURE)
    path = animation.custom_path(contract.TRACKING_ERROR.name)
    for curve in compat.action_curves(rig) if rig is not None else ():
        if curve.data_path == path and len(curve.keyframe_points):
            return curve.keyframe_points[0].co.x, curve.keyframe_points[-1].co.x
    return None
