"""How a take's head is drawn in viewports: so that the footage behind it can be judged; renders stay as they are."""

from __future__ import annotations

from typing import Any

from . import ownership as replace

OPAQUE, WIRE, HIDDEN = "OPAQUE", "WIRE", "HIDDEN"
DISPLAYS = (
    (OPAQUE, "Opaque", "Draw the head as the viewport's shading has it"),
    (WIRE, "Wire", "Draw the edges of the head only, so that the footage shows through"),
    (HIDDEN, "Hidden", "Do not draw the head in viewports; renders still have it"),
)
"""Identifier, name and description of each way."""
BEFORE = "flowface_head_display_before"
"""Of a take's collection: the display type that the user had for an opaque head, while it is drawn as wire."""
SEE_THROUGH = ("WIRE", "BOUNDS")
DEFAULT = "TEXTURED"


def display_of(take: Any) -> str:
    """How the head is drawn now, whoever has set it."""
    head = replace.member(take, replace.HEAD)
    if head is None or head.hide_viewport:
        return HIDDEN
    return WIRE if head.display_type in SEE_THROUGH else OPAQUE


def set_display(take: Any, display: str) -> None:
    """Draw the head one of ``DISPLAYS``; opaque is as the user had it before."""
    head = replace.member(take, replace.HEAD)
    if head is None:
        return
    see_through = head.display_type in SEE_THROUGH
    head.hide_viewport = display == HIDDEN
    if display == WIRE and not see_through:
        take[BEFORE] = head.display_type
        head.display_type = "WIRE"
    elif display == OPAQUE and see_through:
        head.display_type = take.get(BEFORE, DEFAULT)
        if BEFORE in take:
            del take[BEFORE]


def seen_view(scene: Any, take: Any) -> replace.ShownView | None:
    """The view through which a take is judged: the scene camera's, else its first that has a camera in the file."""
    views = [view for view in replace.shown_views(take) if view.camera is not None]
    return next((view for view in views if view.camera == scene.camera), views[0] if views else None)
