"""Where the face of a character is, which way it looks and how large it is: so that faces can be shown alike.

It is told by what the actions move: lids shut over the eyes, lips purse about the mouth. Of characters that move by
bones it is told by those. All of it is measured at rest, so that nothing that plays has a say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene import armature as take_armature
from .. import character_objects
from ..mapping import EyeLink, Mapping
from ..source import places

F64 = NDArray[np.float64]

LIDS = ("eyeBlink{}", "eyeSquint{}", "eyeWide{}")
LIPS = ("mouthFunnel", "mouthPucker", "mouthClose", "mouthRollLower", "jawOpen")
"""Actions that tell where eyes and mouth are, the best first."""
MOUTH_BONES = ("mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight", "mouthLowerDownLeft", "jawOpen")
MOST = 0.5
"""Of the farthest that an action moves a vertex: those that move by more than this share are what it is about."""
SNAP = float(np.cos(np.radians(35.0)))
"""A face that looks within so much of an axis of its object looks along it: mouths lie before eyes by some 10°, and
characters are modelled along axes."""
MOUTH_BELOW = 1.05
"""Of the distance between the eyes' centres: how far the mouth lies below them (adults' faces; the open head 1.07)."""
FACES_IN_BOX = 4.3
"""A head is this many times as high as from its eyes to its mouth (the open head without its neck)."""


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """A face in the space of what carries it, its ``carrier`` or that one's bone, unscaled: in the world's units.

    ``centre (3,)`` is half way from the eyes to the mouth, ``axes (3,3)`` has in its columns the subject's left, up
    and out of the face, ``size`` is the distance from the eyes to the mouth.
    """

    carrier: Any
    bone: str
    centre: F64
    axes: F64
    size: float


def of_source(source: Any) -> FaceFrame:
    """The face of an object that has the actions as shape keys, or of a take's head."""
    keys = {}
    for action, place in places(source).items():
        if place.path.startswith("key_blocks"):
            keys[action] = place.owner.path_resolve(place.path.removesuffix(".value")).name
    rig = character_objects.armature_of(source)
    eyes = take_armature.eye_bones(rig) if rig is not None else {}
    by_bones = Mapping(
        eyes=tuple(EyeLink(side, eyes[f"{side}_eye"].name) for side in ("left", "right") if f"{side}_eye" in eyes)
    )
    return _by_keys(source, keys) or _by_bones(rig, by_bones) or _by_box(source)


def of_target(obj: Any, mapping: Mapping) -> FaceFrame:
    """The face of a character, by what its mapping moves."""
    keys: dict[str, str] = {}
    for link in sorted(mapping.keys, key=lambda link: -abs(link.response.gain)):
        keys.setdefault(link.action, link.key)
    return _by_keys(obj, keys) or _by_bones(character_objects.armature_of(obj), mapping) or _by_box(obj)


def _by_keys(obj: Any, keys: dict[str, str]) -> FaceFrame | None:
    blocks = getattr(getattr(obj.data, "shape_keys", None), "key_blocks", None)
    if blocks is None:
        return None
    found = []
    for actions in ([lid.format("Left") for lid in LIDS], [lid.format("Right") for lid in LIDS], LIPS):
        patches = (_patch(blocks, keys[action]) for action in actions if keys.get(action, "") in blocks)
        patch = next((patch for patch in patches if len(patch)), None)
        if patch is None:
            return None
        found.append(patch)
    basis = _points(blocks[0])
    at_rest = np.stack([basis[patch].mean(axis=0) for patch in found])
    rig = character_objects.armature_of(obj)
    bone = character_objects.carrying_bone(obj, rig, found[:2]) if rig is not None else ""
    return _frame(at_rest, obj, rig, bone, inside=basis.mean(axis=0))


def _patch(blocks: Any, name: str) -> NDArray[np.int64]:
    """The vertices that a shape key is about."""
    block = blocks[name]
    moved = np.linalg.norm(_points(block) - _points(block.relative_key or blocks[0]), axis=1)
    return np.flatnonzero(moved > MOST * moved.max()) if len(moved) and moved.max() > 0 else np.empty(0, np.int64)


def _points(block: Any) -> F64:
    points = np.empty(3 * len(block.data), np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3).astype(np.float64)


