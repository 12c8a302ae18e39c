"""What operators that are about a character have in common."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import targets


class OnTarget:
    """An operator that is there for the character that is chosen in the list."""

    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one."""
        if targets.chosen(context.scene) is None:
            cls.poll_message_set("Add a character first")  # type: ignore[attr-defined]
            return False
        return True


class OnTargets(OnTarget):
    """An operator that is there for the character that is chosen, and for all at once."""

    every: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="All", description="All characters of the list", options={"SKIP_SAVE", "HIDDEN"}
    )

    def meant(self, context: Any) -> list[Any]:
        """The characters that it is about."""
        scene = context.scene
        return list(targets.settings_of(scene).targets) if self.every else [targets.chosen(scene)]

    def told(self, done: int, problem: str) -> set[str]:
        """The result, with what is wrong with one that was left out."""
        if problem:
            self.report({"WARNING" if done else "ERROR"}, problem)  # type: ignore[attr-defined]
        return {"FINISHED"} if done else {"CANCELLED"}
