"""Every difference between Blender 4.2 and 5.x that the add-on has to know about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .keys import Keys

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


FLOATS = {"co": 2, "handle_left": 2, "handle_right": 2, "amplitude": 1, "back": 1, "period": 1}
CHOICES = ("handle_left_type", "handle_right_type", "interpolation", "easing", "type")
SWITCHES = ("select_control_point", "select_left_handle", "select_right_handle")
"""All that a key holds: numbers and how many they are, enums, booleans."""


def read_keys(curve: Any, *, selection: bool = True) -> Keys:
    """All numbers of all keys of a curve, bit by bit; which are selected only where that is asked for."""
    points = curve.keyframe_points
    numbers = {name: read_numbers(curve, name) for name in FLOATS}
    for names, dtype in ((CHOICES, np.int32), (SWITCHES, np.bool_)):
        for name in names if selection or names is CHOICES else ():
            numbers[name] = np.empty(len(points), dtype)
            points.foreach_get(name, numbers[name])
    return Keys(numbers)


def read_numbers(curve: Any, name: str) -> NDArray[Any]:
    """One of ``FLOATS`` of all keys of a curve: (n,), or (n,2) for a place."""
    width = FLOATS[name]
    values = np.empty(width * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get(name, values)
    return values.reshape(-1, width) if width > 1 else values


def write_keys(curve: Any, keys: Keys) -> None:
    """Replace all keys of a curve; nothing is computed anew from them."""
    points, count = curve.keyframe_points, len(keys.frames)
    if len(points) != count:
        points.clear()
        points.add(count)
    for name, values in keys.numbers.items():
        points.foreach_set(name, np.ascontiguousarray(values).ravel())


def new_keys(
    frames: NDArray[np.floating[Any]], values: NDArray[np.floating[Any]], uncertain: NDArray[np.bool_]
) -> Keys:
    """Linear keys of ``values (n,)`` at ``frames (n,)``; where ``uncertain (n,)`` they are of type Jitter.

    Handles are of type Auto Clamped, so a curve switched to Bézier in the graph editor behaves well at once; Blender
    still has to place them (``FCurve.update``).
    """
    count = len(frames)
    numbers: dict[str, NDArray[Any]] = dict.fromkeys(SWITCHES, np.zeros(count, np.bool_))
    for name, kind in (("interpolation", "LINEAR"), ("handle_left_type", "AUTO_CLAMPED"), ("easing", "AUTO")):
        numbers[name] = np.full(count, _enum_value(bpy.types.Keyframe, name, kind), np.int32)
    numbers["handle_right_type"] = numbers["handle_left_type"]
    ordinary, jitter = (_enum_value(bpy.types.Keyframe, "type", kind) for kind in ("KEYFRAME", "JITTER"))
    numbers["type"] = np.where(uncertain, jitter, ordinary).astype(np.int32)
    for name in ("co", "handle_left", "handle_right"):
        numbers[name] = np.stack([frames, values], axis=1).astype(np.float32)
    for name in ("amplitude", "back", "period"):
        numbers[name] = np.zeros(count, np.float32)
    return Keys(numbers)


def action_of(data_block: Any) -> Any | None:
    """The Action that animates a data-block."""
    animation = data_block.animation_data
    return animation.action if animation is not None else None


def assign_action(data_block: Any, action: Any) -> None:
    """Let an Action, or none, animate a data-block, by its slot for such data-blocks."""
    if action is None and data_block.animation_data is None:
        return
    animation = data_block.animation_data_create()
    if animation.use_tweak_mode:
        animation.use_tweak_mode = False  # else Blender lets nobody change the Action
    animation.action = action
    if LAYERED_ACTIONS and action is not None and animation.action_slot is None:
        fitting = [slot for slot in action.slots if slot.target_id_type in (data_block.id_type, "UNSPECIFIED")]
        if fitting:
            animation.action_slot = fitting[0]


def remove_action(action: Any) -> None:
    """Remove an Action from the file."""
    bpy.data.actions.remove(action)


class ActionWriter:
    """Writes curves of an Action on one data-block, in whatever form this Blender stores it.

    The Action is a new one, or a ``copy`` of one that has animated this data-block.
    """

    def __init__(self, data_block: Any, name: str, copy: Any = None) -> None:
        action = bpy.data.actions.new(name) if copy is None else copy
        action[ACTION_KEY] = True
        if copy is not None:
            action.name = name
        assign_action(data_block, action)
        if LAYERED_ACTIONS:
            animation = data_block.animation_data
            if animation.action_slot is None:
                animation.action_slot = action.slots.new(id_type=data_block.id_type, name=data_block.name)
            layer = action.layers[0] if len(action.layers) else action.layers.new("Layer")
            strip = layer.strips[0] if len(layer.strips) else layer.strips.new(type="KEYFRAME")
            self._curves = strip.channelbag(animation.action_slot, ensure=True)
        else:
            self._curves = action
        self.action = action

    def existing(self) -> dict[tuple[str, int], Any]:
        """The curves that are there, by data path and index."""
        return {(curve.data_path, curve.array_index): curve for curve in self._curves.fcurves}

    def remove(self, curve: Any) -> None:
        """Remove a curve."""
        self._curves.fcurves.remove(curve)

    def curve(
        self,
        data_path: str,
        index: int,
        group: str,
        frames: NDArray[np.floating[Any]],
        values: NDArray[np.floating[Any]],
        uncertain: NDArray[np.bool_],
    ) -> Any:
        """A new curve with ``new_keys``."""
        curve = self._curves.fcurves.new(data_path, index=index)
        curve.group = self._group(group)
        points, keys = curve.keyframe_points, new_keys(frames, values, uncertain).numbers
        points.add(len(frames))
        for name in ("co", "interpolation", "handle_left_type", "handle_right_type", "type"):
            points.foreach_set(name, keys[name].ravel())
        curve.update()
        return curve

    def _group(self, name: str) -> Any:
        groups = self._curves.groups
        return groups.get(name) or groups.new(name)


def all_curves(action: Any) -> Sequence[Any]:
    """The F-curves of an Action, whatever they animate."""
    if not LAYERED_ACTIONS:
        return list(action.fcurves)
    return [
        curve for layer in action.layers for strip in layer.strips for bag in strip.channelbags for curve in bag.fcurves
    ]


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


def strips_of(editor: Any) -> Any:
    """The strips of a scene's sequence editor: they are called so from 4.4 on."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strip_start(strip: Any) -> str:
    """The property of the frame on which a strip's content starts: the older name is going away in 5.x."""
    return "content_start" if "content_start" in strip.bl_rna.properties else "frame_start"


