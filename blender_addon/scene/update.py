"""Track a take again: what is there is changed in place, and the run before stays as a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .. import compat
from ..vendor import arrays
from ..vendor import take as contract
from . import (
    actors,
    animation,
    armature,
    axes,
    camera,
    curves,
    footage,
    head_motion,
    held,
    materials,
    realign,
    retimed_footage,
    root,
    shape,
    skin_texture,
    wrinkles,
)
from . import ownership as replace
from . import versions_of_take as versions
from .curve_layers import apply as curve_layers
from .head import TRIANGLES, build_head, keep_triangles, shape_points, widen_sliders
from .known_cameras import KnownCameras, metres_per_unit
from .plan import Plan
from .span import span, span_of
from .splice import Part, weights
from .timing import Timing, retimed, timing_of

F64 = NDArray[np.float64]


def update_take(
    context: Any, take: contract.TakeResult, plan: Plan, known_cameras: KnownCameras | None, job: str
) -> Any:
    """Set a run into the take of a plan, as its newest version.

    Objects, meshes, materials, shape keys and bones stay what they are; a head, armature or camera that the user
    deleted comes back. A run of the whole take brings its shape, joints and cameras along; one of a part keeps the
    take's own, and is seen through its own camera, as a head does whose take's cameras must stay.
    """
    with head_motion.on_the_head(replace.main_of(plan.collection)), head_motion.on_the_head(plan.collection):
        return _update(context, take, plan, known_cameras, job)


def _update(context: Any, take: contract.TakeResult, plan: Plan, known_cameras: KnownCameras | None, job: str) -> Any:
    scene, collection = context.scene, plan.collection
    there = span_of(collection) or span(take)
    timing, raw = timing_of(collection), take
    take = retimed(raw, timing)
    versions.remember(collection, there, take.head.expression_names)
    origin = root.root_of(collection, metres_per_unit(scene))
    notes: list[str] = []
    part = _part(raw, there, timing) if plan.part else None
    bodies = _bodies(context, collection, take, plan, notes)
    rig, head = bodies.rig, bodies.head
    placement = root.own_space(origin)
    if known_cameras is not None and (known := known_cameras.placement(take)) is not None:
        placement = root.in_space_of(origin, known)
    if part is None and not plan.cameras_stay:
        for view in take.cameras if replace.main_of(collection) == collection else ():
            _update_camera(scene, collection, raw, view, placement, known_cameras)
        rotations, locations = axes.head_poses(take.head_rotation, take.head_translation, placement)
        rig.scale = (placement.scale,) * 3
    else:
        rotations, locations = through_own_camera(collection, origin, rig, head, take, placement)
        for role, block in versions.animated(collection).items():
            if role.startswith((versions.CAMERA, versions.LENS)):
                _copied(collection, role, block)
        notes.append(plan.about or _what_stays(raw, part))
    pieces = [(arrays.at_frames(raw, np.flatnonzero(kept)), kept) for kept in plan.pieces]
    parts = [_part(piece, there, timing) for piece, _ in pieces] or ([part] if part is not None else [])
    with curve_layers.lifted(collection, parts):
        for number, (piece, kept) in enumerate(pieces):
            written = _moved_by_run(collection) if number else {}
            _move(collection, retimed(piece, timing), rig, head, rotations[kept], locations[kept], parts[number])
            _take_names(collection, written)
        if not pieces:
            _move(collection, take, rig, head, rotations, locations, part)
        held.keep_written(collection)
    frames = span(raw)
    whole = (min(frames[0], there[0]), max(frames[1], there[1])) if part is not None else frames
    head_id = take.head.head_id
    versions.add(
        collection,
        "",
        frames,
        whole,
        job=actors.job_key(raw, job),
        whole=not plan.part,
        head_id=head_id,
        notes=notes,
        points=bodies.points,
    )
    return collection


def _moved_by_run(collection: Any) -> dict[str, Any]:
    """The Actions of a take's armature, shape keys and head, by role."""
    blocks = versions.animated(collection)
    found = {role: versions.action_of(collection, role, blocks[role]) for role in NAMES if role in blocks}
    return {role: action for role, action in found.items() if action is not None}


def _take_names(collection: Any, written: dict[str, Any]) -> None:
    """Give the Actions of a run the names of those that an earlier piece of it has ``written``, which go."""
    now = _moved_by_run(collection)
    for role, action in written.items():
        if role in now and now[role] != action and not action.users:
            name = action.name
            compat.remove_action(action)
            now[role].name = name


def _what_stays(take: contract.TakeResult, part: Part | None) -> str:
    """A sentence on a run that did not bring its cameras along."""
    if part is None:
        return "The take's cameras stay: its other heads, which were not tracked again, are seen through them."
    length = int((weights(len(take.tracked), part) < 1).sum() / max(1, part.before + part.after))
    return (
        f"Frames {span(take)[0]:g} to {span(take)[1]:g} were set into the take"
        + (f", blended over {length} frame{'s' if length > 1 else ''} at each border" if length else "")
        + "; its shape and cameras stay."
    )