def _by_bones(rig: Any, mapping: Mapping) -> FaceFrame | None:
    if rig is None:
        return None
    eyes = [_heads(rig, _eye_bones(mapping, side)) for side in ("Left", "Right")]
    if any(not len(eye) for eye in eyes):
        return None
    left, right = (eye.mean(axis=0) for eye in eyes)
    mouths = [link.bone for link in mapping.bones if link.action in MOUTH_BONES]
    mouth = _heads(rig, mouths)
    lips = mouth.mean(axis=0) if len(mouth) else None
    if lips is None or not np.linalg.norm(lips - (left + right) / 2) > 0.3 * np.linalg.norm(left - right):
        lips = (left + right) / 2 - MOUTH_BELOW * np.linalg.norm(left - right) * np.array([0.0, 0.0, 1.0])
    named = mapping.head.head if mapping.head.head in rig.data.bones else ""
    both = [name for side in ("Left", "Right") for name in _eye_bones(mapping, side)]
    return _frame(
        np.stack([left, right, lips]), rig, rig, named or character_objects.common_bone(rig, both), inside=None
    )


def _eye_bones(mapping: Mapping, side: str) -> list[str]:
    looking = [link.bone for link in mapping.eyes if link.side == side.lower() and not link.aims]
    return looking or [link.bone for link in mapping.bones if link.action in [lid.format(side) for lid in LIDS]]


def _heads(rig: Any, names: list[str]) -> F64:
    """Where bones begin at rest (n,3), of those that the armature has."""
    bones = [rig.data.bones[name] for name in names if name in rig.data.bones]
    return np.array([bone.head_local for bone in bones], np.float64).reshape(-1, 3)


def _by_box(obj: Any) -> FaceFrame:
    """A head that tells nothing of itself: upright, looking to −y as Blender's characters do, its box full of face."""
    _, _, scale = obj.matrix_world.decompose()
    corners = np.array([tuple(corner) for corner in obj.bound_box]) * np.abs(scale)
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = max(float(high[2] - low[2]) / FACES_IN_BOX, 1e-6)
    axes = np.array([(1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)])
    return FaceFrame(obj, "", (low + high) / 2, axes, size)


def _frame(at_rest: F64, obj: Any, rig: Any, bone: str, inside: F64 | None) -> FaceFrame:
    """The frame of the left eye, the right eye and the mouth (3,3) in ``obj``'s own space at rest.

    ``inside (3,)`` is a point within the head: an out of the face that points at it is turned about, as where left and
    right are swapped.
    """
    carrier = rig if bone else obj
    _, _, scale = carrier.matrix_world.decompose()
    stretch = np.abs(np.array(scale))
    if carrier != obj:
        into = np.array(carrier.matrix_world.inverted_safe() @ obj.matrix_world)
        at_rest = at_rest @ into[:3, :3].T + into[:3, 3]
        inside = inside @ into[:3, :3].T + into[:3, 3] if inside is not None else None
    at_rest = at_rest * stretch
    eyes = (at_rest[0] + at_rest[1]) / 2
    left, up = _snapped(at_rest[0] - at_rest[1]), _snapped(eyes - at_rest[2])
    up = up - left * (left @ up)
    up /= max(float(np.linalg.norm(up)), 1e-9)
    out = np.cross(left, up)
    centre = (eyes + at_rest[2]) / 2
    if inside is not None and (centre - inside * stretch) @ out < 0:
        left, out = -left, -out
    axes, size = np.stack([left, up, out], axis=1), max(float(np.linalg.norm(eyes - at_rest[2])), 1e-6)
    if not bone:
        return FaceFrame(carrier, "", centre, axes, size)
    rest = np.array(carrier.data.bones[bone].matrix_local)
    turn = rest[:3, :3] / np.linalg.norm(rest[:3, :3], axis=0)
    return FaceFrame(carrier, bone, turn.T @ (centre - rest[:3, 3] * stretch), turn.T @ axes, size)


def _snapped(direction: F64) -> F64:
    """A direction as a unit vector: along an axis where it nearly is."""
    unit = direction / max(float(np.linalg.norm(direction)), 1e-9)
    nearest = np.eye(3)[int(np.argmax(np.abs(unit)))]
    return nearest * np.sign(unit @ nearest) if abs(unit @ nearest) > SNAP else unit
