"""Held keys: what was changed by hand on a frame is handed back to the next refinement."""

from __future__ import annotations

from typing import Any

import bpy

from ..in_picture import redraw
from ..on_take import OnTake
from ..scene import corrections, held, takes
from ..scene.footage_frames import footage_frames


class FLOWFACE_OT_hold_frame(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Hand back what you changed on this frame: shape keys, eyes and head that are not as they were tracked, keyed or \
not. The next refinement holds to them and fits the frames around"""

    bl_idname = "flowface.hold_frame"
    bl_label = "Hold This Frame"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Hold what is not as it was tracked."""
        take, frame = takes.shown_take(context), context.scene.frame_current_final
        frames = footage_frames(take)
        number = frames.number_at(frame) if frames is not None else None
        if number is None:
            self.report({"WARNING"}, "Go to a frame of the take first")
            return {"CANCELLED"}
        if held.layered(take):
            self.report({"WARNING"}, "Layers lie over the curves of this take: switch them off in Curves first")
            return {"CANCELLED"}
        posed = held.knows_pose(take)
        found = held.changed(take, frame, posed=posed)
        if not found:
            what = "shape key, an eye or the head" if posed else "shape key or an eye"
            self.report({"WARNING"}, f"Nothing on this frame differs from the track: change a {what} first")
            return {"CANCELLED"}
        for change in found:
            corrections.hold_key(take, number, change.channel, change.value)
        self.report({"INFO"}, f"{len(found)} value{'s are' if len(found) > 1 else ' is'} held on frame {number}")
        redraw()
        return {"FINISHED"}


def _chosen(context: Any) -> Any | None:
    """The held key that is chosen in the list."""
    take = takes.shown_take(context)
    kept = corrections.corrections_of(take) if take is not None else None
    there = kept is not None and 0 <= kept.active_key < len(kept.held_keys)
    return kept.held_keys[kept.active_key] if kept is not None and there else None


class _OnKey(OnTake):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one."""
        return _chosen(context) is not None


class FLOWFACE_OT_held_key_go(_OnKey, bpy.types.Operator):  # type: ignore[misc]
    """Go to the frame of the chosen held key"""

    bl_idname = "flowface.held_key_go"
    bl_label = "Go to Held Key"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Go there."""
        key, frames = _chosen(context), footage_frames(takes.shown_take(context))
        frame = frames.frame_of(key.frame) if frames is not None and key is not None else None
        if frame is None:
            self.report({"WARNING"}, "The take no longer has this key's frame")
            return {"CANCELLED"}
        context.scene.frame_set(frame)
        return {"FINISHED"}


class FLOWFACE_OT_held_key_remove(_OnKey, bpy.types.Operator):  # type: ignore[misc]
    """Let go of the chosen held key. The next refinement is made without it"""

    bl_idname = "flowface.held_key_remove"
    bl_label = "Remove Held Key"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        kept = corrections.corrections_of(takes.shown_take(context))
        kept.held_keys.remove(kept.active_key)
        kept.active_key = max(0, min(kept.active_key, len(kept.held_keys) - 1))
        redraw()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_hold_frame, FLOWFACE_OT_held_key_go, FLOWFACE_OT_held_key_remove)
