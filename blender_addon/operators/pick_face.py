"""Pick the face to track by clicking on it in the viewport."""

from __future__ import annotations

from typing import Any

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d

from .. import session, settings
from ..scene import footage, takes
from ..scene import ownership as replace


class FLOWFACE_OT_pick_face(bpy.types.Operator):  # type: ignore[misc]
    """Click on the face to track, in a viewport that looks through the camera of this footage"""

    bl_idname = "flowface.pick_face"
    bl_label = "Pick Face"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    view: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="View",
        description="A further view's name; empty for the main footage",
        options={"SKIP_SAVE"},
    )

    further: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Further Face",
        description="Have the face tracked besides the one that was picked first, as a further head of the same take",
        options={"SKIP_SAVE"},
    )

    _picked = False  # with Shift, and more may follow

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The footage must be in sight."""
        area, camera = context.area, context.scene.camera
        if session.current().job is not None or area is None or area.type != "VIEW_3D":
            return False
        through = area.spaces.active.region_3d.view_perspective == "CAMERA"
        if not through or camera is None or not len(camera.data.background_images):
            cls.poll_message_set("Look through a camera with its footage behind it first")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Wait for the click, unless another view is in sight."""
        shown = _shown_view(context)
        if shown is not None and shown.name != (self.view or settings.MAIN_VIEW):
            self.report({"WARNING"}, f"This viewport looks through “{shown.name}”: look through the right camera first")
            return {"CANCELLED"}
        context.window.cursor_modal_set("EYEDROPPER")
        more = "" if self.view else "; Shift click to pick several"
        context.workspace.status_text_set(f"Click on the face to track{more}; Esc or right click to leave it")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        """Take the click, let playing and navigating through."""
        if event.type in ("ESC", "RIGHTMOUSE"):
            return self._leave(context, {"FINISHED"} if self._picked else {"CANCELLED"})
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        place = self._place(context, event.mouse_x, event.mouse_y)
        if place is None:
            self.report({"WARNING"}, "That was outside the picture: no face was picked")
            return self._leave(context, {"CANCELLED"})
        chosen = settings.of(context.scene)
        row = chosen.views.get(self.view) if self.view else chosen
        if row is None:  # removed meanwhile
            return self._leave(context, {"CANCELLED"})
        width, height = _picture_size(context)
        if row == chosen and self.further and chosen.face == "POINT":
            row = chosen.faces.add()
        else:
            row.face = "POINT"
        row.face_point = (round(place[0] * width), round(place[1] * height))
        row.face_frame = max(0, footage.shown_number(context.scene.camera.data, context.scene.frame_current))
        if event.shift and not self.view:
            self.further = self._picked = True
            return {"RUNNING_MODAL"}
        return self._leave(context, {"FINISHED"})

    def cancel(self, context: Any) -> None:
        """Blender ends the operator, as on opening another file."""
        self._leave(context, set())

    def _leave(self, context: Any, result: set[str]) -> set[str]:
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        if context.area is not None:
            context.area.tag_redraw()
        return result

    @staticmethod
    def _place(context: Any, x: int, y: int) -> tuple[float, float] | None:
        """A point of the window within the camera's picture: 0…1 from its left and top, None outside."""
        area = context.area
        region = next(region for region in area.regions if region.type == "WINDOW")
        camera, view = context.scene.camera, area.spaces.active.region_3d
        frame = camera.data.view_frame(scene=context.scene)
        corners = [location_3d_to_region_2d(region, view, camera.matrix_world.normalized() @ point) for point in frame]
        left, right = min(corner.x for corner in corners), max(corner.x for corner in corners)
        bottom, top = min(corner.y for corner in corners), max(corner.y for corner in corners)
        across, down = (x - region.x - left) / (right - left), (top - (y - region.y)) / (top - bottom)
        return (across, down) if 0 <= across <= 1 and 0 <= down <= 1 else None


def _shown_view(context: Any) -> replace.ShownView | None:
    """The view of a take whose camera is the scene camera; None where that is a camera of the user's own."""
    take = takes.shown_take(context)
    views = replace.shown_views(take) if take is not None else ()
    return next((view for view in views if view.camera == context.scene.camera), None)


def _picture_size(context: Any) -> tuple[int, int]:
    """Size in pixels of what the scene camera filmed: its take knows it, else it is the scene's resolution."""
    view, render = _shown_view(context), context.scene.render
    return view.size if view is not None and view.size is not None else (render.resolution_x, render.resolution_y)


class FLOWFACE_OT_face_remove(bpy.types.Operator):  # type: ignore[misc]
    """Do not track this further face"""

    bl_idname = "flowface.face_remove"
    bl_label = "Remove Face"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    index: bpy.props.IntProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Remove it from the list."""
        settings.of(context.scene).faces.remove(self.index)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_pick_face, FLOWFACE_OT_face_remove)
