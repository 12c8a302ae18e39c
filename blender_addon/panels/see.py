"""The part of the panel for judging a take: what is seen and heard of its footage."""

from __future__ import annotations

from typing import Any

import bpy

from .. import take_properties
from ..on_take import OnTake
from ..scene import head_display, landmarks, skin_texture, takes, wrinkles
from ..scene.ownership import ShownView
from .sidebar import InMainPanel
from .text import draw_text


class FLOWFACE_PT_see(OnTake, InMainPanel, bpy.types.Panel):  # type: ignore[misc]
    """The footage beside the take."""

    bl_idname = "FLOWFACE_PT_see"
    bl_label = "See"

    def draw(self, context: Any) -> None:
        """The camera, its footage, the head before it, and the sound."""
        take = takes.shown_take(context)
        _draw_footage(self.layout, context, take, head_display.seen_view(context.scene, take))
        column = self.layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(take, take_properties.HEAD_DISPLAY)
        if skin_texture.is_textured(take):
            column.prop(take, take_properties.TEXTURE)
        _draw_wrinkles(column, context, take)
        _draw_lines(column, take)
        column.prop(take, take_properties.STRIP)
        self.layout.operator("flowface.add_sound", icon="SOUND")


def _draw_footage(layout: Any, context: Any, take: Any, view: ShownView | None) -> None:
    """Blender's own settings of the picture behind the camera: the user finds the same ones there."""
    if view is None:
        draw_text(layout, "This take has no camera any more.", context.region.width)
        return
    shown = view.camera == context.scene.camera
    icon = "OUTLINER_OB_CAMERA" if shown else "CAMERA_DATA"
    layout.operator("flowface.look_through", text=f"Look Through {view.name}", icon=icon).view = view.name
    camera = view.camera.data
    if not len(camera.background_images):
        draw_text(layout, "Its footage cannot be read from here.", context.region.width)
        return
    background = camera.background_images[0]
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(camera, "show_background_images", text="Footage")
    column.prop(take, take_properties.PLATE)
    column = column.column()
    column.active = camera.show_background_images
    column.prop(background, "alpha", text="Strength", slider=True)
    column.prop(background, "display_depth", text="Depth")


def _draw_wrinkles(layout: Any, context: Any, take: Any) -> None:
    """Whether wrinkles are shown, how deep and how fine; where there are none, how to come by some."""
    has_some = wrinkles.is_wrinkled(take)
    row = layout.row()
    row.enabled = has_some
    row.prop(take, take_properties.WRINKLES)
    if has_some:
        column = layout.column()
        column.active = wrinkles.is_shown(take)
        column.prop(take, take_properties.WRINKLE_STRENGTH, slider=True)
        column.prop(take, take_properties.WRINKLE_LEVEL)
        column.prop(take, take_properties.WRINKLE_RENDER_LEVEL)
    else:
        draw_text(layout, "Track with Wrinkles on to have this person's.", context.region.width)
    if wrinkles.sources(context.scene, take):
        layout.operator_menu_enum("flowface.use_wrinkles", "source", text="Use Wrinkles Of")


def _draw_lines(layout: Any, take: Any) -> None:
    """What is drawn over the footage; nothing is of a hidden head, which Blender does not evaluate."""
    column = layout.column(heading="Over Footage")
    column.active = head_display.display_of(take) != head_display.HIDDEN
    column.prop(take, take_properties.WIREFRAME)
    row = column.row()
    row.enabled = landmarks.kept_by(take)
    row.prop(take, take_properties.LANDMARKS)
    row = column.row()
    row.enabled = landmarks.kept_by(take)
    row.prop(take, take_properties.ERROR)


CLASSES = (FLOWFACE_PT_see,)
