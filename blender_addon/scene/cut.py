"""Some of a take's frames as a take."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..vendor import arrays
from ..vendor import take as contract


def cut(take: contract.TakeResult, kept: NDArray[np.bool_]) -> contract.TakeResult:
    """A take of those of its T frames that are ``kept (T,)``."""
    if kept.all():
        return take
    cameras = tuple(dataclasses.replace(camera, **_taken(camera, kept)) for camera in take.cameras)
    return dataclasses.replace(take, cameras=cameras, **_taken(take, kept))


def _taken(value: Any, kept: NDArray[np.bool_]) -> dict[str, Any]:
    declared = arrays.declared(type(value))
    return {
        name: getattr(value, name)[kept]
        for name, array in declared.items()
        if array.shape[0] == arrays.FRAMES and len(getattr(value, name)) == len(kept)
    }


def footage_numbers(take: contract.TakeResult) -> NDArray[np.int64]:
    """The number (T,) of the first view's footage frame on each frame of a take."""
    numbers = take.cameras[0].footage_frames
    return np.where(numbers >= 0, numbers, np.round(take.scene_frames).astype(np.int64))
