"""Masks: regions of a picture to be ignored, drawn by clicks or all of it; go to one, remove it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .. import correction_drawing as drawing
from ..in_picture import InPicture, Picture, missing, picture_of, redraw
from ..on_take import OnTake
from ..scene import carried, corrections, takes
from ..scene.footage_frames import FootageFrames, footage_frames

CLOSE = 10.0
"""Pixels of the screen, at the interface's usual scale: a click so near to the first corner closes the outline."""
FEWEST = 3


def _frames(context: Any, frames: FootageFrames, number: int) -> tuple[int, int]:
    """The footage's frames that a new mask hides: those of the preview range, else the one that is shown."""
    scene = context.scene
    if not scene.use_preview_range:
        return number, number
    ends = (frames.number_at(frame) for frame in (scene.frame_preview_start, scene.frame_preview_end))
    first, last = (number if end is None else end for end in ends)
    return min(first, number), max(last, number)


class FLOWFACE_OT_mask_draw(InPicture, bpy.types.Operator):  # type: ignore[misc]
    """Click the corners of a region of the picture that is to be ignored, such as a hand before the face. It hides \
the frames of the preview range, else the one that is shown; both can be changed afterwards"""

    bl_idname = "flowface.mask_draw"
    bl_label = "Draw Mask"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class
    help = "Click the corners of the region; Enter or a click on the first one closes it, Backspace takes one back"

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Begin without corners."""
        self.corners: list[tuple[float, float]] = []
        self.number: int | None = None
        return super().invoke(context, event)

    def event(self, context: Any, event: Any, picture: Picture) -> set[str]:
        """Add corners, until the outline is closed."""
        if self.number is not None and self.number != picture.number:
            self.report({"WARNING"}, "Another frame is shown now: nothing was masked")
            return {"CANCELLED"}
        pixel = self.pixel(context, event, picture)
        pressed = event.value in ("PRESS", "DOUBLE_CLICK")  # two corners may come quickly
        if event.type in ("RET", "NUMPAD_ENTER") and pressed:
            return self._close(context, picture)
        if event.type == "BACK_SPACE" and pressed:
            self.corners = self.corners[:-1]
        elif event.type == "LEFTMOUSE" and pressed and self.over(context, event):
            if self._closes(picture, pixel):
                return self._close(context, picture)
            self.corners.append(pixel)
            self.number = picture.number
        elif event.type != "MOUSEMOVE":
            return {"PASS_THROUGH"}
        drawing.outlined = drawing.Outlined(self.take, picture.view, (*self.corners, pixel))
        redraw()
        return {"RUNNING_MODAL"}

    def _closes(self, picture: Picture, pixel: tuple[float, float]) -> bool:
        if len(self.corners) < FEWEST:
            return False
        first, here = picture.shown.to_region(np.array([self.corners[0], pixel]))
        return bool(np.linalg.norm(first - here) < CLOSE * bpy.context.preferences.system.ui_scale)

    def _close(self, context: Any, picture: Picture) -> set[str]:
        if len(self.corners) < FEWEST:
            self.report({"INFO"}, f"A mask needs {FEWEST} corners")
            return {"RUNNING_MODAL"}
        frames = footage_frames(picture.take)
        if frames is None:
            return {"CANCELLED"}
        head = carried.head_matrix(picture.take, context.evaluated_depsgraph_get())
        pixels = np.array(self.corners)
        places = np.zeros((len(pixels), 3))
        if head is not None:
            places = carried.beside_head(picture.eye, head, carried.face_middle(picture.take), pixels)
        corners = [(pixel, tuple(place)) for pixel, place in zip(self.corners, places.tolist(), strict=True)]
        hidden = _frames(context, frames, picture.number)
        corrections.add_mask(picture.take, picture.view, hidden, picture.number, corners)
        return {"FINISHED"}

    def leave(self, context: Any, result: set[str]) -> set[str]:
        """Draw nothing that is not kept."""
        drawing.outlined = None
        return super().leave(context, result)


class FLOWFACE_OT_mask_add(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Ignore the whole picture of this view, in the frames of the preview range, else in the one that is shown"""

    bl_idname = "flowface.mask_add"
    bl_label = "Mask Picture"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The picture must be in sight."""
        reason = missing(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: Any) -> set[str]:
        """Add it."""
        take = takes.shown_take(context)
        frames, picture = footage_frames(take), picture_of(context, take, context.evaluated_depsgraph_get())
        if frames is None or picture is None:
            return {"CANCELLED"}
        hidden = _frames(context, frames, picture.number)
        corrections.add_mask(take, picture.view, hidden, picture.number)
        redraw()
        return {"FINISHED"}


def _chosen(context: Any) -> Any | None:
    """The mask that is chosen in the list."""
    take = takes.shown_take(context)
    kept = corrections.corrections_of(take) if take is not None else None
    there = kept is not None and 0 <= kept.active_mask < len(kept.masks)
    return kept.masks[kept.active_mask] if kept is not None and there else None


class _OnMask(OnTake):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one."""
        return _chosen(context) is not None


class FLOWFACE_OT_mask_go(_OnMask, bpy.types.Operator):  # type: ignore[misc]
    """Go to the frame on which the chosen mask was drawn and look through its camera"""

    bl_idname = "flowface.mask_go"
    bl_label = "Go to Mask"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Go there."""
        mask, frames = _chosen(context), footage_frames(takes.shown_take(context))
        frame = frames.frame_of(mask.drawn_at) if frames is not None and mask is not None else None
        if mask is None or frame is None:
            self.report({"WARNING"}, "The take no longer has this mask's frame")
            return {"CANCELLED"}
        context.scene.frame_set(frame)
        bpy.ops.flowface.look_through(view=mask.view)
        redraw()
        return {"FINISHED"}


class FLOWFACE_OT_mask_remove(_OnMask, bpy.types.Operator):  # type: ignore[misc]
    """Remove the chosen mask. The next refinement is made without it"""

    bl_idname = "flowface.mask_remove"
    bl_label = "Remove Mask"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        kept = corrections.corrections_of(takes.shown_take(context))
        kept.masks.remove(kept.active_mask)
        kept.active_mask = max(0, min(kept.active_mask, len(kept.masks) - 1))
        redraw()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_mask_draw, FLOWFACE_OT_mask_add, FLOWFACE_OT_mask_go, FLOWFACE_OT_mask_remove)
