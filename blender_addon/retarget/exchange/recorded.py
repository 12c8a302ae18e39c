"""What a face plays in the scene as a recording of Live Link Face, and such a recording as an object of the scene.

The object is an empty that is turned as the head was, with the actions as custom properties and an empty within for
each eye: characters follow it as they follow a take's head (``source``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ... import compat
from ...scene import armature, axes, build, ownership, takes
from ...vendor import live_link
from .. import source
from . import stepping

F64 = NDArray[np.float64]

EYES = ("flowface_left_eye", "flowface_right_eye")
"""Of the empty that a recording was imported as: the empties that are turned as its eyes were."""
EYE_PLACES = ((0.032, -0.08, 0.0), (-0.032, -0.08, 0.0))
"""Metres from the head's middle in Blender's axes, where the empties of the eyes are drawn: those of a usual face."""
SIZE = 0.2
"""Metres: how large the empty is drawn."""
EYE_ORDER = "XYZ"
"""Of an eye's empty: its angles are (−pitch, 0, yaw)."""


class CannotRecord(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which nothing can be recorded."""


@dataclass(frozen=True)
class _Face:
    """Where a source's head and eyes are; ``camera`` is what the head is seen by, None where it faces −y."""

    rig: Any = None
    camera: Any = None
    head: Any = None
    eyes: tuple[Any, ...] = ()


def recording(context: Any, face: Any) -> live_link.Recording:
    """What a source plays on the frames of the context's scene, with all that drives it, layers and edits included.

    Times are those of the frames from the first one on. The angles of a take's head are relative to its first camera.

    Raises:
        CannotRecord: it has no action, or is not evaluated because it is hidden.
    """
    places = source.places(face)
    if not places:
        raise CannotRecord(f"“{face.name}” has no shape key or property that is called like an ARKit action.")
    frames, found = stepping.range_of(context.scene), _face_of(face)
    for obj in filter(None, (face, found.rig)):
        if not obj.visible_get(view_layer=context.view_layer):
            raise CannotRecord(f"“{obj.name}” is hidden: show it first.")
    weights = np.empty((len(frames), len(places)))
    turns, gaze = np.tile(np.eye(3), (len(frames), 1, 1)), np.zeros((len(frames), 2, 2))
    for index, graph in enumerate(stepping.through(context, frames)):
        weights[index] = [float(place.owner.evaluated_get(graph).path_resolve(place.path)) for place in places.values()]
        turns[index], gaze[index] = _head(found, graph), _gaze(found, graph)
    times = np.arange(len(frames)) / stepping.rate_of(context.scene)
    return live_link.Recording(
        times,
        dict(zip(places, weights.T, strict=True)),
        live_link.head_angles(turns) if found.rig or found.head else None,
        live_link.eye_angles(gaze) if len(found.eyes) == len(EYES) else None,
    )


def build_source(context: Any, name: str, read: live_link.Recording, first_frame: float) -> Any:
    """An empty in the active collection that plays a recording from ``first_frame`` on, at the scene's frame rate.

    Every row of the recording is a key, at its own time, between the scene's frames where it is there.
    """
    frames = first_frame + read.times * stepping.rate_of(context.scene)
    obj = _empty(context, name, "ARROWS", SIZE)
    obj[source.RECORDING] = name
    obj.rotation_mode, obj.location = axes.HEAD_EULER_ORDER, context.scene.cursor.location
    writer = compat.ActionWriter(obj, name)
    for action, values in read.weights.items():
        obj[action] = float(values[0])
        obj.id_properties_ui(action).update(default=0.0, soft_min=0.0, soft_max=1.0)
        _key(writer, f'["{action}"]', 0, "ARKit", frames, values)
    if read.head is not None:
        yaw, pitch, roll = read.head.T
        _key_turn(writer, "Head pose", frames, np.stack([-pitch, -roll, -yaw], axis=1))
    if read.eyes is not None:
        for key, place, gaze in zip(EYES, EYE_PLACES, live_link.gaze_of(read.eyes).swapaxes(0, 1), strict=True):
            eye = _empty(context, f"{name} {'left' if key == EYES[0] else 'right'} eye", "SINGLE_ARROW", SIZE / 4)
            eye.parent, eye.location, eye.rotation_mode = obj, place, EYE_ORDER
            obj[key] = eye
            turns = np.stack([-gaze[:, 1], np.zeros(len(gaze)), gaze[:, 0]], axis=1)
            _key_turn(compat.ActionWriter(eye, eye.name), "Gaze", frames, turns)
    return obj


def eyes_of(head: Any) -> tuple[Any, ...]:
    """The empties of an imported recording's eyes, left and right; none of other sources."""
    found = (head.get(key) for key in EYES)
    return tuple(eye for eye in found if isinstance(eye, bpy.types.Object))


def _empty(context: Any, name: str, display: str, size: float) -> Any:
    obj = bpy.data.objects.new(name, None)
    obj.empty_display_type, obj.empty_display_size = display, size
    context.collection.objects.link(obj)
    return obj


def _key_turn(writer: compat.ActionWriter, group: str, frames: F64, angles: F64) -> None:
    for index, values in enumerate(np.unwrap(angles, axis=0).T):
        _key(writer, "rotation_euler", index, group, frames, values)


def _key(writer: compat.ActionWriter, path: str, index: int, group: str, frames: F64, values: F64) -> None:
    writer.curve(path, index, group, frames, values, np.zeros(len(frames), bool))


def _face_of(face: Any) -> _Face:
    take = source.take_of(face)
    if take is None:
        turned = face if face.type == "EMPTY" else None
        return _Face(head=turned, eyes=eyes_of(face))
    rig = ownership.member(take, ownership.ARMATURE)
    eyes = armature.eye_bones(rig) if rig is not None else {}
    bones = tuple(eyes[eye].name for eye in armature.EYES if eye in eyes)
    return _Face(rig=rig, camera=build.main_camera(ownership.main_of(take)), eyes=bones)


def _head(face: _Face, graph: Any) -> F64:
    """The head's rotation (3,3) in head space, as a camera before it sees it."""
    if face.rig is None:
        turn = _rotation(face.head.evaluated_get(graph).matrix_local) if face.head is not None else np.eye(3)
        return np.asarray(axes.HEAD.T @ turn @ axes.HEAD)
    # A camera that looks along +y from before a head that faces it sees Blender's axes as HEAD has them.
    seen_by = _rotation(face.camera.evaluated_get(graph).matrix_world) if face.camera is not None else axes.HEAD
    turn = _rotation(face.rig.evaluated_get(graph).matrix_world @ _neck(face.rig, graph))
    return np.asarray(seen_by.T @ turn @ axes.HEAD)


def _gaze(face: _Face, graph: Any) -> F64:
    """Yaw to the subject's left and pitch upwards (2,2) of both eyes within the head."""
    if len(face.eyes) != len(EYES):
        return np.zeros((2, 2))
    if face.rig is None:
        turns = [_rotation(eye.evaluated_get(graph).matrix_local) for eye in face.eyes]
    else:
        pose, upright = face.rig.evaluated_get(graph).pose.bones, _neck(face.rig, graph).inverted()
        turns = [_rotation(upright @ pose[eye].matrix @ pose[eye].bone.matrix_local.inverted()) for eye in face.eyes]
    forward = np.array([axes.HEAD.T @ turn @ axes.HEAD[:, 2] for turn in turns])
    return np.stack([np.arctan2(forward[:, 0], forward[:, 2]), np.arcsin(np.clip(forward[:, 1], -1, 1))], axis=1)


def _neck(rig: Any, graph: Any) -> Any:
    """What the neck's bone does to the head within the armature: a matrix."""
    bones = rig.evaluated_get(graph).pose.bones
    bone = armature.bone_of(rig.data.bones, "neck")
    if bone is None or bone.name not in bones:
        return Matrix.Identity(4)
    return bones[bone.name].matrix @ bone.matrix_local.inverted()


def _rotation(matrix: Any) -> F64:
    return np.array(matrix.to_quaternion().to_matrix(), np.float64)


def sources_of(context: Any) -> Iterator[Any]:
    """The objects that may be meant: the active one where it plays actions, then the head of the take that is shown."""
    if context.active_object is not None and source.places(context.active_object):
        yield context.active_object
    take = takes.shown_take(context)
    head = take.get(ownership.HEAD) if take is not None else None
    if head is not None:
        yield head
