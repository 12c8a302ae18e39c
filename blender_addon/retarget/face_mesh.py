"""A character's mesh as the backend gets it, and the shape keys that come back."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..vendor import face_actions
from ..vendor import messages as m
from .matching import mesh_keys, names

F32 = NDArray[np.float32]

POINTS_KEY = "flowface_face_points"
"""The custom property of an object that holds the points of its face that a user has marked: by name, in its space."""
KEPT = 5
"""Files of earlier meshes that stay: one of them may still wait in the backend's queue."""


class CannotTransfer(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which a mesh gets no shape keys."""


def missing(obj: Any) -> list[str]:
    """The actions for which a mesh object has no shape key of their own, however their names are spelled."""
    keys = mesh_keys.names_of(obj)
    links = names.match(keys)
    shared = Counter(link.key for link in links)
    spelled = {link.action for link in links if shared[link.key] == 1 and link.response.gain >= 1.0}
    there = {*keys, *spelled}
    return [action for action in face_actions.ARKIT_ACTIONS if action not in there]


def why_not(obj: Any) -> str:
    """What keeps an object from getting shape keys, in a sentence; "" where nothing does."""
    if obj is None or obj.type != "MESH":
        return "Select the mesh of your character's face"
    if obj.library is not None or obj.data.library is not None or obj.data.override_library is not None:
        return f"“{obj.name}” is linked from another file, where its shape keys must be made"
    if not missing(obj):
        return f"“{obj.name}” has a shape key for each of the 52 actions"
    if not len(obj.data.polygons):
        return f"“{obj.name}” has no faces"
    return "" if abs(np.linalg.det(linear(obj))) > 1e-18 else f"“{obj.name}” is scaled to nothing: its scale has a 0"


def linear(obj: Any) -> NDArray[np.float64]:
    """The turn and scale (3,3) that take an object's space to the scene's; where it stands does not matter."""
    return np.array(obj.matrix_world, np.float64)[:3, :3]


def job_of(obj: Any, folder: Path) -> m.TransferJob:
    """The job that makes an object's shape keys; its mesh, without keys and modifiers, goes into a file in ``folder``.

    Raises:
        CannotTransfer: a sentence says why there is none.
    """
    reason = why_not(obj)
    if reason:
        raise CannotTransfer(reason)
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    turn = linear(obj)
    vertices = rest(obj.data).astype(np.float64) @ turn.T
    obj.data.calc_loop_triangles()
    triangles = np.empty(3 * len(obj.data.loop_triangles), np.int32)
    obj.data.loop_triangles.foreach_get("vertices", triangles)
    triangles = triangles.reshape(-1, 3)
    if np.linalg.det(turn) < 0:  # mirrored: its faces would look inwards
        triangles = triangles[:, ::-1]
    points = tuple(m.FacePoint(name, tuple(turn @ np.array(at))) for name, at in points_of(obj).items())
    try:
        file = _write(folder, vertices.astype(np.float32), np.ascontiguousarray(triangles))
    except OSError as error:
        raise CannotTransfer(f"The mesh cannot be handed over: {error.strerror}.") from error
    return m.TransferJob(str(file), points, name=obj.name)


def rest(mesh: Any) -> F32:
    """A mesh's vertices (V,3) without its shape keys' doing."""
    points = mesh.shape_keys.reference_key.points if mesh.shape_keys is not None else mesh.vertices
    vertices = np.empty(3 * len(points), np.float32)
    points.foreach_get("co", vertices)
    return vertices.reshape(-1, 3)


def points_of(obj: Any) -> dict[str, tuple[float, float, float]]:
    """The points that a user has marked on an object's face, in its space."""
    marked = obj.get(POINTS_KEY)
    return {} if marked is None else {name: tuple(at) for name, at in marked.items() if name in m.FACE_POINTS}


def add_keys(obj: Any, actions: Sequence[str], deltas: Mapping[str, F32]) -> list[str]:
    """Add shape keys for the actions that an object lacks; their names. ``deltas (V,3)`` are in the scene's axes.

    Raises:
        CannotTransfer: the object's mesh is not the one any more that they were made for.
    """
    base = rest(obj.data)
    if any(deltas[name].shape != base.shape for name in actions):
        raise CannotTransfer(f"“{obj.name}” has other vertices now: make its shape keys again.")
    back = np.linalg.inv(linear(obj)).T
    if obj.data.shape_keys is None:
        obj.shape_key_add(name="Basis", from_mix=False)
    lacking = set(missing(obj))
    added = [name for name in actions if name in lacking]
    for name in added:
        key = obj.shape_key_add(name=name, from_mix=False)
        key.relative_key = obj.data.shape_keys.reference_key
        key.value = 0.0  # Blender 5 adds keys at 1
        key.points.foreach_set("co", (base + deltas[name] @ back).astype(np.float32).ravel())
    obj.data.update()
    return added


def keep_sheet(name: str, png: bytes, folder: Path) -> Any:
    """The contact sheet as an image of the open file; that of an earlier transfer of the same name is replaced.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sheet.png"
    file.write_bytes(png)
    old = bpy.data.images.get(name)
    image = bpy.data.images.load(str(file), check_existing=False)
    image.pack()
    if old is not None:
        old.user_remap(image)
        bpy.data.images.remove(old)
    image.name, image.use_fake_user = name, True
    return image


def sheet_name(obj: Any) -> str:
    """What an object's contact sheet is called."""
    return f"{obj.name} shape keys"


def _write(folder: Path, vertices: F32, triangles: NDArray[np.int32]) -> Path:
    """Files are named by what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(vertices.tobytes() + triangles.tobytes()).hexdigest()[:16]}.npz"
    np.savez(file, vertices=vertices, triangles=triangles)
    for old in sorted(folder.glob("*.npz"), key=lambda entry: entry.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return file
