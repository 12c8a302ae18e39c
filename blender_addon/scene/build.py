"""Build a take's scene: one collection with head, armature, cameras and their animation (DESIGN §8)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..vendor import take as contract
from . import animation, axes, camera, footage
from . import ownership as replace
from .armature import bind, build_armature
from .head import build_head
from .known_cameras import KnownCameras, metres_per_unit


def build_take(
    context: Any, take: contract.TakeResult, *, match_scene: bool = True, known_cameras: KnownCameras | None = None
) -> Any:
    """Build a take in the context's scene and return its collection.

    A take is known by its name and its footage: building it again replaces the objects that were built for it before,
    hands everything that pointed at them (parents, constraints, the scene camera) to the new ones and leaves all other
    objects alone, including those a user put into the collection. With ``match_scene`` the scene takes over the first
    view's resolution, the frame rate and the frame range; the scene camera is set in any case where there is none.
    With ``known_cameras`` the take stands where they see it; they are used as they are, and get the footage as
    background where they have none. Selection and active object stay as they were. Must be called in Object Mode;
    pushes no undo step.
    """
    scene, layer = context.scene, context.view_layer
    active = layer.objects.active
    placement = (known_cameras.placement(take) if known_cameras else None) or axes.at_eye_level(metres_per_unit(scene))
    collection = replace.take_collection(scene, take)
    old = replace.retire(collection)

    armature = build_armature(context, take.name, take.head)
    head = build_head(f"{take.name} head", take)
    bind(head, armature)
    new = {replace.ARMATURE: armature, replace.HEAD: head}
    for role, obj in new.items():
        collection.objects.link(obj)
        collection[role] = obj
    animation.animate_armature(armature, f"{take.name} head pose", take, placement)
    animation.animate_expression(head, f"{take.name} expression", take)
    animation.animate_actions(head, f"{take.name} ARKit", take)
    for view in take.cameras:
        new[replace.camera_role(view.name)] = _camera(scene, collection, take, view, placement, known_cameras)

    replaced = active is not None and active in old.values()
    replace.hand_over(old, new)
    if not replaced:
        layer.objects.active = active
    if scene.camera is None or match_scene:
        scene.camera = new[replace.camera_role(take.cameras[0].name)]
    if match_scene:
        _match(scene, take)
    scene.frame_set(scene.frame_current)
    return collection


def _camera(
    scene: Any,
    collection: Any,
    take: contract.TakeResult,
    view: contract.CameraTrack,
    placement: axes.Placement,
    known_cameras: KnownCameras | None,
) -> Any:
    """The camera of a view: the user's own where it is known, else a new one in the take's collection."""
    replace.remember_size(collection, view)
    name = f"{take.name} {view.name}"
    own = known_cameras.camera_of(scene, view.name) if known_cameras else None
    if own is not None:
        if not len(own.data.background_images):
            footage.add_background(own.data, view, take.scene_frames)
            animation.animate_known_camera(own, name, take, view)
        collection[replace.known_role(view.name)] = own
        return own
    obj = camera.build_camera(name, view, placement, take.scene_frames)
    animation.animate_camera(obj, name, take, view, placement)
    collection.objects.link(obj)
    collection[replace.camera_role(view.name)] = obj
    return obj


def _match(scene: Any, take: contract.TakeResult) -> None:
    """Resolution, frame rate and range of the take, so that pressing Play shows what was filmed at its own speed."""
    width, height = take.cameras[0].image_size
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    render.fps = max(1, round(take.frame_rate))
    render.fps_base = render.fps / take.frame_rate
    scene.frame_start = math.floor(np.min(take.scene_frames))
    scene.frame_end = math.ceil(np.max(take.scene_frames))
    scene.frame_current = min(max(scene.frame_current, scene.frame_start), scene.frame_end)


def look_through_camera(screens: Iterable[Any]) -> None:
    """Show the 3D viewports of these screens through their scene's camera."""
    for screen in screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.region_3d.view_perspective = "CAMERA"
