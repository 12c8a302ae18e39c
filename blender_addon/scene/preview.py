"""A take that is still being tracked, shown in the scene until its result is there: made and changed without undo
steps, and removed without a trace.

Blender's undo must never meet what was changed behind its back. So a preview is taken away before every undo, redo and
save, together with all that it changed in the scene, and is shown again after it; ``live`` sees to that. What of one
came into an undo step or an automatically saved file, by what the user did meanwhile, is removed in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..vendor import take as contract
from . import animation, armature, axes, build, camera, curves, footage, materials, root, shape, takes
from . import ownership as replace
from .head import build_head_in_steps, shape_points, widen_sliders
from .known_cameras import KnownCameras, metres_per_unit
from .span import span

PREVIEW = "flowface_preview"
"""Of a preview's collection: the scene that it is shown in. It has no take's key, so that nothing takes it for one."""
BEFORE = "flowface_before"
"""Of a preview's collection: what it changed in its scene, by name: the value before and the one that it set."""
CAMERA_BEFORE, CAMERA_SET = "flowface_camera_before", "flowface_camera_set"
_RENDER = (
    *("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y"),
    *("fps", "fps_base"),
)
_SCENE = ("frame_start", "frame_end", "frame_current")


def all_previews() -> list[Any]:
    """The collections of previews that are in this file, whole or not."""
    return [collection for collection in bpy.data.collections if PREVIEW in collection]


def shown_in(scene: Any) -> Any | None:
    """The collection of the preview in a scene; None where there is none, or it is not whole any more."""
    found = (collection for collection in all_previews() if collection in scene.collection.children_recursive)
    return next((collection for collection in found if replace.member(collection, replace.HEAD) is not None), None)


def build_in_steps(
    context: Any, take: contract.TakeResult, known_cameras: KnownCameras | None, *, match_scene: bool
) -> Iterator[None]:
    """Build a preview in the context's scene, a few milliseconds' work a step, and show it with the last.

    A step of a preview that was removed meanwhile raises ReferenceError. With ``match_scene`` the scene takes over what
    ``build.build_take`` would give it. Must be called in Object Mode.
    """
    scene, name = context.scene, f"{take.name} preview"
    collection = bpy.data.collections.new(name)
    collection[PREVIEW] = scene
    collection.hide_render = collection.hide_select = True  # to be looked at: what is edited cannot be taken away
    known = known_cameras.placement(take) if known_cameras else None
    placement = known or root.beside_others(scene, axes.at_eye_level(metres_per_unit(scene)))
    origin = root.build_root(collection, name, placement)
    worn = materials.worn_by(f"{PREVIEW} {collection.name}", name)
    for head in build_head_in_steps(f"{name} head", take.head, worn):
        if replace.HEAD not in collection:
            replace.take_in(collection, replace.HEAD, head)
        yield
    rig = replace.take_in(collection, replace.ARMATURE, armature.build_armature(context, name, take.head))
    rig.rotation_mode = axes.HEAD_EULER_ORDER
    armature.bind(collection[replace.HEAD], rig)
    yield
    if known is None:
        view = take.cameras[0]
        obj = replace.take_in(collection, replace.camera_role(view.name), camera.build_camera(name, 1.0))
        camera.set_up(obj, view, root.own_space(origin))
        footage.show(obj.data, view, take.scene_frames)
        yield
    root.hold(origin, [rig, *(obj for obj in collection.objects if obj.type == "CAMERA")])
    _write(collection, take)
    yield
    scene.collection.children.link(collection)
    if match_scene and known is None and not replace.takes_of(scene):
        _match(scene, collection, take)
    scene.frame_set(scene.frame_current)


def change_in_steps(collection: Any, take: contract.TakeResult) -> Iterator[None]:
    """Bring a preview to what is known by now, in place: its shapes, then its motion."""
    head = collection[replace.HEAD]
    keys = head.data.shape_keys.key_blocks if head.data.shape_keys is not None else ()
    for block, points in zip(keys, shape_points(take.head), strict=False):
        block.points.foreach_set("co", points.ravel())
    head.data.update()
    yield
    _write(collection, take)
    if BEFORE in collection:
        _match(collection[PREVIEW], collection, take)


def fits(collection: Any, take: contract.TakeResult) -> bool:
    """True where a preview is of the head that a take has, so that it can be changed to it."""
    whole = all(replace.member(collection, role) is not None for role in (replace.ROOT, replace.ARMATURE))
    head = replace.member(collection, replace.HEAD)
    return whole and head is not None and shape.same_head(head.data, take.head)


