"""What operators that are about a character have in common."""

from __future__ import annotations

from typing import Any

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
