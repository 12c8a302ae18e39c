"""Values that no single curve tells: those of drivers and of the NLA, as Blender works them out frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat

F64 = NDArray[np.float64]


class Placed(Protocol):
    """Where a value lies: a data-block's property at a path."""

    @property
    def owner(self) -> Any:
        """The data-block."""

    @property
    def path(self) -> str:
        """The property's path from it."""


def needs_frames(owner: Any, path: str) -> bool:
    """True where something else than a curve of the data-block's own Action says what a property is."""
    animation = owner.animation_data
    if animation is None:
        return False
    driver = animation.drivers.find(path)
    if driver is not None and not driver.mute:
        return True
    if strips_of(owner):
        return True
    blended = animation.action_influence != 1.0 or animation.action_blend_type != "REPLACE"
    return animation.action is not None and blended


def strips_of(owner: Any) -> list[Any]:
    """The strips of the NLA that have a say in what a data-block's properties are."""
    animation = owner.animation_data
    if animation is None or not animation.use_nla:
        return []
    return [strip for track in animation.nla_tracks if not track.mute for strip in track.strips if not strip.mute]


def curves_of(owner: Any) -> dict[str, Any]:
    """The curves of a data-block's Action that are not muted, by their paths."""
    return {
        curve.data_path: curve
        for curve in compat.action_curves(owner)
        if not curve.mute and not (curve.group is not None and curve.group.mute)
    }


def sampled(places: Mapping[str, Placed], frames: F64) -> dict[str, F64]:
    """The values (T,) of properties on scene frames (T,): the scene is taken to each frame, and back."""
    scene, out = bpy.context.scene, {name: np.empty(len(frames)) for name in places}
    before = scene.frame_current_final
    try:
        for row, frame in enumerate(frames):
            _go_to(scene, float(frame))
            depsgraph = bpy.context.evaluated_depsgraph_get()
            for name, place in places.items():
                out[name][row] = place.owner.evaluated_get(depsgraph).path_resolve(place.path)
    finally:
        _go_to(scene, before)
    return out


def _go_to(scene: Any, frame: float) -> None:
    whole = int(np.floor(frame))
    scene.frame_set(whole, subframe=frame - whole)
