"""What a user can set of the layers over a take's curves. The values are the version's that is shown, kept as one text.

They are read from there and change it as a whole; see ``scene/curve_layers``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import bpy

from .scene import timing
from .scene.curve_layers import apply, regions
from .scene.curve_layers.settings import Layer, LayerSettings, Side, from_text
from .scene.versions_of_take import LAYERS

PREFIX = "flowface_curves_"
ON, KEEP_FAST = f"{PREFIX}on", f"{PREFIX}keep_fast"
SYMMETRY, SYMMETRY_FROM = f"{PREFIX}symmetry", f"{PREFIX}symmetry_from"
ZERO, ZERO_FIRST, ZERO_LAST = f"{PREFIX}zero", f"{PREFIX}zero_first", f"{PREFIX}zero_last"
YAW, PITCH = f"{PREFIX}gaze_yaw", f"{PREFIX}gaze_pitch"
ACTION = f"{PREFIX}action"
"""The action that has sliders of its own in the panel."""
ERROR = f"{PREFIX}error"
ONE = "action"
"""Stands for that action where a region's name would be."""
SMOOTHING, GAIN, OFFSET, MUTE, OPEN = "smoothing", "gain", "offset", "mute", "open"

_SIDES: tuple[Side, ...] = ("BOTH", "LEFT", "RIGHT")
_read = functools.lru_cache(maxsize=32)(from_text)

_ANGLE: dict[str, Any] = {"subtype": "ANGLE", "soft_min": -0.5, "soft_max": 0.5, "step": 10}

Get = Callable[[LayerSettings], Any]
Set = Callable[[LayerSettings, Any], LayerSettings]


def of(take: Any) -> LayerSettings:
    """The layers of the version that a take shows; a panel asks often."""
    return _read(str(take.get(LAYERS, "")))


def layer_property(region: str, what: str) -> str:
    """The name of a property of a region's layer, or of that of ``ONE`` action."""
    return f"{PREFIX}{region}_{what}"


def _ends(get: Get, set_: Set) -> dict[str, Callable[..., Any]]:
    return {"get": lambda take: get(of(take)), "set": lambda take, value: _change(take, set_(of(take), value))}


def _change(take: Any, settings: LayerSettings) -> None:
    """Show a take under other layers, also where nothing else has Blender draw anew."""
    if take.library is None and settings != of(take):
        apply.change(take, settings)
        scene = bpy.context.scene
        scene.frame_set(scene.frame_current)


def properties() -> dict[str, Any]:
    """Blender's properties of a take's collection, by name."""
    made = {**_of_all(), **_of_gaze(), **_of_zero(), ACTION: _action(), ERROR: _error()}
    for region, _ in regions.REGIONS:
        for what, prop in _of_layer(
            lambda settings, region=region: settings.region(region),
            lambda settings, region=region, **changes: settings.with_region(region, **changes),
        ).items():
            made[layer_property(region, what)] = prop
        made[layer_property(region, OPEN)] = bpy.props.BoolProperty(
            name="Show Settings", description="Show what can be set of this region"
        )
    for what, prop in _of_layer(None, None).items():
        made[layer_property(ONE, what)] = prop
    return made


def _of_layer(layer: Callable[..., Layer] | None, change: Callable[..., LayerSettings] | None) -> dict[str, Any]:
    """The four properties of a region's layer; without arguments those of the chosen action."""

    def ends(field: str) -> dict[str, Callable[..., Any]]:
        if layer is not None and change is not None:
            return _ends(lambda s: getattr(layer(s), field), lambda s, value: change(s, **{field: value}))
        return {
            "get": lambda take: getattr(of(take).action(getattr(take, ACTION)), field),
            "set": lambda take, value: _change(take, of(take).with_action(getattr(take, ACTION), **{field: value})),
        }

    return {
        SMOOTHING: bpy.props.FloatProperty(
            name="Smoothing",
            description="Frames over which the curves are smoothed, without delay (σ of a Gaussian)",
            min=0.0,
            soft_max=5.0,
            max=100.0,
            step=10,
            precision=2,
            **ends("smoothing"),
        ),
        GAIN: bpy.props.FloatProperty(
            name="Gain",
            description="Factor: 1 is as tracked, 0.5 half as much, 2 twice as much. Of the head's pose: from its mean",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            step=1,
            precision=2,
            **ends("gain"),
        ),
        OFFSET: bpy.props.FloatProperty(
            name="Offset",
            description="What is added to the weights on all frames",
            soft_min=-0.5,
            soft_max=0.5,
            step=1,
            precision=3,
            **ends("offset"),
        ),
        MUTE: bpy.props.BoolProperty(
            name="Mute",
            description="At rest on all frames: weights are 0, eyes look straight ahead, the head keeps its mean pose",
            **ends("mute"),
        ),
    }


