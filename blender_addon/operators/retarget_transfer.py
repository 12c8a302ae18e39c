"""Make shape keys: the 52 actions on a character's mesh that has none, by deformation transfer in the backend."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .. import building, preferences, transferring
from ..retarget import face_mesh
from ..vendor import messages as m
from .submitting import Submitting

FOLDER = "transfer"
"""Of the add-on's own folder, for meshes on their way to the backend."""


class FLOWFACE_OT_make_shape_keys(Submitting, bpy.types.Operator):  # type: ignore[misc]
    """Make a shape key for each of the 52 ARKit actions that the active mesh lacks. They move it as they move \
FlowFace's own head; modifiers, vertices and the keys that it has stay as they are"""

    bl_idname = "flowface.make_shape_keys"
    bl_label = "Make Shape Keys"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a mesh that lacks some, and none on its way."""
        reason = face_mesh.why_not(context.active_object)
        if transferring.current() is not None:
            reason = "Shape keys are being made"
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: Any) -> set[str]:
        """Submit the job, to a backend that is started where wanted; all else happens while Blender goes on."""
        obj = context.active_object
        try:
            spec = face_mesh.job_of(obj, preferences.user_folder() / FOLDER)
        except face_mesh.CannotTransfer as problem:
            return self.refuse(str(problem))
        if not self.connect(context):
            return {"CANCELLED"}
        transferring.begin(obj.name, building.home_of(context.scene), spec)
        return {"FINISHED"}


class FLOWFACE_OT_add_shape_keys(bpy.types.Operator):  # type: ignore[misc]
    """Add the shape keys that the backend has made"""

    bl_idname = "flowface.add_shape_keys"
    bl_label = "Make Shape Keys"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """They must be there, and no mesh be edited."""
        transfer = transferring.current()
        return transfer is not None and transfer.deltas is not None and context.mode == "OBJECT"

    def execute(self, context: Any) -> set[str]:
        """Add them to the object that they were made for, and keep the sheet."""
        transfer = transferring.current()
        if transfer is None or transfer.deltas is None:
            return {"CANCELLED"}
        obj = context.scene.objects.get(transfer.object) or bpy.data.objects.get(transfer.object)
        if obj is None or obj.type != "MESH":
            transferring.end(f"“{transfer.object}” is gone, and its shape keys with it.", is_error=True)
            return {"CANCELLED"}
        try:
            added = face_mesh.add_keys(obj, list(transfer.deltas), transfer.deltas)
            face_mesh.keep_sheet(face_mesh.sheet_name(obj), transfer.sheet, preferences.user_folder() / FOLDER)
        except face_mesh.CannotTransfer as problem:
            transferring.end(str(problem), is_error=True)
            return {"CANCELLED"}
        except OSError as error:
            transferring.end(f"The contact sheet cannot be kept: {error.strerror}.", is_error=True)
            return {"FINISHED"}
        transferring.end(f"“{obj.name}” has {len(added)} new shape keys.{_doubt(transfer.figures or {})}")
        return {"FINISHED"}


def _doubt(figures: dict[str, float]) -> str:
    """A sentence on what did not come out well, after a space; "" where all did."""
    if figures.get("lid_gap_mm", 0.0) > 0.5:
        return " Its lids do not close wholly: look at the sheet."
    if figures.get("surface_mean_mm", 0.0) > 3.0:
        return " Its face is unlike a human one: look at the sheet."
    return ""


class FLOWFACE_OT_cancel_shape_keys(bpy.types.Operator):  # type: ignore[misc]
    """Make no shape keys"""

    bl_idname = "flowface.cancel_shape_keys"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, _context: Any) -> set[str]:
        """Stop the job."""
        transferring.cancel()
        return {"FINISHED"}


class FLOWFACE_OT_show_sheet(bpy.types.Operator):  # type: ignore[misc]
    """Show each action on FlowFace's head and beside it on the active mesh, in a window of its own"""

    bl_idname = "flowface.show_sheet"
    bl_label = "Show Sheet"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a sheet."""
        obj = context.active_object
        return obj is not None and bpy.data.images.get(face_mesh.sheet_name(obj)) is not None

    def execute(self, context: Any) -> set[str]:
        """Open a window with the picture as large as it fits."""
        image = bpy.data.images[face_mesh.sheet_name(context.active_object)]
        before = set(context.window_manager.windows)
        bpy.ops.wm.window_new()
        window = next((one for one in context.window_manager.windows if one not in before), None)
        if window is None:
            return {"CANCELLED"}
        area = max(window.screen.areas, key=lambda one: one.width * one.height)
        area.type = "IMAGE_EDITOR"
        area.spaces.active.image = image
        region = next(one for one in area.regions if one.type == "WINDOW")
        with context.temp_override(window=window, area=area, region=region):
            if bpy.ops.image.view_all.poll():
                bpy.ops.image.view_all(fit_view=True)
        return {"FINISHED"}


class FLOWFACE_OT_mark_face_point(bpy.types.Operator):  # type: ignore[misc]
    """Mark the middle of the selected vertices as this point of the face; left and right are the character's. Where \
points are marked, they guide the transfer"""

    bl_idname = "flowface.mark_face_point"
    bl_label = "Mark Face Point"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    name: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]
    clear: bpy.props.BoolProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Put it down with the object, or take it away."""
        obj = context.active_object
        if obj is None or obj.type != "MESH" or self.name not in m.FACE_POINTS:
            return {"CANCELLED"}
        marked = face_mesh.points_of(obj)
        if self.clear:
            marked.pop(self.name, None)
        else:
            if obj.mode == "EDIT":
                obj.update_from_editmode()
            chosen = [vertex.index for vertex in obj.data.vertices if vertex.select]
            if obj.mode != "EDIT" or not chosen:
                self.report({"WARNING"}, f"Select the {self.name} in Edit Mode first")
                return {"CANCELLED"}
            x, y, z = np.mean(face_mesh.rest(obj.data)[chosen], axis=0)
            marked[self.name] = float(x), float(y), float(z)
        obj[face_mesh.POINTS_KEY] = {name: list(at) for name, at in marked.items()}
        return {"FINISHED"}


CLASSES = (
    FLOWFACE_OT_make_shape_keys,
    FLOWFACE_OT_add_shape_keys,
    FLOWFACE_OT_cancel_shape_keys,
    FLOWFACE_OT_show_sheet,
    FLOWFACE_OT_mark_face_point,
)
