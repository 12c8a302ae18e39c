"""A head, its armature and their animation, made for a take that has none of this person yet."""

from __future__ import annotations

from typing import Any

from ..vendor import take as contract
from . import (
    actors,
    animation,
    armature,
    axes,
    curves,
    head_motion,
    held,
    landmarks,
    materials,
    root,
    shape,
    skin_texture,
    update,
    wrinkles,
)
from . import ownership as replace
from . import versions_of_take as versions
from .head import build_head, shape_points, widen_sliders
from .known_cameras import KnownCameras
from .plan import Plan
from .span import span
from .timing import retimed, timing_of


def add_head(context: Any, collection: Any, take: contract.TakeResult, own: axes.Placement) -> tuple[Any, Any]:
    """Build head and armature of a run into a collection, posed and moving in the space ``own``; returns both."""
    name = collection.name
    rig = replace.take_in(collection, replace.ARMATURE, armature.build_armature(context, name, take.head))
    worn = materials.worn_by(replace.worn_key(collection), name)
    head = replace.take_in(collection, replace.HEAD, build_head(f"{name} head", take.head, worn))
    materials.color_iris(head, worn, take.iris_color)
    skin_texture.put_on(head, take, replace.worn_key(collection))
    armature.bind(head, rig)
    wrinkles.put_on(head, take, replace.worn_key(collection))
    rig.rotation_mode = axes.HEAD_EULER_ORDER
    shapes = shape.expressions_of(head.data, take.head.expression_names)
    widen_sliders(shapes, take.head, take.expression, fresh=True)
    move_head(collection, take, axes.head_poses(take.head_rotation, take.head_translation, own))
    return head, rig


def move_head(collection: Any, take: contract.TakeResult, poses: tuple[update.F64, update.F64]) -> None:
    """Write the Actions of a head that has none, its armature at ``poses`` (``axes.head_poses``)."""
    name, rig, head = collection.name, collection[replace.ARMATURE], collection[replace.HEAD]
    shapes = shape.expressions_of(head.data, take.head.expression_names)
    curves.write(rig, f"{name} head pose", animation.pose(rig, armature.eye_bones(rig), take, *poses))
    if shapes:
        curves.write(head.data.shape_keys, f"{name} expression", animation.expression(shapes, take))
    curves.write(head, f"{name} ARKit", animation.actions(head, take))


def first_version(collection: Any, take: contract.TakeResult, job: str, notes: tuple[str, ...] = ()) -> None:
    """Make what a new take or head shows its first version; ``take`` counts frames as its footage does."""
    frames, key = span(take), actors.job_key(take, job)
    points = shape_points(take.head)
    versions.add(collection, "", frames, frames, job=key, head_id=take.head.head_id, points=points, notes=notes)
    held.keep_written(collection)


def settle_others(
    context: Any,
    main: Any,
    results: tuple[contract.TakeResult, ...],
    plan: Plan,
    known_cameras: KnownCameras | None,
    job: str,
) -> None:
    """Set the further results of a run into the take that its first one was set into: each a head of its own."""
    for own in plan.others:
        take = results[own.index]
        if own.updates:
            actors.share_cameras(main, own.collection)
            update.update_take(context, take, own, known_cameras, job)
            settled = own.collection
        else:
            settled = join(context, main, take, job, known_cameras, cameras_stay=own.cameras_stay)
        note_run(settled, take)


def join(
    context: Any,
    main: Any,
    take: contract.TakeResult,
    job: str,
    known_cameras: KnownCameras | None,
    *,
    cameras_stay: bool,
) -> Any:
    """Add a face as a further head of a take; where its ``cameras_stay``, the head stands where they see the face."""
    with head_motion.on_the_head(main):  # where its cameras stand as they were solved
        return _join(context, main, take, job, known_cameras, cameras_stay=cameras_stay)


def _join(
    context: Any,
    main: Any,
    take: contract.TakeResult,
    job: str,
    known_cameras: KnownCameras | None,
    *,
    cameras_stay: bool,
) -> Any:
    collection = actors.new_actor(main)
    origin = root.root_of(main, 1.0)
    timed = retimed(take, timing_of(collection))
    own = root.own_space(origin)
    known = known_cameras.placement(take) if known_cameras is not None else None
    if known is not None:
        context.view_layer.update()
        own = root.in_space_of(origin, known)
    head, rig = add_head(context, collection, timed, own)
    rig.parent = origin
    rig.scale = (own.scale,) * 3
    notes: tuple[str, ...] = ()
    if cameras_stay:
        context.view_layer.update()
        move_head(collection, timed, update.through_own_camera(collection, origin, rig, head, timed, own))
        notes = (f"It was tracked apart from “{main.name}”, and stands where the take's cameras see it.",)
    first_version(collection, take, job, notes)
    return collection


def note_run(collection: Any, take: contract.TakeResult) -> None:
    """Keep with a head what a run tells of its footage, beside its versions."""
    collection[replace.RATE_KEY] = take.frame_rate
    replace.remember_views(collection, take)
    actors.remember_face(collection, take)
    landmarks.keep(collection, take)
