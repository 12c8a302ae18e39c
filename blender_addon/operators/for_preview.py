"""What operators have in common that make a preview."""

from __future__ import annotations

from typing import Any

from .. import building
from ..retarget.preview import side_by_side


class ForPreview:
    """An operator that makes a preview, or makes it anew."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Nothing is built into a render, nor from what is being edited."""
        if building.rendering():
            cls.poll_message_set("A render is under way")  # type: ignore[attr-defined]
            return False
        if context.mode != "OBJECT" and not side_by_side.is_preview(context.scene):
            cls.poll_message_set("Go to Object Mode first")  # type: ignore[attr-defined]
            return False
        return True
