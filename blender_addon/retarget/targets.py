"""The characters of a scene that follow takes: which one is chosen, added, taken away, and made editable."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import ownership
from . import bake, character_objects, drive, properties
from .bones import rig_presets
from .drive import CannotDrive
from .matching.guess import by_names


def settings_of(scene: Any) -> Any:
    """The ``FlowFaceRetarget`` of a scene."""
    return getattr(scene, properties.NAME)


def chosen(scene: Any) -> Any:
    """The character that is chosen in the list; None where there is none."""
    held = settings_of(scene)
    return held.targets[held.active] if 0 <= held.active < len(held.targets) else None


def link_of(target: Any) -> Any | None:
    """The link to a shape key that is chosen in a character's table."""
    return target.keys[target.active_key] if 0 <= target.active_key < len(target.keys) else None


def candidates(context: Any) -> list[Any]:
    """The selected objects, the active one last, that can be characters: meshes and armatures of no take.

    Of an empty that shows a collection of another file it is the meshes with shape keys in there.
    """
    takes = {obj for take in ownership.takes_of(context.scene) for obj in take.all_objects}
    active = context.active_object
    found = [obj for obj in context.selected_objects if obj != active]
    if active is not None and (active.select_get() or not found):
        found.append(active)
    inside = [
        obj
        for empty in found
        if empty.instance_type == "COLLECTION" and empty.instance_collection is not None
        for obj in empty.instance_collection.all_objects
        if getattr(obj.data, "shape_keys", None) is not None
    ]
    return [obj for obj in [*found, *inside] if obj.type in ("MESH", "ARMATURE") and obj not in takes]


def add(scene: Any, obj: Any, head: Any) -> Any:
    """A new target that follows a head, with its keys mapped whose names say which action they are. It is not live yet.

    An armature whose bones a preset knows gets that.

    Raises:
        CannotDrive: the character is in this or another scene's list already.
    """
    held = settings_of(scene)
    for index, target in enumerate(held.targets):
        if target.object == obj:
            held.active = index
            raise CannotDrive(f"“{obj.name}” is in the list already. Choose another source for it there.")
        if obj.type == "MESH" and target.object is not None and target.object.data == obj.data:
            held.active = index
            raise CannotDrive(f"“{obj.name}” has the same mesh as “{target.object.name}”, with which it moves.")
    for other in bpy.data.scenes:  # shape keys are animated once for all scenes
        if other != scene and any(one.object == obj for one in settings_of(other).targets):
            raise CannotDrive(
                f"“{obj.name}” is in the list of the scene “{other.name}” already. Remove it there first."
            )
    target = held.targets.add()
    target.object, target.source = obj, head
    held.active = len(held.targets) - 1
    mapping = rig_presets.guess(obj) if obj.type == "ARMATURE" else by_names(obj)
    properties.write_mapping(target, mapping)
    return target


def others_of_character(target: Any) -> list[Any]:
    """The further meshes of the list that are of a target's character, as eyes and teeth are, and follow the same."""
    if target.object is None:
        return []
    meshes = character_objects.meshes_of(target.object)
    others = settings_of(target.id_data).targets
    return [one for one in others if one != target and one.source == target.source and one.object in meshes]


def remove(scene: Any, index: int, *, keep_baked: bool = False) -> None:
    """Take a character off the list; it gets back what it had, but for baked keys that are to be kept."""
    held = settings_of(scene)
    target = held.targets[index]
    drive.go_off(target)
    if not keep_baked:
        bake.unbake(target)
    before = target.before
    held.targets.remove(index)
    if before is not None and not before.users and before.library is None:
        before.use_fake_user = True  # else the next file would not have the character's own Action any more
    held.active = max(0, min(held.active, len(held.targets) - 1))


def needs_override(target: Any) -> bool:
    """True where a character is linked from another file, so that it can only be driven by way of an override."""
    obj = target.object
    return obj is not None and (obj.library is not None or (obj.type == "MESH" and obj.data.library is not None))


def make_override(context: Any, target: Any) -> Any:
    """Make library overrides of a linked character and of its mesh, so that it can be driven; returns the object.

    Where an empty shows the character's collection, the whole collection is overridden in its place.

    Raises:
        CannotDrive: Blender cannot make one.
    """
    obj = target.object
    if drive.is_gone(obj):
        raise CannotDrive("This character was deleted. Remove it from the list.")
    if obj.library is not None:
        target.object = obj = _overridden(context, obj)
    if needs_override(target) and obj.data.override_create(remap_local_usages=True) is None:
        raise CannotDrive(f"Blender cannot make a library override of the mesh of “{obj.name}”.")
    return obj


def _overridden(context: Any, obj: Any) -> Any:
    empty = next(
        (
            shown
            for shown in context.scene.objects
            if shown.instance_collection is not None
            and shown.instance_collection.library is not None
            and obj.name in shown.instance_collection.all_objects
        ),
        None,
    )
    scene, layer = context.scene, context.view_layer
    if empty is not None:
        empty.instance_collection.override_hierarchy_create(scene, layer, reference=empty, do_fully_editable=True)
    else:
        obj.override_hierarchy_create(scene, layer, do_fully_editable=True)
    made = [
        one for one in bpy.data.objects if one.override_library is not None and one.override_library.reference == obj
    ]
    if not made:
        raise CannotDrive(f"Blender cannot make a library override of “{obj.name}”.")
    return made[-1]
