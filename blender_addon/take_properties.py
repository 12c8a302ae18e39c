"""What a user can set of a take: name, where it starts, how fast it plays, its version's name, how its head is drawn.

The properties have no value of their own: they are read from the take and change it as a whole.
"""

from __future__ import annotations

from typing import Any

import bpy

from .scene import head_display, retime, skin_texture, takes, timing
from .scene import versions_of_take as versions

NAME, START, SPEED, VERSION = "flowface_name", "flowface_start", "flowface_speed", "flowface_version_name"
HEAD_DISPLAY = "flowface_head_display"
TEXTURE = "flowface_texture"
_DISPLAYS = [identifier for identifier, *_ in head_display.DISPLAYS]


def _version_name(take: Any) -> str:
    version = versions.current(take)
    return version.name if version is not None else ""


def _rename_version(take: Any, name: str) -> None:
    version = versions.current(take)
    if version is not None and name:
        versions.rename(take, version.number, name)


def properties() -> dict[str, Any]:
    """Blender's properties of a take's collection, by name."""
    return {
        NAME: bpy.props.StringProperty(
            name="Name",
            description="Name of the take; what was called after it is renamed along",
            get=lambda take: take.name,
            set=takes.rename,
        ),
        START: bpy.props.FloatProperty(
            name="Start Frame",
            description="Frame of the scene on which the take starts. All its keys move along, and back again exactly",
            precision=1,
            step=100,
            get=lambda take: timing.timing_of(take).start,
            set=lambda take, start: retime.retime(take, start=start),
        ),
        SPEED: bpy.props.FloatProperty(
            name="Speed",
            description="Frames of the footage that pass in one frame of the scene: 2 is twice as fast, 0.5 half as "
            "fast. All keys move along, and back again exactly",
            soft_min=0.1,
            soft_max=10.0,
            precision=3,
            step=1,
            get=lambda take: timing.timing_of(take).speed,
            set=lambda take, speed: retime.retime(take, speed=speed),
        ),
        VERSION: bpy.props.StringProperty(
            name="Version Name",
            description="Name of the version that is shown",
            get=_version_name,
            set=_rename_version,
        ),
        TEXTURE: bpy.props.BoolProperty(
            name="Footage Texture",
            description="Show the head's skin as its footage does, in Material Preview, renders, and solid shading by "
            "texture. Off, the plain colours show; both are kept",
            get=skin_texture.is_shown,
            set=skin_texture.set_shown,
        ),
        HEAD_DISPLAY: bpy.props.EnumProperty(
            name="Head",
            description="How viewports draw the head over the footage",
            items=head_display.DISPLAYS,
            get=lambda take: _DISPLAYS.index(head_display.display_of(take)),
            set=lambda take, index: head_display.set_display(take, _DISPLAYS[index]),
        ),
    }
