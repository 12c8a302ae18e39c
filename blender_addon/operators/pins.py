"""Pins: a point of the head is dragged to where it belongs in the picture; go to one, move it, remove it."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
import numpy as np

from .. import correction_drawing as drawing
from ..in_picture import InPicture, Picture, redraw
from ..on_take import OnTake
from ..scene import corrections, surface, takes
from ..scene import ownership as replace
from ..scene.footage_frames import footage_frames

GRAB = 10.0
"""Pixels of the screen, at the interface's usual scale: a click so near to a pin's end takes hold of it."""


def _chosen(context: Any) -> Any | None:
    """The pin that is chosen in the list."""
    take = takes.shown_take(context)
    kept = corrections.corrections_of(take) if take is not None else None
    return kept.pins[kept.active_pin] if kept is not None and 0 <= kept.active_pin < len(kept.pins) else None


class _Dragging(InPicture):
    """Drags the end of a pin; Esc leaves all as it was."""

    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def leave(self, context: Any, result: set[str]) -> set[str]:
        """Draw nothing that is not kept."""
        drawing.dragged = None
        return super().leave(context, result)

    def drag(self, context: Any, event: Any, picture: Picture) -> set[str]:
        """Follow the mouse, keep the pin where it is let go."""
        held = drawing.dragged
        if held is None:
            return {"CANCELLED"}
        if event.type == "MOUSEMOVE":
            drawing.dragged = dataclasses.replace(held, position=self.pixel(context, event, picture))
            redraw()
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            if picture.number != held.number or picture.view != held.view:
                self.report({"WARNING"}, "Another frame is shown now: nothing was pinned")  # type: ignore[attr-defined]
                return {"CANCELLED"}
            self.keep(picture, held)
            return {"FINISHED"}
        return {"RUNNING_MODAL"}

    @staticmethod
    def keep(picture: Picture, held: drawing.Dragged) -> None:
        """Put the pin down."""
        kept = corrections.corrections_of(picture.take)
        if held.pin is None:
            corrections.add_pin(picture.take, held.view, held.number, held.point, held.position)
        elif held.pin < len(kept.pins):
            kept.pins[held.pin].position = held.position
            kept.active_pin = held.pin

    def take_hold(self, picture: Picture, pin: int) -> None:
        """Take hold of a pin that is there."""
        kept = corrections.corrections_of(picture.take).pins[pin]
        point = surface.SurfacePoint(kept.triangle, tuple(kept.barycentric))
        drawing.dragged = drawing.Dragged(self.take, kept.view, kept.frame, point, tuple(kept.position), pin)


class FLOWFACE_OT_pin_add(_Dragging, bpy.types.Operator):  # type: ignore[misc]
    """Press on a point of the head, drag it to where it belongs in the picture, and let go. A pin's end that is there \
already can be dragged elsewhere"""

    bl_idname = "flowface.pin_add"
    bl_label = "Add Pin"
    help = "Press on a point of the head, drag it to where it belongs in the picture, and let go; Esc to leave it"

    def event(self, context: Any, event: Any, picture: Picture) -> set[str]:
        """Take hold of a point, then drag it."""
        if drawing.dragged is not None:
            return self.drag(context, event, picture)
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        if not self.over(context, event):
            return {"PASS_THROUGH"}
        pixel = self.pixel(context, event, picture)
        near = _end_near(picture, pixel)
        if near is not None:
            self.take_hold(picture, near)
            return {"RUNNING_MODAL"}
        try:
            head = surface.surface_of(replace.member(picture.take, replace.HEAD), context.evaluated_depsgraph_get())
        except surface.NoSurface as why:
            self.report({"WARNING"}, str(why))
            return {"CANCELLED"}
        point = head.under(picture.eye, pixel)
        if point is None:
            self.report({"INFO"}, "That was beside the head: press on a point of it")
            return {"RUNNING_MODAL"}
        drawing.dragged = drawing.Dragged(self.take, picture.view, picture.number, point, pixel)
        return {"RUNNING_MODAL"}


def _end_near(picture: Picture, pixel: tuple[float, float]) -> int | None:
    """The pin of this picture whose end is under the mouse."""
    pins = corrections.corrections_of(picture.take).pins
    ends = picture.shown.to_region(np.array([tuple(pin.position) for pin in pins]).reshape(-1, 2))
    away = np.linalg.norm(ends - picture.shown.to_region(np.array([pixel])), axis=1)
    here = np.array([pin.frame == picture.number and pin.view == picture.view for pin in pins], bool)
    away = np.where(here, away, np.inf)
    reach = GRAB * bpy.context.preferences.system.ui_scale
    return int(away.argmin()) if len(away) and away.min() < reach else None


class FLOWFACE_OT_pin_move(_Dragging, bpy.types.Operator):  # type: ignore[misc]
    """Let the chosen pin follow the mouse, and click where it belongs in the picture"""

    bl_idname = "flowface.pin_move"
    bl_label = "Move Pin"
    help = "Click where the point belongs in the picture; Esc to leave it"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Its picture must be in sight."""
        if _chosen(context) is None:
            cls.poll_message_set("There is no pin")
            return False
        return super().poll(context)

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Go to the pin's frame, and take hold of it."""
        bpy.ops.flowface.pin_go()
        result = super().invoke(context, event)
        picture = self.picture(context)
        pin = _chosen(context)
        if picture is None or pin is None or (picture.view, picture.number) != (pin.view, pin.frame):
            self.report({"WARNING"}, "The take no longer shows this pin's picture")
            return self.leave(context, {"CANCELLED"})
        self.take_hold(picture, corrections.corrections_of(picture.take).active_pin)
        return result

    def event(self, context: Any, event: Any, picture: Picture) -> set[str]:
        """Follow the mouse without a button; a click puts it down."""
        if event.type == "MOUSEMOVE" or (event.type == "LEFTMOUSE" and self.over(context, event)):
            return self.drag(context, event, picture)
        return {"PASS_THROUGH"}


class _OnPin(OnTake):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one."""
        return _chosen(context) is not None


class FLOWFACE_OT_pin_go(_OnPin, bpy.types.Operator):  # type: ignore[misc]
    """Go to the chosen pin's frame and look through its camera"""

    bl_idname = "flowface.pin_go"
    bl_label = "Go to Pin"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Go there."""
        pin, frames = _chosen(context), footage_frames(takes.shown_take(context))
        frame = frames.frame_of(pin.frame) if frames is not None and pin is not None else None
        if pin is None or frame is None:
            self.report({"WARNING"}, "The take no longer has this pin's frame")
            return {"CANCELLED"}
        context.scene.frame_set(frame)
        bpy.ops.flowface.look_through(view=pin.view)
        redraw()
        return {"FINISHED"}


class FLOWFACE_OT_pin_remove(_OnPin, bpy.types.Operator):  # type: ignore[misc]
    """Remove the chosen pin. The next refinement is made without it"""

    bl_idname = "flowface.pin_remove"
    bl_label = "Remove Pin"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        kept = corrections.corrections_of(takes.shown_take(context))
        kept.pins.remove(kept.active_pin)
        kept.active_pin = max(0, min(kept.active_pin, len(kept.pins) - 1))
        redraw()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_pin_add, FLOWFACE_OT_pin_move, FLOWFACE_OT_pin_go, FLOWFACE_OT_pin_remove)