def move_by_matrix(node: Any) -> None:
    """Let a geometry node Transform take a matrix: its mode is a socket from 5.0 on."""
    if "Mode" in node.inputs:
        node.inputs["Mode"].default_value = "Matrix"
    else:
        node.mode = "MATRIX"


def output_path(path: str) -> str:
    """A path as renders take it: from 4.5 on they have variables between braces."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path


def write_film(render: Any) -> None:
    """Let renders be written as a film by ffmpeg: from 5.0 on the kind of medium is said first."""
    if "media_type" in render.image_settings.bl_rna.properties:
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"


def keep_uv_corners(node: Any) -> None:
    """Let a geometry node Subdivision Surface leave corners in the UV map where they are: a socket from 5.0 on."""
    if "UV Smooth" in node.inputs:
        node.inputs["UV Smooth"].default_value = "None"
    else:
        node.uv_smooth = "NONE"


def modifier_input(modifier: Any, socket: str) -> Any:
    """The value that a geometry nodes modifier gives an input of its group, None where it has none."""
    inputs = _inputs(modifier)
    if inputs is None:
        return modifier.get(socket)
    return getattr(getattr(inputs, socket, None), "value", None)


def set_modifier_input(modifier: Any, socket: str, value: Any) -> None:
    """Change it."""
    inputs = _inputs(modifier)
    if inputs is None:
        modifier[socket] = value
    else:
        getattr(inputs, socket).value = value


def _inputs(modifier: Any) -> Any | None:
    """Where a modifier has the values of its group's inputs: from 5.2 on they are no keys of its own."""
    return modifier.properties.inputs if hasattr(modifier, "properties") else None
