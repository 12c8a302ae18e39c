"""See footage, the actor's head and the characters it drives side by side, and go back."""

from __future__ import annotations

import json
import math
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import building
from ..retarget import properties
from ..retarget.preview import side_by_side
from ..scene import takes
from .for_preview import ForPreview

VIEWS = "flowface_preview_views"
"""Of a preview: how the viewports looked in which it is seen, as JSON."""
OVERLAYS = "show_overlays"
FILLED = 0.97
"""Of the width that a viewport has beside its toolbar and sidebar."""
_changed: list[dict[str, Any]] = []
"""How viewports looked before a preview was seen in them, for undo, which knows of no viewports."""


class FLOWFACE_OT_retarget_preview(ForPreview, bpy.types.Operator):  # type: ignore[misc]
    """Show footage, the tracked head and all characters that it drives side by side, in a scene of their own that \
plays with the timeline; pressed again it shows what is there by now"""

    bl_idname = "flowface.retarget_preview"
    bl_label = "Preview"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Make it, or make it anew, and show it in this window."""
        try:
            preview = made(context)
        except side_by_side.NothingToShow as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        window = context.window
        if window is not None and (window.scene != preview or not _changed):
            if window.scene != preview:
                preview.frame_current = window.scene.frame_current
                window.scene = preview
            look_at(window, preview)
        if not side_by_side.has_sound(preview):
            self.report({"INFO"}, "There is no sound that fits the footage as it plays here")
        return {"FINISHED"}


class FLOWFACE_OT_retarget_preview_close(bpy.types.Operator):  # type: ignore[misc]
    """Go back to the scene, at the frame that is seen here, and remove the preview"""

    bl_idname = "flowface.retarget_preview_close"
    bl_label = "Close Preview"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """This scene is a preview or has one, which is not being rendered."""
        return not building.rendering() and _preview_of(context.scene) is not None

    def execute(self, context: Any) -> set[str]:
        """Leave it in all windows, then remove it."""
        preview: Any = _preview_of(context.scene)
        home = side_by_side.shown_scene(preview)
        if home is None:
            home = next((scene for scene in bpy.data.scenes if not side_by_side.is_preview(scene)), None)
        if home is None:
            self.report({"WARNING"}, "There is no other scene to go back to")
            return {"CANCELLED"}
        seen = [window for window in context.window_manager.windows if window.scene == preview]
        for window in seen:
            window.scene = home
        if seen and home.frame_current != preview.frame_current:
            home.frame_set(preview.frame_current)
        give_back(preview)
        side_by_side.remove(preview)
        return {"FINISHED"}


def made(context: Any) -> Any:
    """The preview of this scene, or this preview, made anew.

    Raises:
        NothingToShow: says why.
    """
    home, take = side_by_side.shown_scene(context.scene), None
    if home is None:
        home, take = context.scene, takes.shown_take(context)
    return side_by_side.show(home, take, still=getattr(home, properties.NAME).preview_still)


def _preview_of(scene: Any) -> Any | None:
    return scene if side_by_side.is_preview(scene) else side_by_side.preview_of(scene)


def look_at(window: Any, preview: Any) -> None:
    """Show a preview in the largest viewport of a window, and keep in it how that one looked."""
    areas = [(area.width * area.height, number) for number, area in enumerate(window.screen.areas) if _is_view(area)]
    if not areas:
        return
    _, number = max(areas)
    space = window.screen.areas[number].spaces.active
    shading = {name: _plain(getattr(space.shading, name)) for name in ("type", *side_by_side.SHADING)}
    before = {
        "screen": window.screen.name,
        "area": number,
        "perspective": space.region_3d.view_perspective,
        "zoom": space.region_3d.view_camera_zoom,
        "offset": tuple(space.region_3d.view_camera_offset),
        OVERLAYS: space.overlay.show_overlays,
        "shading": shading,
    }
    preview[VIEWS] = json.dumps([*json.loads(preview.get(VIEWS, "[]")), before])
    _changed.append(before)
    space.region_3d.view_perspective, space.overlay.show_overlays = "CAMERA", False
    _fit(window.screen.areas[number], space.region_3d)
    space.shading.type = "SOLID"
    side_by_side.shade(space.shading)


def _fit(area: Any, view: Any) -> None:
    """Let the camera's picture fill what toolbar and sidebar leave of a viewport."""
    across = {region.type: region.width for region in area.regions if region.alignment in ("LEFT", "RIGHT", "NONE")}
    whole = max(across.get("WINDOW", 0), 1)
    left, right = (across.get(kind, 0) if across.get(kind, 0) > 1 else 0 for kind in ("TOOLS", "UI"))
    part = max(FILLED * (whole - left - right) / whole, 0.2)
    view.view_camera_zoom = 50.0 * (2.0 * math.sqrt(part) - math.sqrt(2.0))  # the picture is so much of the viewport
    view.view_camera_offset = ((right - left) / (4.0 * part * whole), 0.0)


def give_back(preview: Any) -> None:
    """Let the viewports in which a preview was seen look as they did before."""
    _restore(json.loads(preview.pop(VIEWS, "[]")))


@persistent  # type: ignore[untyped-decorator]
def on_undone(*_: Any) -> None:
    """An undo step has taken the preview away, and left the viewports as they were in it."""
    if _changed and not any(side_by_side.is_preview(scene) for scene in bpy.data.scenes):
        _restore(_changed)


@persistent  # type: ignore[untyped-decorator]
def on_file_opened(*_: Any) -> None:
    """Another file has other viewports."""
    _changed.clear()


def _restore(views: list[dict[str, Any]]) -> None:
    for before in reversed(views):
        screen = bpy.data.screens.get(before["screen"])
        area = screen.areas[before["area"]] if screen is not None and before["area"] < len(screen.areas) else None
        if area is None or not _is_view(area):
            continue
        space = area.spaces.active
        if space.region_3d.view_perspective == "CAMERA":
            space.region_3d.view_perspective = before["perspective"]
        space.region_3d.view_camera_zoom, space.region_3d.view_camera_offset = before["zoom"], before["offset"]
        space.overlay.show_overlays = before[OVERLAYS]
        for name, value in before["shading"].items():
            setattr(space.shading, name, value)
    _changed.clear()


def _is_view(area: Any) -> bool:
    return bool(area.type == "VIEW_3D")


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, bool, int, float)) else tuple(value)


HANDLERS = {"undo_post": on_undone, "load_post": on_file_opened}
CLASSES = (FLOWFACE_OT_retarget_preview, FLOWFACE_OT_retarget_preview_close)
