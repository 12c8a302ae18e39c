"""The panel of the characters that follow takes, and the table of what of them each action moves."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import drive, kept, properties, source, targets
from ..scene import ownership
from .sidebar import InSidebar
from .text import draw_text

PARENT = "FLOWFACE_PT_retarget"
TWO_NAMES = 420
"""Pixels of a sidebar in which two names fit beside each other, at the interface's usual scale."""


class FLOWFACE_UL_retarget_targets(bpy.types.UIList):  # type: ignore[misc]
    """Characters, and whether they are live or baked."""

    def draw_item(
        self,
        _context: Any,
        layout: Any,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flags: int = 0,
    ) -> None:
        """A row of the list."""
        row = layout.row()
        if drive.is_gone(item.object):
            row.label(text="Deleted", icon="ERROR")
            return
        armature = item.object.type == "ARMATURE"
        row.label(text=item.object.name, icon="OUTLINER_OB_ARMATURE" if armature else "OUTLINER_OB_MESH")
        words = row.row()
        words.alignment, words.active = "RIGHT", False
        words.label(text="Live" if item.live else ("Baked" if item.baked is not None else ""))


class FLOWFACE_UL_retarget_keys(bpy.types.UIList):  # type: ignore[misc]
    """Links from actions to shape keys; the filter looks at both names. A narrow sidebar has room for one of them."""

    def draw_item(
        self,
        context: Any,
        layout: Any,
        data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flags: int = 0,
    ) -> None:
        """A row of the table."""
        keys = kept.keys_of(data)
        there = keys is not None and item.key in keys.key_blocks
        row = layout.row(align=True)
        row.active = not item.mute
        if context.region.width >= TWO_NAMES * context.preferences.system.ui_scale:
            split = row.split(factor=0.5, align=True)
            split.label(text=item.action)
            split.label(text=item.key or "No key", icon="FORWARD" if there else "ERROR")
        else:
            row.label(text=item.action, icon="NONE" if there else "ERROR")
        gain = row.row()
        gain.ui_units_x = 2.6
        gain.prop(item, "gain", text="", emboss=False)
        row.prop(item, "mute", text="", emboss=False, icon="HIDE_ON" if item.mute else "HIDE_OFF")

    def filter_items(self, _context: Any, data: Any, name: str) -> tuple[list[int], list[int]]:
        """Rows in whose action or key the words of the filter are."""
        wanted = self.filter_name.lower()
        shown = [wanted in f"{link.action} {link.key}".lower() for link in getattr(data, name)]
        return [self.bitflag_filter_item if here else 0 for here in shown], []


class FLOWFACE_PT_retarget(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Characters that follow takes."""

    bl_idname = PARENT
    bl_label = "Retarget"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take or a recording, or a character that follows something."""
        scene = context.scene
        followed = ownership.takes_of(scene) or source.recordings_of(scene)
        return bool(followed) or len(targets.settings_of(scene).targets) > 0

    def draw(self, context: Any) -> None:
        """The list, what the chosen one follows, live or baked."""
        held, target = targets.settings_of(context.scene), targets.chosen(context.scene)
        row = self.layout.row()
        rows = 2 if len(held.targets) < 3 else 4
        row.template_list("FLOWFACE_UL_retarget_targets", "", held, "targets", held, "active", rows=rows)
        buttons = row.column(align=True)
        buttons.operator("flowface.retarget_add", text="", icon="ADD")
        buttons.operator("flowface.retarget_remove", text="", icon="REMOVE")
        if target is None:
            words = "Select your character's mesh or armature, and add it here: it follows the take."
            draw_text(self.layout, words, context.region.width, "INFO")
        elif drive.is_gone(target.object):
            words = "This character was deleted. Remove it from the list."
            draw_text(self.layout, words, context.region.width, "ERROR")
        else:
            _draw_target(self.layout, target, context.region.width)
        if len(held.targets) > 1:
            row = self.layout.row(align=True)
            everyone = all(one.live for one in held.targets)
            row.operator("flowface.retarget_live", text="All Live", depress=everyone).every = True
            row.operator("flowface.retarget_bake", text="Bake All").every = True


def _draw_target(layout: Any, target: Any, width: int) -> None:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(target, "source")
    column.prop(target, "swap")
    if target.object.type == "MESH":
        layout.operator("flowface.retarget_match", icon="VIEWZOOM")
    problem = _problem(target)
    if problem:
        draw_text(layout, problem, width, "ERROR")
    if targets.needs_override(target):
        layout.operator("flowface.retarget_override", icon="LIBRARY_DATA_OVERRIDE")
    row = layout.row(align=True)
    row.operator("flowface.retarget_live", icon="LINKED" if target.live else "UNLINKED", depress=target.live)
    row.operator("flowface.retarget_bake", icon="KEYFRAME")
    if target.baked is not None:
        row.operator("flowface.retarget_unbake", text="", icon="X")


def _problem(target: Any) -> str:
    """Why the character cannot be driven, or is driven otherwise than its mapping says; "" where all is well."""
    try:
        drive.check(target)
    except drive.CannotDrive as problem:
        return str(problem)
    if target.problem:
        return f"Live is as it was before: {target.problem}"
    if drive.is_gone(target.source):
        return f"“{target.source.name}” was deleted from the scene. Choose another source."
    return ""


class FLOWFACE_PT_retarget_keys(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """The table of links to shape keys."""

    bl_idname = "FLOWFACE_PT_retarget_keys"
    bl_label = "Shape Keys"
    bl_parent_id = PARENT

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The chosen character must have shape keys, or links to some."""
        target = targets.chosen(context.scene)
        if target is None or drive.is_gone(target.object):
            return False
        return bool(kept.keys_of(target) is not None or len(target.keys) > 0)

    def draw(self, context: Any) -> None:
        """The table, its chosen link, and what moves nothing."""
        target, width = targets.chosen(context.scene), context.region.width
        row = self.layout.row()
        rows = 3 if len(target.keys) < 4 else 8
        row.template_list("FLOWFACE_UL_retarget_keys", "", target, "keys", target, "active_key", rows=rows)
        buttons = row.column(align=True)
        buttons.operator("flowface.retarget_link_add", text="", icon="ADD")
        buttons.operator("flowface.retarget_link_remove", text="", icon="REMOVE")
        link = targets.link_of(target)
        if link is not None:
            _draw_link(self.layout, link, kept.keys_of(target))
        missing = drive.missing_keys(target) if kept.keys_of(target) is not None else ()
        if missing:
            names = ", ".join(missing)
            draw_text(self.layout, f"“{target.object.name}” has no shape keys called {names}.", width, "ERROR")
        unmapped = properties.mapping_of(target).unmapped()
        if unmapped:
            draw_text(self.layout, unmapped_words(unmapped), width, "INFO")


def unmapped_words(actions: tuple[str, ...]) -> str:
    """A sentence on the actions that move nothing."""
    verb = "moves" if len(actions) == 1 else "move"
    return f"{len(actions)} of 52 actions {verb} nothing: {', '.join(actions)}."


def _draw_link(layout: Any, link: Any, keys: Any) -> None:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(link, "action")
    if keys is not None:
        column.prop_search(link, "key", keys, "key_blocks")
    else:
        column.prop(link, "key")
    numbers = column.column(align=True)
    numbers.prop(link, "gain")
    numbers.prop(link, "offset")
    numbers.prop(link, "low")
    numbers.prop(link, "high")


CLASSES = (FLOWFACE_UL_retarget_targets, FLOWFACE_UL_retarget_keys, FLOWFACE_PT_retarget, FLOWFACE_PT_retarget_keys)