def _part(take: contract.TakeResult, there: tuple[float, float], timing: Timing) -> Part:
    first, last = span(take)
    ends = timing.at(np.array([first, last]))
    return Part(float(ends[0]), float(ends[1]), before=there[0] < first, after=there[1] > last)


@dataclass(frozen=True, eq=False)
class _Bodies:
    """Armature and head of a take; the shapes (1+K,V,3) where they are the run's, None where they stay."""

    rig: Any
    head: Any
    points: NDArray[np.float32] | None = None


def _bodies(context: Any, collection: Any, take: contract.TakeResult, plan: Plan, notes: list[str]) -> _Bodies:
    """Bring head and armature to the run's person, or leave them; what is missing is made."""
    name, geometry = collection.name, take.head
    rig, head = (replace.member(collection, role) for role in (replace.ARMATURE, replace.HEAD))
    worn = materials.worn_by(replace.worn_key(collection), name)
    if rig is None:
        rig = replace.take_in(collection, replace.ARMATURE, armature.build_armature(context, name, geometry))
        rig.rotation_mode, rig.parent = axes.HEAD_EULER_ORDER, replace.member(collection, replace.ROOT)
    elif not plan.part:
        armature.place_bones(context, rig, geometry)
    fresh, keeps = head is None or plan.other_head, plan.part
    if head is None or plan.other_head:
        head = replace.take_in(collection, replace.HEAD, build_head(f"{name} head", geometry, worn, head))
        keeps = False
    elif keeps:
        pass
    elif not shape.same_topology(head.data, geometry):
        notes.append("The head's faces were changed by hand, so it keeps its shape.")
        keeps = True
    elif shape.change_shape(head, geometry.expression_names, shape_points(geometry)):
        notes.append("What was sculpted on the head stays on top of its new shape.")
    if TRIANGLES not in head.data and shape.same_topology(head.data, geometry):
        keep_triangles(head.data, geometry)  # an earlier add-on did not
    if not plan.part:
        materials.color_iris(head, worn, take.iris_color)
        skin_texture.put_on(head, take, replace.worn_key(collection))
    shapes = shape.expressions_of(head.data, geometry.expression_names)
    widen_sliders(shapes, geometry, take.expression, fresh=fresh)
    armature.bind(head, rig)
    if not plan.part:
        wrinkles.put_on(head, take, replace.worn_key(collection))
    return _Bodies(rig, head, None if keeps else shape_points(geometry))


def _move(
    collection: Any,
    take: contract.TakeResult,
    rig: Any,
    head: Any,
    rotations: F64,
    locations: F64,
    part: Part | None,
) -> None:
    """Give armature, shape keys and head their Actions of the run."""
    shapes = shape.expressions_of(head.data, take.head.expression_names)
    eyes = armature.eye_bones(rig)
    _write(collection, versions.POSE, rig, animation.pose(rig, eyes, take, rotations, locations), part)
    if head.data.shape_keys is not None:
        _write(collection, versions.EXPRESSION, head.data.shape_keys, animation.expression(shapes, take), part)
    _write(collection, versions.ACTIONS, head, animation.actions(head, take), part)


NAMES = {versions.POSE: "head pose", versions.EXPRESSION: "expression", versions.ACTIONS: "ARKit"}


def _write(collection: Any, role: str, block: Any, motion: curves.Motion, part: Part | None) -> None:
    before = versions.action_of(collection, role, block)
    name = _action_name(collection, NAMES[role])
    curves.write(block, name, motion, before, part if before is not None else None)


def _action_name(collection: Any, what: str) -> str:
    newest = max((version.number for version in versions.all_of(collection)), default=0)
    return f"{collection.name} {what}{f' v{newest + 1}' if newest else ''}"


def _copied(collection: Any, role: str, block: Any) -> None:
    """A camera's Action for a run that does not change it, so that each version's can be edited for itself."""
    before = versions.action_of(collection, role, block)
    if before is not None:
        copy = before.copy()
        copy.name = _action_name(
            collection, role.split(":", 1)[1] + (" lens" if role.startswith(versions.LENS) else "")
        )
        compat.assign_action(block, copy)


def _update_camera(
    scene: Any,
    collection: Any,
    take: contract.TakeResult,
    view: contract.CameraTrack,
    placement: axes.Placement,
    known_cameras: KnownCameras | None,
) -> None:
    """The camera of a view as the run found it, or the user's own where it is known."""
    known = known_cameras.camera_of(scene, view.name) if known_cameras else None
    built = replace.member(collection, replace.camera_role(view.name))
    if known is not None:
        use_known(collection, take, view, known)
        return
    if replace.known_role(view.name) in collection:
        del collection[replace.known_role(view.name)]
    before = None
    if built is not None:
        before = {
            role: versions.action_of(collection, role, block)
            for role, block in versions.animated(collection).items()
            if role in (versions.CAMERA + replace.short(view.name), versions.LENS + replace.short(view.name))
        }
    solved_camera(collection, take, view, placement, before)


