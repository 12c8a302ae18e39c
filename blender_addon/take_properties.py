"""What a user can set of a take: name, where it starts, how fast it plays, its version's name, how its head is drawn.

All but the switches have no value of their own: they are read from the take and change it as a whole.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import curve_properties
from .scene import error_on_head, head_display, ownership, plate, retime, skin_texture, takes, timing, wrinkles
from .scene import versions_of_take as versions

NAME, START, SPEED, VERSION = "flowface_name", "flowface_start", "flowface_speed", "flowface_version_name"
HEAD_DISPLAY = "flowface_head_display"
TEXTURE = "flowface_texture"
WRINKLES, WRINKLE_STRENGTH = "flowface_wrinkles_shown", "flowface_wrinkle_strength"
WRINKLE_LEVEL, WRINKLE_RENDER_LEVEL = "flowface_wrinkle_level", "flowface_wrinkle_render_level"
PLATE = "flowface_plate_in_renders"
STRIP = "flowface_show_confidence"
WIREFRAME, LANDMARKS, ERROR = "flowface_show_wireframe", "flowface_show_landmarks", error_on_head.SHOWN
_DISPLAYS = [identifier for identifier, *_ in head_display.DISPLAYS]


def _version_name(take: Any) -> str:
    version = versions.current(take)
    return version.name if version is not None else ""


def _rename_version(take: Any, name: str) -> None:
    version = versions.current(take)
    if version is not None and name:
        versions.rename(take, version.number, name)


def _set_plate(take: Any, wanted: bool) -> None:
    take = ownership.main_of(take)
    plate.remove(take)
    view = head_display.seen_view(bpy.context.scene, take)
    if wanted and view is not None:
        plate.show(take, view)


def _show_error(take: Any, context: Any) -> None:
    error_on_head.changed(take, context.evaluated_depsgraph_get())


def _wrinkle_number(kind: Any, value: type, given: str, **about: Any) -> Any:
    """A property that is an input of the wrinkles' nodes."""
    return kind(
        get=lambda take: value(wrinkles.value_of(take, given)),
        set=lambda take, wanted: wrinkles.set_value(take, given, wanted),
        **about,
    )


def _wrinkle_properties() -> dict[str, Any]:
    finer = (
        "each level has four times the faces of the one before. With 0 no point of the mesh moves, and wrinkles show "
    )
    return {
        WRINKLES: bpy.props.BoolProperty(
            name="Wrinkles",
            description="Show the person's wrinkles, which come and go as the skin is stretched and compressed: with "
            "edited keys, too, and other performances of this head",
            get=wrinkles.is_shown,
            set=wrinkles.set_shown,
        ),
        WRINKLE_STRENGTH: _wrinkle_number(
            bpy.props.FloatProperty,
            float,
            wrinkles.STRENGTH,
            name="Strength",
            description="How deep the wrinkles are: 1 as the footage showed them, 0 not at all",
            min=0.0,
            soft_max=2.0,
            max=10.0,
            precision=2,
            step=5,
        ),
        WRINKLE_LEVEL: _wrinkle_number(
            bpy.props.IntProperty,
            int,
            wrinkles.LEVEL,
            name="Subdivisions",
            description=f"How finely viewports divide the mesh for its wrinkles: {finer}in Material Preview alone",
            min=0,
            soft_max=4,
            max=4,
        ),
        WRINKLE_RENDER_LEVEL: _wrinkle_number(
            bpy.props.IntProperty,
            int,
            wrinkles.RENDER_LEVEL,
            name="In Renders",
            description=f"How finely renders divide it: {finer}in the material's shading alone",
            min=0,
            soft_max=4,
            max=4,
        ),
    }


def properties() -> dict[str, Any]:
    """Blender's properties of a take's collection, by name."""
    return {
        **curve_properties.properties(),
        **_wrinkle_properties(),
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
            get=lambda take: timing.timing_of(ownership.main_of(take)).start,
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
            get=lambda take: timing.timing_of(ownership.main_of(take)).speed,
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
        PLATE: bpy.props.BoolProperty(
            name="In Renders",
            description="Render the footage behind the head, as this camera saw it: with Cycles or EEVEE, in its own "
            "colours where the scene's view transform is Standard",
            get=lambda take: plate.plate_of(ownership.main_of(take)) is not None,
            set=_set_plate,
        ),
        STRIP: bpy.props.BoolProperty(
            name="Confidence Strip",
            description="Draw a strip along Timeline and Dope Sheet: green where error and uncertainty of the take are "
            "good, yellow where one is fair, red where one is poor, grey where no face was found",
            default=True,
        ),
        WIREFRAME: bpy.props.BoolProperty(
            name="Wireframe",
            description="Draw the edges of the skin that face the camera over the footage, through the camera",
        ),
        ERROR: bpy.props.BoolProperty(
            name="Error on Head",
            description="Colour the head by how far it is off the landmarks that were seen near: green where that is "
            "good, yellow where it is fair, red where it is poor, nothing where none was seen. The mesh has the figure "
            "as the attribute “tracking_error”, percent of the inter-ocular distance, -1 where unknown",
            update=_show_error,
        ),
        LANDMARKS: bpy.props.BoolProperty(
            name="Landmarks",
            description="Draw a dot where the tracker saw each landmark in the footage, and a line to where the head "
            "has it now: green where that is good, yellow where it is fair, red where it is poor",
        ),
    }
