"""Characters that no one here made, in the open file, and actors of the open head that perform known curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.export.blender import head_geometry
from backend.head_model.converters.ict import read_ict
from backend.head_model.library import load_head
from blender_addon import compat
from blender_addon.scene import axes
from blender_addon.scene.build import build_take
from blender_addon.scene.ownership import ARMATURE, HEAD, member
from protocol.face_actions import ARKIT_ACTIONS
from protocol.take import CameraTrack, TakeResult

F32 = NDArray[np.float32]
FACECAP = Path("characters") / "facecap" / "facecap.glb"


def facecap(data: Path) -> Any:
    """The mesh object with the 52 keys of the facecap head, imported into the open file."""
    before = set(bpy.data.objects)
    bpy.ops.import_scene.gltf(filepath=str(data / FACECAP))
    made = [obj for obj in bpy.data.objects if obj not in before and obj.type == "MESH"]
    return next(obj for obj in made if obj.data.shape_keys is not None)


def ict(data: Path, name_of: Callable[[str], str] | None = str) -> Any:
    """ICT-FaceKit's head as a mesh object in metres with a shape key for each action, called ``name_of(action)``.

    Without ``name_of`` it has no keys. It faces −y, as characters do.
    """
    head = read_ict(data / "ict" / "ict_facekit.npz")
    shapes = dict(zip(head.expression_names, head.expression_basis, strict=True)) if name_of is not None else {}
    return mesh_object(
        "ICT", head.template, head.triangles, {name_of(a): d for a, d in shapes.items()} if name_of else {}
    )


def mesh_object(name: str, vertices: F32, triangles: NDArray[np.int32], deltas: Mapping[str, F32]) -> Any:
    """A mesh object of points in head space (y up, z out of the face), turned to face −y."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(_turned(vertices).tolist(), [], triangles.tolist())
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    if deltas:
        obj.shape_key_add(name="Basis", from_mix=False)
    for key_name, delta in deltas.items():
        key = obj.shape_key_add(name=key_name, from_mix=False)
        key.value = 0.0
        key.points.foreach_set("co", _turned(vertices + delta).astype(np.float32).ravel())
    return obj


def _turned(points: F32) -> F32:
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)


def performer(
    curves: Mapping[str, NDArray[Any]],
    *,
    name: str = "actor",
    rate: float = 24.0,
    footage: str = "/nowhere/clip.mp4",
    turns: NDArray[Any] | None = None,
) -> Any:
    """The head object of a take in which the open head plays ``curves``: an action's weights (T,) each.

    It was filmed as ``footage``, of 640 × 360 pixels, and turned to its left by ``turns`` (T,), radians.
    """
    head = load_head("open")
    count = len(next(iter(curves.values())))
    expression = np.zeros((count, len(head.expression_names)), np.float32)
    for action, values in curves.items():
        expression[:, head.expression_names.index(action)] = values
    view = CameraTrack(
        name="camera",
        footage=footage,
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=count,
        footage_rotation=0,
        image_size=(640, 360),
        focal_px=np.full(count, 900.0),
        principal_point=np.array([320.0, 180.0]),
        world_to_camera=np.tile(np.eye(3, 4), (count, 1, 1)),
    )
    take = TakeResult(
        name=name,
        head=head_geometry(head, head.template),
        cameras=(view,),
        scene_frames=np.arange(1.0, count + 1),
        frame_rate=rate,
        expression=expression,
        head_rotation=_facing(np.zeros(count) if turns is None else turns),
        head_translation=np.tile([0.0, 0.0, 0.6], (count, 1)),
        gaze=np.zeros((count, 2, 2), np.float32),
        tracked=np.ones(count, bool),
        reprojection_error_percent_iod=np.full(count, 0.8, np.float32),
        action_names=ARKIT_ACTIONS,
        actions=expression,
    )
    return member(build_take(bpy.context, take), HEAD)


def _facing(turns: NDArray[Any]) -> NDArray[np.float64]:
    """Rotation vectors (T,3) of heads before a camera, turned to their left."""
    front = Rotation.from_rotvec([np.pi, 0.0, 0.0])
    return (front * Rotation.from_rotvec(turns[:, None] * [0.0, 1.0, 0.0])).as_rotvec()


def apple_curves(data: Path) -> dict[str, NDArray[np.float32]]:
    """The curves (268,) of Apple's recorded performance by action, at 24 frames a second."""
    recorded = np.load(data / "characters" / "facecap" / "facecap_curves.npz")
    return {str(name): weights for name, weights in zip(recorded["names"], recorded["w"].T, strict=True)}


def play_motion(head: Any, gaze: NDArray[Any], turn: NDArray[Any], place: NDArray[Any]) -> Any:
    """Let a performer's eyes look (T,2,2) and its head turn (T,3) and move (T,3) in its root's space; its take."""
    take = next(take for take in head.users_collection if take.get(HEAD) == head)
    armature = member(take, ARMATURE)
    writer = compat.ActionWriter(armature, "motion")
    values = {"location": place, "rotation_euler": axes.rotation_values(axes.rotation_matrices(turn), "YXZ")}
    for side, name in enumerate(("left_eye", "right_eye")):
        values[f'pose.bones["{name}"].rotation_euler'] = axes.gaze_eulers(gaze[:, side])
    frames = np.arange(1.0, len(place) + 1)
    for path, rows in values.items():
        for index in range(3):
            writer.curve(path, index, "motion", frames, rows[:, index], np.zeros(len(frames), bool))
    return take