def remove_all() -> None:
    """Take all previews out of the file, with all that they changed in it."""
    for collection in all_previews():
        _restore(collection)
        _remove(collection, list(_built(collection).values()))


def _write(collection: Any, take: contract.TakeResult) -> None:
    """Move a preview as its take does; the Actions before are gone."""
    origin, rig, head = (collection[role] for role in (replace.ROOT, replace.ARMATURE, replace.HEAD))
    own = root.own_space(origin)
    rotations, locations = axes.head_poses(take.head_rotation, take.head_translation, own)
    shapes = shape.expressions_of(head.data, take.head.expression_names)
    widen_sliders(shapes, take.head, take.expression, fresh=True)
    motions = [(rig, "head pose", animation.pose(rig, armature.eye_bones(rig), take, rotations, locations))]
    if shapes:
        motions.append((head.data.shape_keys, "expression", animation.expression(shapes, take)))
    view = take.cameras[0]
    obj = collection.get(replace.camera_role(view.name))
    if obj is not None:
        camera.set_up(obj, view, own)
        motions.append((obj, view.name, animation.camera_pose(obj, take, view, own)))
        lens = [*animation.lens(take, view), *animation.background(obj.data, view, take)]
        motions.append((obj.data, f"{view.name} lens", lens))
    for block, what, motion in motions:
        old = block.animation_data.action if block.animation_data is not None else None
        curves.write(block, f"{collection.name} {what}", motion)
        if old is not None:
            bpy.data.actions.remove(old)


def _match(scene: Any, collection: Any, take: contract.TakeResult) -> None:
    """Let the scene show what was filmed, and keep what it was like before."""
    kept = collection.get(BEFORE)
    before = {name: pair[0] for name, pair in kept.to_dict().items()} if kept is not None else _settings(scene)
    if kept is None and scene.camera is not None:
        collection[CAMERA_BEFORE] = scene.camera
    view = take.cameras[0]
    build.match(scene, view.image_size, take.frame_rate, span(take))
    collection[BEFORE] = {name: [before[name], value] for name, value in _settings(scene).items()}
    if kept is None:
        scene.camera = collection[CAMERA_SET] = collection[replace.camera_role(view.name)]


def _settings(scene: Any) -> dict[str, float]:
    return {name: float(getattr(scene.render, name)) for name in _RENDER} | {
        name: float(getattr(scene, name)) for name in _SCENE
    }


def _restore(collection: Any) -> None:
    """Give the scene back what a preview changed in it and the user did not change since."""
    scene, kept = collection[PREVIEW], collection.get(BEFORE)
    if kept is None or not isinstance(scene, bpy.types.Scene):
        return
    now = _settings(scene)
    for name, (before, was_set) in kept.to_dict().items():
        if now[name] == was_set:
            owner = scene.render if name in _RENDER else scene
            setattr(owner, name, type(getattr(owner, name))(before))
    if scene.camera is not None and scene.camera == collection.get(CAMERA_SET):
        scene.camera = collection.get(CAMERA_BEFORE)


def _built(collection: Any) -> dict[str, Any]:
    """The objects that were built for a preview, by role, in whatever state an undo has left them."""
    roles = (replace.ROOT, replace.ARMATURE, replace.HEAD, *collection.keys())
    found = {role: collection.get(role) for role in roles if role not in (CAMERA_BEFORE, CAMERA_SET)}
    return {role: obj for role, obj in found.items() if isinstance(obj, bpy.types.Object)}


def _remove(collection: Any, built: list[Any]) -> None:
    """Remove a preview's collection and what was built for it; what the user put there, or on it, stays."""
    scene = collection[PREVIEW]
    blocks: list[Any] = []
    for obj in built:
        data = obj.data
        blocks += [data, *(slot.material for slot in obj.material_slots if slot.material is not None)]
        for block in (obj, data, getattr(data, "shape_keys", None)):
            animated = getattr(block, "animation_data", None)
            blocks.append(animated.action if animated is not None else None)
    blocks += footage.pictures_of(built)
    for obj in list(bpy.data.objects):
        if obj.parent in built and obj not in built:
            world = obj.matrix_world.copy()
            obj.parent = None
            obj.matrix_world = world
    holder = scene.collection if isinstance(scene, bpy.types.Scene) else bpy.context.scene.collection
    for obj in collection.objects:
        if obj not in built and obj.name not in holder.objects:
            holder.objects.link(obj)
    bpy.data.collections.remove(collection)
    for obj in built:
        bpy.data.objects.remove(obj)
    takes.purge(list(dict.fromkeys(block for block in blocks if block is not None)))
