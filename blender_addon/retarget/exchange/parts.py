"""Which objects a character consists of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...scene import ownership
from .. import source
from ..character_objects import armatures_of, parents_of


def parts_of(obj: Any, scene: Any, view_layer: Any) -> list[Any]:
    """The armatures and then the meshes of a character, of which ``obj`` is one: what is hidden is left out.

    They are the armatures that deform ``obj`` or are above it, and all meshes that these or ``obj`` itself deform or
    have below them. Of a take they are its head and its armature.
    """
    take = source.take_of(obj)
    if take is not None:
        found = (ownership.member(take, ownership.ARMATURE), obj)
        return [part for part in found if part is not None and part.visible_get(view_layer=view_layer)]
    rigs = {obj} if obj.type == "ARMATURE" else set(armatures_of(obj))
    meshes = [
        other
        for other in scene.objects
        if other.type == "MESH" and (other == obj or rigs & set(armatures_of(other)) or obj in parents_of(other))
    ]
    ordered = [other for other in scene.objects if other in rigs]
    return [part for part in (*ordered, *meshes) if part.visible_get(view_layer=view_layer)]


def rig_of(obj: Any, among: Iterable[Any]) -> Any | None:
    """The one of some armatures that deforms an object or is above it."""
    candidates = set(among)
    return next((rig for rig in armatures_of(obj) if rig in candidates), None)
