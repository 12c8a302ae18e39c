"""Build a take's scene: one collection with root, head, armature, cameras and their animation (DESIGN §8)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from mathutils import Vector

from ..vendor import take as contract
from . import axes, new_head, plate, root, update
from . import ownership as replace
from .known_cameras import KnownCameras, metres_per_unit
from .plan import Plan, plan_for
from .span import span
from .timing import scene_span


def build_take(
    context: Any,
    take: contract.TakeResult,
    *,
    match_scene: bool = True,
    known_cameras: KnownCameras | None = None,
    plan: Plan | None = None,
    job: str = "",
) -> Any:
    """Build a take in the context's scene, or a new version of it, and return its collection.

    A take is known by its name and its footage. One that is there already is changed in place: all objects and their
    data stay, and what a user made of them; see ``update``. What cannot be kept is for the caller to ask about
    (``plan_for``); without its decision a take that would lose something stays, and a second one is built beside it.
    ``others`` of the take become further heads of it, each a collection within; what is returned is that of the face
    that the plan names first.

    With ``match_scene`` the scene takes over the first view's resolution, the frame rate, the frame range and the
    camera for a first take; never for another version of it, and never where there is another take. The scene camera
    is set in any case where there is none. With ``known_cameras`` the take stands where they see it; they are used as
    they are, and get the footage as background where they have none. Selection and active object stay as they were.
    Must be called in Object Mode; pushes no undo step.
    """
    scene = context.scene
    plan = plan or plan_for(scene, take)
    alone = not replace.takes_of(scene)
    results = (take, *take.others)
    take = results[plan.index]
    if plan.updates:
        context.view_layer.update()
        collection = update.update_take(context, take, plan, known_cameras, job)
    elif plan.joins is not None:
        collection = new_head.join(context, plan.joins, take, job, known_cameras, cameras_stay=True)
    else:
        collection = _new_take(context, take, known_cameras, job)
    new_head.note_run(collection, take)
    new_head.settle_others(context, replace.main_of(collection), results, plan, known_cameras, job)
    main = main_camera(collection)
    matched = match_scene and alone
    if main is not None and (scene.camera is None or matched):
        scene.camera = main
    if matched:
        match(scene, take.cameras[0].image_size, take.frame_rate, scene_span(collection) or span(take))
    plate.refresh(replace.main_of(collection))
    scene.frame_set(scene.frame_current)
    return collection


def _new_take(context: Any, take: contract.TakeResult, known_cameras: KnownCameras | None, job: str) -> Any:
    scene, name = context.scene, take.name
    known = known_cameras.placement(take) if known_cameras else None
    placement = known or root.beside_others(scene, axes.at_eye_level(metres_per_unit(scene)))
    collection = replace.new_collection(scene, take)
    origin = root.build_root(collection, name, placement)
    own = root.own_space(origin)
    new_head.add_head(context, collection, take, own)
    for view in take.cameras:
        _add_camera(scene, collection, take, view, own, known_cameras)
    root.hold(origin, replace.built(collection).values())
    new_head.first_version(collection, take, job)
    return collection


def _add_camera(
    scene: Any,
    collection: Any,
    take: contract.TakeResult,
    view: contract.CameraTrack,
    own: axes.Placement,
    known_cameras: KnownCameras | None,
) -> None:
    """The camera of a view: the user's own where it is known, else a new one in the take's collection."""
    known = known_cameras.camera_of(scene, view.name) if known_cameras else None
    if known is not None:
        update.use_known(collection, take, view, known)
    else:
        update.solved_camera(collection, take, view, own, before=None)


def main_camera(collection: Any) -> Any | None:
    """The camera of a take's first view, built or the user's own; None where it was deleted."""
    views = replace.shown_views(collection)
    return views[0].camera if views and views[0].camera is not None and len(views[0].camera.users_scene) else None


def match_take(scene: Any, collection: Any) -> None:
    """Give a scene the size, frame rate, range and camera of a take that is there, as far as they are known."""
    views, render = replace.shown_views(collection), scene.render
    size = views[0].size if views and views[0].size is not None else (render.resolution_x, render.resolution_y)
    rate = collection.get(replace.RATE_KEY, render.fps / render.fps_base)
    match(scene, size, rate, scene_span(collection) or (scene.frame_start, scene.frame_end))
    scene.camera = main_camera(collection) or scene.camera


def match(scene: Any, size: tuple[int, int], frame_rate: float, frames: tuple[float, float]) -> None:
    """Resolution, frame rate and range of the take, so that pressing Play shows what was filmed at its own speed."""
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    render.fps = max(1, round(frame_rate))
    render.fps_base = render.fps / frame_rate
    scene.frame_start, scene.frame_end = math.floor(frames[0]), math.ceil(frames[1])
    scene.frame_current = min(max(scene.frame_current, scene.frame_start), scene.frame_end)


def look_through_camera(screens: Iterable[Any]) -> None:
    """Show the 3D viewports of these screens through their scene's camera."""
    for screen in screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.region_3d.view_perspective = "CAMERA"


HEADS_AWAY = 3.0
"""From the eye of a viewport to a head, in half diagonals of its bounding box: it fills most of the height."""


def look_at_head(screens: Iterable[Any], head: Any) -> None:
    """Have the 3D viewports of these screens that look through no camera show a head, from where they look now."""
    corners = np.array([head.matrix_world @ Vector(corner) for corner in head.bound_box])
    middle, reach = corners.mean(axis=0), np.ptp(corners, axis=0)
    for screen in screens:
        for area in screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.region_3d.view_perspective != "CAMERA":
                view = area.spaces.active.region_3d
                view.view_location, view.view_distance = middle, HEADS_AWAY * float(np.linalg.norm(reach)) / 2