def use_known(collection: Any, take: contract.TakeResult, view: contract.CameraTrack, known: Any) -> None:
    """Have a view filmed by a camera of the user's own, which gets the footage behind it where it has nothing."""
    if collection.get(replace.camera_role(view.name)) == known:
        return  # a camera that this take has solved before, and now has as known
    if not len(known.data.background_images):
        footage.add_background(known.data, view, take.scene_frames)
        if known.data.animation_data is None or known.data.animation_data.action is None:
            motion = animation.background(known.data, view, take)
            curves.write(known.data, f"{collection.name} {view.name} background", motion)
    collection[replace.known_role(view.name)] = known


def solved_camera(
    collection: Any,
    take: contract.TakeResult,
    view: contract.CameraTrack,
    placement: axes.Placement,
    before: dict[str, Any] | None,
) -> None:
    """A camera of the take's own, made where there is none, with the view's lens, place, footage and motion.

    ``take`` counts frames as its footage does.

    ``before`` are its Actions by role in the run before, None for a new camera.
    """
    name, short = f"{collection.name} {view.name}", replace.short(view.name)
    role = replace.camera_role(view.name)
    obj = replace.member(collection, role)
    if obj is None:
        obj = replace.take_in(collection, role, camera.build_camera(name, placement.scale))
        obj.parent = replace.member(collection, replace.ROOT)
    camera.set_up(obj, view, placement)
    footage.show(obj.data, view, take.scene_frames)
    before = before or {}
    title, timing = _action_name(collection, view.name), timing_of(collection)
    timed = retimed(take, timing)
    place = animation.camera_pose(obj, timed, view, placement)
    curves.write(obj, title, place, before.get(versions.CAMERA + short))
    lens = [*animation.lens(timed, view), *animation.background(obj.data, view, take)]
    curves.write(obj.data, f"{title} lens", lens, before.get(versions.LENS + short))
    if not timing.plain:
        retimed_footage.retime(obj.data, f"{title} lens", Timing(timing.first, timing.first), timing)


def through_own_camera(
    collection: Any, origin: Any, rig: Any, head: Any, take: contract.TakeResult, placement: axes.Placement
) -> tuple[F64, F64]:
    """Head poses of a part as the take's own first camera sees the take's own head; as they came where it is gone."""
    view = take.cameras[0]
    obj = collection.get(replace.known_role(view.name)) or replace.member(collection, replace.camera_role(view.name))
    if obj is None or not len(obj.users_scene) or rig.parent != origin:
        return axes.head_poses(take.head_rotation, take.head_translation, placement)
    rotations, locations, focal = _camera_course(obj, origin, take.scene_frames)
    lens = axes.Lens(
        obj.data.sensor_fit, obj.data.sensor_width, obj.data.sensor_height, obj.data.shift_x, obj.data.shift_y
    )
    one, principal_point = axes.pinhole(lens, 1.0, view.image_size)
    shown = realign.ShownCamera(rotations, locations, one * focal, np.array(principal_point), rig.scale[0])
    size = 1.0
    if len(head.data.vertices) == len(take.head.neutral):
        own = take.head.own_vertices or len(take.head.neutral)
        neutral = shape.shape_of(head, ())[0]
        size = realign.size_of(neutral[:own], axes.head_points(take.head.neutral[:own]))
    if realign.same_camera(take, shown, size, placement):
        return axes.head_poses(take.head_rotation, take.head_translation, placement)
    return realign.head_poses(take, shown, size)


def _camera_course(obj: Any, origin: Any, frames: F64) -> tuple[F64, F64, F64]:
    """Rotations (T,3,3) and locations (T,3) of a camera in the root's space, and its focal lengths in mm (T,)."""
    base = origin.matrix_world.inverted()
    if obj.parent is not None:
        base = base @ obj.parent.matrix_world @ obj.matrix_parent_inverse
    if obj.parent == origin:
        base = obj.matrix_parent_inverse.copy()
    path = axes.rotation_property(obj.rotation_mode)
    turned = curves.course(obj, path, list(getattr(obj, path)), frames)
    placed = curves.course(obj, "location", list(obj.location), frames)
    focal = curves.course(obj.data, "lens", [obj.data.lens], frames)[:, 0]
    poses = [
        np.array(base @ Matrix.LocRotScale(place, Matrix(turn.tolist()), None))
        for place, turn in zip(placed, axes.rotations_from(turned, obj.rotation_mode), strict=True)
    ]
    stacked = np.array(poses).reshape(-1, 4, 4)
    turns = stacked[:, :3, :3] / np.linalg.norm(stacked[:, :3, :3], axis=1, keepdims=True)
    return turns, stacked[:, :3, 3], focal
