"""Takes as things: which one is meant, and what can be done to one as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import bpy

from . import corrections, footage, ghost, landmarks, plate, root
from . import ownership as replace
from . import versions_of_take as versions

_NUMBER = re.compile(r"\.\d{3,}$")
"""What Blender puts behind the name of a copy."""
SWITCH = "flowface_show_"
"""How the names of a take's switches begin that say what is drawn of it."""
SETTINGS, CHOSEN = "flowface", "take"
"""Where the settings of a scene hold the take that was chosen in the list."""


def shown_take(context: Any) -> Any:
    """The take that is meant: that of the active object, else the one chosen in the list, else that of the scene
    camera, else the first one."""
    takes = replace.takes_of(context.scene)
    chosen = getattr(getattr(context.scene, SETTINGS, None), CHOSEN, None)
    for obj in (context.active_object, chosen, context.scene.camera):
        for take in takes:
            if obj is not None and (obj == take or _belongs(take, obj)):
                return take
    return takes[0] if takes else None


def _belongs(take: Any, obj: Any) -> bool:
    return any(obj == take.get(key) for key in take.keys())  # noqa: SIM118 - iteration is over its objects


def show_only(scene: Any, take: Any) -> bool:
    """Hide all takes but one; all are shown where that one is alone already. Returns whether it is alone now.

    All heads of the take are shown with it.
    """
    take = replace.main_of(take)
    others = [other for other in replace.whole_takes_of(scene) if other != take]
    alone = not take.hide_viewport and all(other.hide_viewport and other.hide_render for other in others)
    for other in (take, *others):
        other.hide_viewport = other.hide_render = other != take and not alone
    return not alone


def rename(take: Any, name: str) -> None:
    """Call a take something else, and what was called after it; what the user named himself keeps its name."""
    old = take.name
    if not name or name == old or take.library is not None:
        return
    further = [(actor, actor.name[len(old) :]) for actor in replace.actors_of(take) if actor.name.startswith(f"{old} ")]
    take.name = name
    for actor, rest in further:
        rename(actor, take.name + rest)
    for block in _blocks(take):
        if block.name == old or block.name.startswith(f"{old} "):
            block.name = take.name + block.name[len(old) :]


def _blocks(take: Any) -> list[Any]:
    """The data-blocks that were made for a take: objects, their data, shape keys, materials and Actions."""
    found: list[Any] = []
    for obj in replace.built(take).values():
        found += [obj, obj.data, getattr(obj.data, "shape_keys", None)]
        found.append(obj.animation_data.action if obj.animation_data is not None else None)
        found += [material for material in _materials(obj) if material.get(replace.TAKE_KEY)]
    found += [action for data in take.get(versions.RECORD, {}).values() for action in data["actions"].values()]
    return list(dict.fromkeys(block for block in found if block is not None))


def _materials(obj: Any) -> list[Any]:
    return [slot.material for slot in obj.material_slots if slot.material is not None]


def delete(take: Any) -> None:
    """Remove a take with all its versions; objects that the user put into its collection or on its head stay.

    They stay where they are, in the collections that the take's own was in. The further heads of a take go with it;
    one of them alone leaves the take and its other heads.
    """
    for actor in replace.actors_of(take):
        delete(actor)
    plate.remove(take)
    ghost.remove(take)
    built = set(replace.built(take).values())
    for obj in list(bpy.data.objects):
        if obj.parent in built and obj not in built:
            world = obj.matrix_world.copy()
            obj.parent = None
            obj.matrix_world = world
    kept = [obj for obj in take.objects if obj not in built]
    for holder in _holders(take):
        for obj in kept:
            if obj.name not in holder.objects:
                holder.objects.link(obj)
        for child in take.children:
            if child.name not in holder.children:
                holder.children.link(child)
    record = take.get(versions.RECORD, {})
    stored = [value for data in record.values() for key, value in data.items() if key in versions.OWN_DATA]
    blocks = [
        block for block in dict.fromkeys([*_blocks(take), *stored, *footage.pictures_of(built)]) if block not in built
    ]
    for action in (block for block in blocks if isinstance(block, bpy.types.Action)):
        action.use_fake_user = False
    bpy.data.collections.remove(take)
    for obj in built:
        bpy.data.objects.remove(obj)
    purge(blocks)


def delete_version(context: Any, take: Any, number: int) -> None:
    """Remove a version and what only it has; the newest of the others is shown where it was the one. In Object Mode."""
    others = [version.number for version in versions.all_of(take) if version.number != number]
    if ghost.shown_number(take) in (number, others[-1]):
        ghost.remove(take)
    shown = versions.current(take)
    if shown is not None and shown.number == number:
        versions.switch(context, take, others[-1])
    landmarks.hand_on(take, number)
    purge(versions.forget(take, number))


def _holders(take: Any) -> list[Any]:
    every = [*bpy.data.collections, *(scene.collection for scene in bpy.data.scenes)]
    return [holder for holder in every if take.name in holder.children and holder.children[take.name] == take]


