"""What a user sets for the next take; stored with the scene."""

from __future__ import annotations

from typing import Any

import bpy

NAME = "flowface"


class FlowFaceSettings(bpy.types.PropertyGroup):  # type: ignore[misc]
    """Settings of a scene."""

    footage: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Footage",
        description="A video, a photograph, or any image of a numbered sequence",
        subtype="FILE_PATH",
    )
    use_range: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Frame Range",
        description="Track only some of the footage's frames",
    )
    frame_first: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First",
        description="First frame to track; a video's frames count from 1, an image sequence's as in its file names",
        default=1,
        min=0,
    )
    frame_last: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Last",
        description="Last frame to track",
        default=100,
        min=0,
    )
    match_scene: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Match Scene to Footage",
        description="Set the scene's resolution, frame rate, frame range and camera to those of the footage",
        default=True,
    )


def of(scene: Any) -> Any:
    """The settings of a scene."""
    return getattr(scene, NAME)


CLASSES = (FlowFaceSettings,)
