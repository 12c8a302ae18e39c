"""What a user chooses for a live session; stored with the scene."""

from __future__ import annotations

from typing import Any

import bpy

from . import cameras

NAME = "flowface_live_capture"
CAMERA, VIDEO, LIVE_LINK = "CAMERA", "VIDEO", "LIVE_LINK"


def _known_cameras(_settings: Any, _context: Any, edit_text: str) -> list[str]:
    return [name for name in cameras.names() if edit_text.lower() in name.lower()]


class FlowFaceLiveCapture(bpy.types.PropertyGroup):  # type: ignore[misc]
    """What drives a head live."""

    source: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Source",
        description="What drives the head",
        items=(
            (CAMERA, "Camera", "A camera of this computer"),
            (VIDEO, "Video", "A video, played as if it were a camera; from its beginning once the face is calibrated"),
            (LIVE_LINK, "Live Link Face", "Epic's app for the iPhone, by its stream in the network"),
        ),
        options=set(),
    )
    camera: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Camera",
        description="The camera by its name; empty for the first one",
        search=_known_cameras,
        search_options={"SUGGESTION"},
        options=set(),
    )
    video: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Video",
        description="The video that is played",
        subtype="FILE_PATH",
        options=set(),
    )
    driver: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Driver",
        description="The learnt driver of the person before the camera: nothing is calibrated then. Empty to "
        "calibrate, and to solve each picture",
        subtype="FILE_PATH",
        options=set(),
    )
    port: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Port",
        description="The port that the app sends to, as in its settings",
        default=11111,
        min=0,
        max=65535,
        options=set(),
    )
    network: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Let Phones In",
        description="Listen to other machines of the network: a phone is one. Whoever reaches this port can move the "
        "head then, and do nothing else",
        options=set(),
    )
    subject: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Subject",
        description="The subject to follow where several phones send; empty for the first that does",
        maxlen=120,
        options=set(),
    )


def of(scene: Any) -> Any:
    """The choices of a scene."""
    return getattr(scene, NAME)


def pointer() -> Any:
    """The property of scenes that holds them."""
    return bpy.props.PointerProperty(type=FlowFaceLiveCapture)


CLASSES = (FlowFaceLiveCapture,)