def purge(blocks: list[Any]) -> None:
    """Remove what nothing uses any more; a mesh before the shapes and materials that only it used."""
    left = [block for block in blocks if block is not None and not isinstance(block, bpy.types.Key)]
    while True:
        unused = [block for block in left if block.users == 0]
        if not unused:
            return
        left = [block for block in left if block.users]
        bpy.data.batch_remove(unused)


def duplicate(scene: Any, take: Any) -> Any:
    """A second take with everything of its own: objects, data, materials and the Actions of all versions.

    All heads of the take are duplicated, of whichever head ``take`` is.
    What the user put into the collection is copied along; what points at something in the take points at its copy.
    """
    take = replace.main_of(take)
    for one in (take, *replace.actors_of(take)):
        ghost.remove(one)
    copies: dict[Any, Any] = {}

    def copy(block: Any) -> Any:
        if block is not None and block not in copies:
            copies[block] = block.copy()
        return copies.get(block)

    for obj in take.all_objects:
        twin = copy(obj)
        if obj.data is not None and isinstance(obj.data, (bpy.types.Mesh, bpy.types.Armature, bpy.types.Camera)):
            twin.data = copy(obj.data)
        for slot in twin.material_slots:
            if slot.material is not None and slot.material.get(replace.TAKE_KEY):
                slot.material = copy(slot.material)
    collection = bpy.data.collections.new(take.name)
    twins = {take: collection}
    for actor in replace.actors_of(take):
        twins[actor] = bpy.data.collections.new(collection.name + actor.name.removeprefix(take.name))
        collection.children.link(twins[actor])
    for one in reversed(twins):  # what is in no further head's collection is the take's own
        for obj in one.all_objects:
            if not len(copies[obj].users_collection):
                twins[one].objects.link(copies[obj])
    for one, twin in twins.items():
        for key in one.keys():  # noqa: SIM118 - iteration is over its objects
            if key == corrections.NAME:
                continue
            value = twins.get(one[key]) if key == replace.ACTOR_OF else one[key]
            is_data = isinstance(value, (bpy.types.Object, bpy.types.Collection))
            twin[key] = copies.get(value, value) if is_data else _plain(value, copy)
        corrections.copy(one, twin)
        for name in (name for name in one.bl_rna.properties.keys() if name.startswith(SWITCH)):  # noqa: SIM118
            if getattr(one, name) != getattr(twin, name):  # from Blender 5.0 on these are not among the keys
                setattr(twin, name, getattr(one, name))
    for obj in take.all_objects:
        _own_animation(copies[obj], copy)
        _repoint(copies[obj], copies)
    scene.collection.children.link(collection)
    for one, twin in twins.items():
        _name_after(twin, one.name)
    plate.refresh(collection)
    place = root.free_place(scene, collection)
    if place is not None:
        copies[replace.member(take, replace.ROOT)].matrix_world = place
    return collection


def _name_after(take: Any, old: str) -> None:
    """Call what was copied with a take after the copy, where it was called after the take ``old``."""
    for block in _blocks(take):
        plain = _NUMBER.sub("", block.name)
        if plain == old or plain.startswith(f"{old} "):
            block.name = take.name + plain[len(old) :]


def _plain(value: Any, copy: Callable[[Any], Any]) -> Any:
    """A custom property's value for a copied take: Actions and meshes are copies too, but kept shapes never change."""
    if hasattr(value, "to_dict"):
        return {key: value[key] if key == "shape" else _plain(value[key], copy) for key in value.keys()}  # noqa: SIM118
    if isinstance(value, (bpy.types.Action, bpy.types.Mesh)):
        return copy(value)
    return value.to_list() if hasattr(value, "to_list") else value


def _own_animation(obj: Any, copy: Callable[[Any], Any]) -> None:
    """Let a copied object, its data and its shape keys play copies of their Actions."""
    for block in (obj, obj.data, getattr(obj.data, "shape_keys", None)):
        animation = getattr(block, "animation_data", None)
        if animation is not None and animation.action is not None:
            slot = getattr(animation, "action_slot", None)
            animation.action = copy(animation.action)
            if slot is not None:
                same = [s for s in animation.action.slots if s.handle == slot.handle]
                animation.action_slot = same[0] if same else None


def _repoint(obj: Any, copies: dict[Any, Any]) -> None:
    """Let parent, modifiers, constraints and drivers of a copy point at copies."""
    if obj.parent in copies:
        inverse = obj.matrix_parent_inverse.copy()
        obj.parent = copies[obj.parent]
        obj.matrix_parent_inverse = inverse
    owners = [*obj.modifiers, *obj.constraints]
    if obj.pose is not None:
        owners += [constraint for bone in obj.pose.bones for constraint in bone.constraints]
    for owner in owners:
        for name, prop in owner.bl_rna.properties.items():
            if prop.type == "POINTER" and not prop.is_readonly:
                value = getattr(owner, name)
                if isinstance(value, bpy.types.Object) and value in copies:
                    setattr(owner, name, copies[value])
    for block in (obj, obj.data, getattr(obj.data, "shape_keys", None)):
        animation = getattr(block, "animation_data", None)
        for curve in animation.drivers if animation is not None else ():
            for variable in curve.driver.variables:
                for target in variable.targets:
                    if target.id in copies:
                        target.id = copies[target.id]
