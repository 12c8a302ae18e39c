"""Operators that take clicks in the picture of a take's view, in a viewport that looks through its camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import bpy
import numpy as np

from .scene import ownership as replace
from .scene import takes
from .scene.footage_frames import footage_frames
from .scene.picture_lines import Eye, eye_of
from .scene.projected import Projected, projected


@dataclass(frozen=True, eq=False)
class Picture:
    """The picture of a take's view as a viewport shows it now: frame ``number`` of the footage."""

    take: Any
    view: str
    number: int
    eye: Eye
    size: tuple[int, int]
    shown: Projected


def seen_view(context: Any, take: Any) -> replace.ShownView | None:
    """The view of a take through whose camera the viewport looks; None where it does not."""
    area, camera = context.area, context.scene.camera
    if area is None or area.type != "VIEW_3D" or area.spaces.active.region_3d.view_perspective != "CAMERA":
        return None
    return next((view for view in replace.shown_views(take) if camera is not None and view.camera == camera), None)


def missing(context: Any) -> str:
    """What a click in the picture needs and does not have, in a sentence; "" where nothing."""
    take = takes.shown_take(context)
    if take is None:
        return "Track a take first"
    if seen_view(context, take) is None:
        return "Look through one of the take's cameras first"
    frames = footage_frames(take)
    if frames is None or frames.number_at(context.scene.frame_current_final) is None:
        return "Go to a frame of the take first"
    return ""


def picture_of(context: Any, take: Any, depsgraph: Any) -> Picture | None:
    """The picture that the viewport of a context shows of a take; None where it shows none."""
    view, frames = seen_view(context, take), footage_frames(take)
    number = frames.number_at(context.scene.frame_current_final) if frames is not None else None
    if view is None or number is None:
        return None
    render, area = context.scene.render, context.area
    size = view.size or (render.resolution_x, render.resolution_y)
    eye = eye_of(view.camera, size, depsgraph)
    region = window_region(area)
    perspective = area.spaces.active.region_3d.perspective_matrix
    shown = projected(eye, size, perspective, region.width, region.height)
    return Picture(take, view.name, number, eye, size, shown)


def window_region(area: Any) -> Any:
    """The main region of an area."""
    return next(region for region in area.regions if region.type == "WINDOW")


def redraw() -> None:
    """Have all viewports drawn anew, their sidebars too."""
    for area in _viewports(bpy.context.window_manager.windows):
        area.tag_redraw()


def _viewports(windows: Any) -> Iterator[Any]:
    return (area for window in windows for area in window.screen.areas if area.type == "VIEW_3D")


class InPicture:
    """An operator that runs until the user has done something in the picture, and leaves playing and zooming alone.

    ``event`` handles what is done there and returns what the operator is to return, None to go on.
    """

    cursor: ClassVar[str] = "CROSSHAIR"
    help: ClassVar[str] = ""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The picture must be in sight."""
        reason = missing(context)
        if reason:
            cls.poll_message_set(reason)  # type: ignore[attr-defined]
        return not reason

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Wait for the user."""
        self.take = takes.shown_take(context).name  # after an undo the collection itself is another one
        context.window.cursor_modal_set(self.cursor)
        context.workspace.status_text_set(self.help)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        """Pass on to ``event`` what happens in the picture."""
        if event.type in ("ESC", "RIGHTMOUSE"):
            return self.leave(context, {"CANCELLED"})
        picture = self.picture(context)
        if picture is None:
            self.report({"INFO"}, "The picture is no longer in sight")  # type: ignore[attr-defined]
            return self.leave(context, {"CANCELLED"})
        result = self.event(context, event, picture)
        return result if not result & {"FINISHED", "CANCELLED"} else self.leave(context, result)

    def event(self, context: Any, event: Any, picture: Picture) -> set[str]:
        """Do what an event asks for."""
        raise NotImplementedError

    def cancel(self, context: Any) -> None:
        """Blender ends the operator, as on opening another file."""
        self.leave(context, set())

    def leave(self, context: Any, result: set[str]) -> set[str]:
        """End it."""
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        redraw()
        return result

    def picture(self, context: Any) -> Picture | None:
        """The picture in sight, of the take that was meant when the operator began."""
        take = next((take for take in replace.takes_of(context.scene) if take.name == self.take), None)
        return picture_of(context, take, context.evaluated_depsgraph_get()) if take is not None else None

    @staticmethod
    def pixel(context: Any, event: Any, picture: Picture) -> tuple[float, float]:
        """The pixel of the picture under the mouse, which may be outside of it."""
        region = window_region(context.area)
        place = np.array([(event.mouse_x - region.x, event.mouse_y - region.y)], np.float64)
        x, y = picture.shown.to_pixels(place)[0]
        return float(x), float(y)

    @staticmethod
    def over(context: Any, event: Any) -> bool:
        """True where the mouse is over the picture's region, and over nothing that lies on it."""
        for region in context.area.regions:
            inside = 0 <= event.mouse_x - region.x < region.width and 0 <= event.mouse_y - region.y < region.height
            if region.type != "WINDOW" and inside and region.width > 1 and region.height > 1:
                return False
        window = window_region(context.area)
        return bool(0 <= event.mouse_x - window.x < window.width and 0 <= event.mouse_y - window.y < window.height)
