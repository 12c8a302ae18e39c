"""Every difference between Blender 4.2 and 5.x that the add-on has to know about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

LAYERED_ACTIONS = bpy.app.version >= (4, 4, 0)
"""Actions have slots, layers and strips from 4.4 on, and nothing else from 5.0 on."""
RELATIVE_PATHS = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
"""Options of a path property that may begin with “//”: without them Blender makes it absolute from 4.5 on."""
ACTION_KEY = "flowface_action"
"""Of the Actions that a take was built with."""
CLIPS_OBEY_ROTATION = bpy.app.version >= (4, 4, 0)
"""Movie clips turn themselves by the file's rotation flag (4.5.15 does, 4.3.2 does not)."""


def _enum_value(owner: Any, prop: str, identifier: str) -> int:
    return int(owner.bl_rna.properties[prop].enum_items[identifier].value)


class ActionWriter:
    """A new Action on one data-block, in whatever form this Blender stores it."""

    def __init__(self, data_block: Any, name: str) -> None:
        action = bpy.data.actions.new(name)
        action[ACTION_KEY] = True
        animation = data_block.animation_data_create()
        animation.action = action
        if LAYERED_ACTIONS:
            slot = action.slots.new(id_type=data_block.id_type, name=data_block.name)
            strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
            self._curves = strip.channelbag(slot, ensure=True)
            animation.action_slot = slot
        else:
            self._curves = action
        self.action = action

    def curve(
        self,
        data_path: str,
        index: int,
        group: str,
        frames: NDArray[np.floating[Any]],
        values: NDArray[np.floating[Any]],
        uncertain: NDArray[np.bool_],
    ) -> Any:
        """Key ``values (T,)`` at ``frames (T,)``, linearly; keys where ``uncertain (T,)`` get the type Jitter.

        Handles are of type Auto Clamped, so a curve switched to Bézier in the graph editor behaves well at once.
        """
        curve = self._curves.fcurves.new(data_path, index=index)
        curve.group = self._group(group)
        points = curve.keyframe_points
        count = len(frames)
        points.add(count)
        points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
        linear = _enum_value(bpy.types.Keyframe, "interpolation", "LINEAR")
        points.foreach_set("interpolation", np.full(count, linear, np.int32))
        clamped = _enum_value(bpy.types.Keyframe, "handle_left_type", "AUTO_CLAMPED")
        for side in ("handle_left_type", "handle_right_type"):
            points.foreach_set(side, np.full(count, clamped, np.int32))
        ordinary, jitter = (_enum_value(bpy.types.Keyframe, "type", kind) for kind in ("KEYFRAME", "JITTER"))
        points.foreach_set("type", np.where(uncertain, jitter, ordinary).astype(np.int32))
        curve.update()
        return curve

    def _group(self, name: str) -> Any:
        groups = self._curves.groups
        return groups.get(name) or groups.new(name)


def action_curves(data_block: Any) -> Sequence[Any]:
    """The F-curves that animate a data-block; empty where it has no Action."""
    animation = data_block.animation_data
    if animation is None or animation.action is None:
        return []
    if not LAYERED_ACTIONS:
        return list(animation.action.fcurves)
    return [
        curve
        for layer in animation.action.layers
        for strip in layer.strips
        for bag in strip.channelbags
        if bag.slot_handle == animation.action_slot_handle
        for curve in bag.fcurves
    ]
