"""What operators and panels that are about a take have in common."""

from __future__ import annotations

from typing import Any

from .scene import takes


class OnTake:
    """An operator or a panel that is there for the take that is meant (see ``takes.shown_take``)."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take."""
        return takes.shown_take(context) is not None
