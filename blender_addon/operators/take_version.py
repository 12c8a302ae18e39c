"""Switch a take to another of its versions, or delete the one that is shown."""

from __future__ import annotations

from typing import Any

import bpy

from ..choices import kept_text
from ..scene import actors, ghost, retime, takes
from ..scene import versions_of_take as versions


def _items(_operator: Any, context: Any) -> list[tuple[str, str, str, int]]:
    take = takes.shown_take(context) if context is not None else None
    found = versions.all_of(take) if take is not None else []
    return [
        (kept_text(str(version.number)), kept_text(_title(version)), kept_text(_about(version)), version.number)
        for version in reversed(found)
    ]


def _title(version: versions.Version) -> str:
    frames = f"{version.frames[0]:g}–{version.frames[1]:g}"
    return f"{version.name} ({frames})"


def _about(version: versions.Version) -> str:
    when = version.date.replace("T", " ")[:16]
    return f"Made {when}. {version.notes}".removesuffix(".").strip()


class _OnVersions:
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    only_one = ""
    """What to say where the take has but one version."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be more than one, and nothing may be edited."""
        take = takes.shown_take(context)
        if take is None or len(versions.all_of(take)) < 2:
            cls.poll_message_set(cls.only_one)  # type: ignore[attr-defined]
            return False
        if take.library is not None:
            cls.poll_message_set("The take is linked from another file")  # type: ignore[attr-defined]
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")  # type: ignore[attr-defined]
            return False
        return True


def _show_anew(context: Any, take: Any) -> None:
    """Show the frame that is shown, of the version that is shown now."""
    retime.refresh_footage(take)
    context.scene.frame_set(context.scene.frame_current)


class FLOWFACE_OT_take_version(_OnVersions, bpy.types.Operator):  # type: ignore[misc]
    """Show another version of the take: its animation, its cameras and its shape. What you changed in this one stays \
in this one"""

    bl_idname = "flowface.take_version"
    bl_label = "Switch Version"
    only_one = "The take has only one version: each time it is tracked makes another"

    version: bpy.props.EnumProperty(name="Version", items=_items)  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Switch, and show the frame that is shown anew."""
        take = takes.shown_take(context)
        for changed in actors.switch(context, take, int(self.version)):
            shown = versions.current(changed)
            if shown is not None and ghost.shown_number(changed) == shown.number:
                ghost.remove(changed)
            _show_anew(context, changed)
        return {"FINISHED"}


class FLOWFACE_OT_take_version_delete(_OnVersions, bpy.types.Operator):  # type: ignore[misc]
    """Delete the version that is shown, with its Actions, and show the newest of the others"""

    bl_idname = "flowface.take_version_delete"
    bl_label = "Delete Version"
    only_one = "It is the take's only version: delete the take"

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask first."""
        shown = versions.current(takes.shown_take(context))
        name = shown.name if shown is not None else ""
        return set(
            context.window_manager.invoke_confirm(
                self, event, title="Delete Version", message=f"“{name}” and its Actions", confirm_text="Delete"
            )
        )

    def execute(self, context: Any) -> set[str]:
        """Delete it."""
        take = takes.shown_take(context)
        shown = versions.current(take)
        if shown is None:
            return {"CANCELLED"}
        takes.delete_version(context, take, shown.number)
        _show_anew(context, take)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_version, FLOWFACE_OT_take_version_delete)
