"""Match a character's shape keys to ARKit's actions: by a preset, by names, and by what they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy

from ..retarget import files, properties, targets
from ..retarget.mapping import BadMapping, KeyLink
from ..retarget.matching.guess import Guess, guess
from .on_target import OnTarget
from .waiting import waiting

AUTOMATIC, NAMES, MOTION = "AUTOMATIC", "NAMES", "MOTION"
_WAYS = (
    (AUTOMATIC, "Automatic", "By the preset of its naming family, then by single names, then by what the keys move"),
    (NAMES, "Names", "By names alone"),
    (MOTION, "What They Move", "By what the keys move alone, compared with the source's actions; names do not count"),
)
_SHOWN = 10
_items: list[tuple[str, str, str]] = []  # Blender does not own the strings of a dynamic enum


def _ways(_operator: Any, _context: Any) -> list[tuple[str, str, str]]:
    if not _items:
        _items.extend(_WAYS)
        presets = [(name, preset) for name, preset in files.presets().items() if preset.keys]
        _items.extend((name, preset.name, f"The keys that {preset.name} has") for name, preset in presets)
    return _items


class FLOWFACE_OT_retarget_match(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Find which of the character's shape keys are which of ARKit's 52 actions, and link them"""

    bl_idname = "flowface.retarget_match"
    bl_label = "Match Shape Keys"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender reads it from the class

    way: bpy.props.EnumProperty(name="By", description="How keys are told", items=_ways)  # type: ignore[valid-type]
    keep: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Keep Links", description="Leave links as they are, and add only for actions and keys without one"
    )

    def execute(self, context: Any) -> set[str]:
        """Match, and say what was found, what to look at and what is unmapped."""
        target = targets.chosen(context.scene)
        if target.object is None or target.object.type != "MESH":
            self.report({"WARNING"}, "Only meshes have shape keys: choose one, or record poses of the bones")
            return {"CANCELLED"}
        try:
            with waiting(context):  # by motion it takes seconds
                found = self._guess(target)
        except BadMapping as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        if not found.mapping.keys:
            self.report({"WARNING"}, _nothing(target, self.way))
            return {"CANCELLED"}
        before = properties.mapping_of(target)
        links = _joined(before.keys, found.mapping.keys) if self.keep else found.mapping.keys
        named = before.name if self.keep and before.keys else found.mapping.name
        mapping = replace(before, name=named, keys=links)
        properties.write_mapping(target, mapping)
        for words in sentences(found, mapping.unmapped()):
            self.report({"INFO"}, words)
        return {"FINISHED"}

    def _guess(self, target: Any) -> Guess:
        if self.way in (AUTOMATIC, NAMES, MOTION):
            return guess(target.object, target.source, by_names=self.way != MOTION, by_motion=self.way != NAMES)
        return guess(target.object, target.source, preset=self.way)


def sentences(found: Guess, unmapped: Sequence[str]) -> list[str]:
    """What a match says of itself: the last one is what the status bar shows."""
    counts = {"as the preset has it": "preset", "by name": "name", "by what they move": "motion"}
    told = [f"{len(found.actions_by(how))} {words}" for words, how in counts.items() if found.actions_by(how)]  # type: ignore[arg-type]
    out = []
    if found.unmapped_keys:
        out.append(f"Shape keys that no action moves: {_some(found.unmapped_keys)}")
    if found.doubtful:
        out.append(f"Look at these, which are less sure: {_some(found.doubtful)}")
    if found.named_from_front:
        out.append("Its keys' names call left what is the character's right: they are linked to the sides they move")
    rest = f". Unmapped: {_some(unmapped)}" if unmapped else ""
    return [*out, f"{52 - len(unmapped)} of 52 actions are mapped ({', '.join(told)}){rest}"]


def _nothing(target: Any, way: str) -> str:
    name = target.object.name
    if way not in (AUTOMATIC, NAMES, MOTION):
        return f"“{name}” has none of the keys of {files.presets()[way].name}"
    if target.source is None and way != NAMES:
        return f"The names of “{name}”'s keys tell nothing: choose the head that it follows, to compare what they move"
    return f"No shape key of “{name}” was told: link them by hand"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _joined(before: Sequence[KeyLink], found: Sequence[KeyLink]) -> tuple[KeyLink, ...]:
    """The links that there are, and those found of actions and keys that they leave."""
    actions, keys = {link.action for link in before}, {link.key for link in before}
    return (*before, *(link for link in found if link.action not in actions and link.key not in keys))


CLASSES = (FLOWFACE_OT_retarget_match,)
