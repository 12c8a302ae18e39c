"""Cameras of the scene that a take has as known, and where the take then stands in the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import compat
from ..vendor import messages as m
from ..vendor import take as contract
from . import axes, footage

SAME_ASPECT = 0.005
"""Relative: 1080 × 1919 pixels are those of a 1080 × 1920 scene."""
ANAMORPHIC = (0.5, 2.0)
"""Bounds of how much wider than stored a picture of the scene's height may be shown: its pixels are not square."""
STILL = 1e-6
MOVING_CONSTRAINTS = ("CAMERA_SOLVER", "OBJECT_SOLVER", "FOLLOW_TRACK", "FOLLOW_PATH", "ACTION", "TRANSFORM_CACHE")
CAMERA_TYPES = {"ORTHO": "an orthographic", "PANO": "a panoramic"}


class CannotUse(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which a camera of the scene cannot be known to a take."""


@dataclass(frozen=True, eq=False)
class KnownView:
    """A view whose camera is known: the camera object's name, and where it stood when Track was pressed."""

    view: str
    camera: str
    pose: axes.KnownPose


@dataclass(frozen=True, eq=False)
class KnownCameras:
    """The scene's cameras as a take knows them. ``to_scale``: distances between the cameras are those of reality."""

    views: tuple[KnownView, ...]
    metres_per_unit: float
    to_scale: bool

    def placement(self, take: contract.TakeResult) -> axes.Placement | None:
        """Placement of the take in the scene; None where it has none of the known views."""
        poses = {view.view: view.pose for view in self.views}
        known = [view for view in take.cameras if view.name in poses]
        if not known:
            return None
        # One camera says nothing about scale: there the head's own size is all that is known.
        told = self.to_scale or len(known) < 2
        return axes.placed_by_cameras(
            [poses[view.name] for view in known],
            [view.world_to_camera[0] for view in known],
            1.0 / self.metres_per_unit if told else None,
        )

    def camera_of(self, scene: Any, view: str) -> Any:
        """The camera object that is known for a view, None where it was not, or is no longer in the scene."""
        name = next((known.camera for known in self.views if known.view == view), "")
        obj = scene.objects.get(name)
        return obj if obj is not None and obj.type == "CAMERA" else None


def metres_per_unit(scene: Any) -> float:
    """Length of a Blender unit in this scene, metres."""
    units = scene.unit_settings
    return float(units.scale_length) if units.system != "NONE" else 1.0


def read_camera(context: Any, obj: Any, footage_path: Path) -> tuple[m.CameraSpec, axes.KnownPose]:
    """Read what a camera object of the context's scene says about the footage that it filmed.

    Raises:
        CannotUse: it is no camera that could have filmed the footage and stood still; says why.
    """
    scene = context.scene
    if obj.name not in scene.objects:
        raise CannotUse(f"The camera “{obj.name}” is no longer in this scene: choose another, or none.")
    data = obj.data
    if data.type != "PERSP":
        kind = CAMERA_TYPES.get(data.type, "no perspective")
        raise CannotUse(f"“{obj.name}” is {kind} camera: only a perspective camera can have filmed a face.")
    if abs(scene.render.pixel_aspect_x - scene.render.pixel_aspect_y) > STILL:
        aspect = f"{scene.render.pixel_aspect_x:g} : {scene.render.pixel_aspect_y:g}"
        raise CannotUse(f"The scene's pixels are not square ({aspect}): set its pixel aspect to 1 : 1.")
    if _moves(obj):
        raise CannotUse(
            f"“{obj.name}” moves: a camera from the scene has to stand still. Choose none for its view to have lens "
            "and place found from the footage."
        )
    pose = _pose(context, obj)
    lens = axes.Lens(data.sensor_fit, data.sensor_width, data.sensor_height, data.shift_x, data.shift_y)
    size = _picture_size(scene, obj, footage_path)
    focal, principal_point = axes.pinhole(lens, data.lens, size)
    extrinsics = axes.extrinsics_of(pose, metres_per_unit(scene))
    return m.CameraSpec(size, focal, 1.0, principal_point, (), tuple(extrinsics.ravel().tolist())), pose


def _pose(context: Any, obj: Any) -> axes.KnownPose:
    """Pose in which a camera really stands: parents and constraints count, its scale does not."""
    matrix = np.array(obj.evaluated_get(context.evaluated_depsgraph_get()).matrix_world)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    rotation = matrix[:3, :3] / np.where(lengths > 0, lengths, 1.0)
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-4 or np.linalg.det(rotation) < 0:
        raise CannotUse(f"“{obj.name}” is skewed or mirrored by its parents: clear its parent and keep its transform.")
    # Blender stores single precision; a rotation that is not quite one would bend everything built from it.
    left, _, right = np.linalg.svd(rotation)
    return axes.KnownPose(left @ right, matrix[:3, 3])


def _picture_size(scene: Any, obj: Any, path: Path) -> tuple[int, int]:
    """Size in pixels of the pictures that the camera filmed, as far as the scene and the file can tell here."""
    width, height = scene.render.resolution_x, scene.render.resolution_y
    stored = footage.picture_size(path)
    if stored is None or (stored[1] == height and ANAMORPHIC[0] < width / stored[0] < ANAMORPHIC[1]):
        return width, height
    for turned in (stored, stored[::-1]):  # some Blenders do not obey the rotation flag of a file
        if abs(turned[0] / turned[1] * height / width - 1) < SAME_ASPECT:
            return turned
    if obj.data.sensor_fit != "AUTO":
        return stored
    raise CannotUse(
        f"“{path.name}” is {stored[0]} × {stored[1]} pixels but the scene is {width} × {height}: give both the same "
        f"shape, or set the sensor fit of “{obj.name}” to Horizontal or Vertical."
    )


def _moves(obj: Any) -> bool:
    """True where a camera or its lens is animated; what scripts and drivers do is not looked into."""
    if any(_varies(curve, ("lens", "shift", "sensor")) for curve in compat.action_curves(obj.data)):
        return True
    place = ("location", "rotation", "scale", "delta")
    link: Any = obj
    while link is not None:
        animation = link.animation_data
        if animation is not None and any(not track.mute and len(track.strips) for track in animation.nla_tracks):
            return True
        bones = ("pose",) if link is not obj else ()
        if any(_varies(curve, place + bones) for curve in compat.action_curves(link)):
            return True
        if any(not c.mute and c.influence > 0 and c.type in MOVING_CONSTRAINTS for c in link.constraints):
            return True
        link = link.parent
    return False


def _varies(curve: Any, paths: Sequence[str]) -> bool:
    if curve.mute or not curve.data_path.startswith(tuple(paths)):
        return False
    values = [point.co.y for point in curve.keyframe_points]
    return bool(curve.modifiers) or (bool(values) and max(values) - min(values) > STILL)
