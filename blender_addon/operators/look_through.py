"""Look through the camera of one of a take's views."""

from __future__ import annotations

from typing import Any

import bpy

from ..on_take import OnTake
from ..scene import ownership as replace
from ..scene import takes
from ..scene.build import look_through_camera

SAME_SHAPE = 0.001


class FLOWFACE_OT_look_through(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Make this view's camera the scene camera and look through it; the scene takes over its resolution where its \
picture has another shape"""

    bl_idname = "flowface.look_through"
    bl_label = "Look Through"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    view: bpy.props.StringProperty(name="View", options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Switch."""
        views = replace.shown_views(takes.shown_take(context))
        found = next((view for view in views if view.name == self.view and view.camera is not None), None)
        if found is None or found.camera.name not in context.scene.objects:
            self.report({"WARNING"}, f"The camera of “{self.view}” is no longer in this scene")
            return {"CANCELLED"}
        scene = context.scene
        scene.camera = found.camera
        if found.size is not None:
            width, height = found.size
            render = scene.render
            if abs(render.resolution_x / render.resolution_y * height / width - 1) > SAME_SHAPE:
                render.resolution_x, render.resolution_y = width, height
        area = context.area
        if area is not None and area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"
        elif context.screen is not None:
            look_through_camera([context.screen])
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_look_through,)