def _of_all() -> dict[str, Any]:
    return {
        ON: bpy.props.BoolProperty(
            name="Layers",
            description="Show the curves under the layers; switched off they are as they were tracked",
            default=True,
            **_ends(lambda s: s.on, lambda s, on: replace(s, on=on)),
        ),
        KEEP_FAST: bpy.props.BoolProperty(
            name="Keep Fast Moves",
            description="Smooth only what changes little from frame to frame: blinks, lips that close and darting eyes "
            "keep their course",
            default=True,
            **_ends(lambda s: s.keep_fast, lambda s, keep: replace(s, keep_fast=keep)),
        ),
        SYMMETRY: bpy.props.FloatProperty(
            name="Symmetry",
            description="How alike the two sides of the face become; the gaze is left alone",
            min=0.0,
            max=1.0,
            subtype="FACTOR",
            **_ends(lambda s: s.symmetry, lambda s, much: replace(s, symmetry=much)),
        ),
        SYMMETRY_FROM: bpy.props.EnumProperty(
            name="From",
            description="Which side of the subject's the other one is made like",
            items=(
                ("BOTH", "Both", "Both sides become their mean"),
                ("LEFT", "Left", "The subject's right side becomes like the left one"),
                ("RIGHT", "Right", "The subject's left side becomes like the right one"),
            ),
            **_ends(lambda s: _SIDES.index(s.symmetry_from), lambda s, index: replace(s, symmetry_from=_SIDES[index])),
        ),
    }


def _of_gaze() -> dict[str, Any]:
    return {
        YAW: bpy.props.FloatProperty(
            name="Turn",
            description="Angle by which both eyes look farther to the subject's left",
            **_ANGLE,
            **_ends(lambda s: s.gaze_turn[0], lambda s, yaw: replace(s, gaze_turn=(yaw, s.gaze_turn[1]))),
        ),
        PITCH: bpy.props.FloatProperty(
            name="Raise",
            description="Angle by which both eyes look farther up",
            **_ANGLE,
            **_ends(lambda s: s.gaze_turn[1], lambda s, pitch: replace(s, gaze_turn=(s.gaze_turn[0], pitch))),
        ),
    }


def _of_zero() -> dict[str, Any]:
    def bound(index: int) -> dict[str, Callable[..., Any]]:
        return {
            "get": lambda take: round(float(timing.timing_of(take).at((of(take).zero or (0.0, 0.0))[index]))),
            "set": lambda take, frame: _set_zero(take, index, frame),
        }

    about = "frame on which the face is at rest: the mean weights there become 0, and all others lower by as much"
    return {
        ZERO: bpy.props.BoolProperty(
            name="Zero Frames",
            description="Say on which frames the face is at rest, first this one: the weights there become 0, and all "
            "others lower by as much. Unlike neutral frames marked for tracking this changes the curves alone",
            get=lambda take: of(take).zero is not None,
            set=_choose_zero,
        ),
        ZERO_FIRST: bpy.props.IntProperty(name="First", description=f"First {about}", **bound(0)),
        ZERO_LAST: bpy.props.IntProperty(name="Last", description=f"Last {about}", **bound(1)),
    }


def _choose_zero(take: Any, on: bool) -> None:
    here = float(timing.timing_of(take).home(bpy.context.scene.frame_current))
    _change(take, replace(of(take), zero=(here, here) if on else None))


def _set_zero(take: Any, index: int, frame: int) -> None:
    """Set one end; the other one goes along where it would be on the wrong side."""
    settings, at = of(take), float(timing.timing_of(take).home(frame))
    if settings.zero is not None:
        first, last = (at, max(settings.zero[1], at)) if index == 0 else (min(settings.zero[0], at), at)
        _change(take, replace(settings, zero=(first, last)))


def _action() -> Any:
    return bpy.props.StringProperty(
        name="Action",
        description="The action that the sliders below are for: its own layer, under that of its region",
    )


def _error() -> Any:
    return bpy.props.FloatProperty(
        name="Within",
        description="Millimetres by which no point of the face may be off on any frame, of the person's own size",
        default=0.5,
        min=0.01,
        soft_min=0.05,
        soft_max=2.0,
        max=50.0,
        step=5,
        precision=2,
    )


def has_layer(take: Any, region: str) -> bool:
    """True where a region's own layer does something."""
    settings = of(take)
    return settings.region(region) != Layer() or (region == regions.GAZE and settings.gaze_turn != (0.0, 0.0))
