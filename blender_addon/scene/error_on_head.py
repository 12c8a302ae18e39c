"""How far each part of a head is off what was seen of it in a frame, as an attribute of the mesh.

While it is shown it follows the frame that is shown, and edits of the head from the next frame on. In a window's
renders it stays as it is: what a render reads in another thread must not be changed under it.
"""

from __future__ import annotations

import warnings
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent
from numpy.typing import NDArray

from . import ownership as replace
from . import picture_lines
from . import versions_of_take as versions
from .landmarks import Landmarks, landmarks_at

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SHOWN = "flowface_show_error"
"""The take's property."""
ATTRIBUTE = "tracking_error"
"""Of the mesh, on its points: percent of the inter-ocular distance."""
UNKNOWN = -1.0
SIGMA, REACH = 0.1, 0.25
"""Of the inter-ocular distance: how near a landmark must be to tell of a vertex, and how far it tells at all. Kept
landmarks are 0.05 to 0.15 of it apart."""
_FEW = 8
_weights: dict[Any, F32] = {}


def start() -> None:
    """Follow the frame from now on, in files that are opened too."""
    bpy.app.handlers.load_post.append(_opened)
    bpy.app.timers.register(_opened, first_interval=0.0)  # while add-ons are enabled nobody may look into the file


def stop() -> None:
    """Follow it no more."""
    if bpy.app.timers.is_registered(_opened):
        bpy.app.timers.unregister(_opened)
    bpy.app.handlers.load_post.remove(_opened)
    _unwatch()
    _weights.clear()


def changed(take: Any, depsgraph: Any) -> None:
    """Write the attribute of a take where it is shown now, take it off the mesh where it is not."""
    if getattr(take, SHOWN):
        _watch()
        write(take, bpy.context.scene.frame_current_final, depsgraph)
        return
    for mesh in _meshes(take):
        if ATTRIBUTE in mesh.attributes:
            mesh.attributes.remove(mesh.attributes[ATTRIBUTE])


def _meshes(take: Any) -> set[Any]:
    """The meshes of a take's head, of versions with another model's too."""
    head = replace.member(take, replace.HEAD)
    kept = [data.get("mesh") for data in take.get(versions.RECORD, {}).values()]
    return {mesh for mesh in (*kept, head.data if head is not None else None) if mesh is not None}


def write(take: Any, frame: float, depsgraph: Any) -> None:
    """Give the take's head the errors of a frame."""
    head = replace.member(take, replace.HEAD)
    if head is None or head.mode != "OBJECT" or head.data.library is not None:
        return
    mesh = head.data
    attribute = mesh.attributes.get(ATTRIBUTE) or mesh.attributes.new(ATTRIBUTE, "FLOAT", "POINT")
    if (attribute.data_type, attribute.domain) == ("FLOAT", "POINT"):
        attribute.data.foreach_set("value", vertex_errors(take, head, frame, depsgraph))
        mesh.update()


def errors_of(mesh: Any) -> F32 | None:
    """(V,) the errors that an evaluated mesh has, None where it has none."""
    attribute = mesh.attributes.get(ATTRIBUTE)
    if attribute is None or (attribute.data_type, attribute.domain) != ("FLOAT", "POINT"):
        return None
    errors = np.empty(len(attribute.data), np.float32)
    attribute.data.foreach_get("value", errors)
    return errors


def vertex_errors(take: Any, head: Any, frame: float, depsgraph: Any) -> F32:
    """(V,) of each vertex of the head's own mesh, ``UNKNOWN`` where no landmark of its part was seen near it."""
    unknown = np.full(len(head.data.vertices), UNKNOWN, np.float32)
    known, errors = None, []
    for view in replace.shown_views(take):
        found = picture_lines.landmarks_of(take, view, frame, depsgraph)
        here = landmarks_at(take, view.name, frame)
        if found is None or here is None or not here.inter_ocular:
            continue
        known = known or here
        errors.append(np.full(len(here.vertices), np.nan))
        errors[-1][found.number] = found.error
    if known is None or int(known.vertices.max()) >= len(unknown):
        return unknown
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a landmark that no view saw has no mean
        mean = np.nanmean(np.stack(errors), axis=0)
    seen = np.isfinite(mean)
    weights = _weights_of(head, known)
    total, value = (weights @ np.stack([seen, np.where(seen, mean, 0)], axis=1).astype(np.float32)).T
    told = total >= np.exp(-0.5 * (REACH / SIGMA) ** 2)
    value = value / np.maximum(total, np.finfo(np.float32).tiny)
    return np.where(told, value, unknown).astype(np.float32)


def _weights_of(head: Any, known: Landmarks) -> F32:
    """(V,N) how much each landmark tells of each vertex: by their distance in the neutral, within one part."""
    mesh = head.data
    key = (mesh.name_full, len(mesh.vertices), str(mesh.get("flowface_shape")), known.vertices.tobytes())
    if key not in _weights:
        if len(_weights) >= _FEW:
            _weights.clear()
        source = mesh.shape_keys.reference_key.points if mesh.shape_keys is not None else mesh.vertices
        places = np.empty(3 * len(mesh.vertices), np.float32)
        source.foreach_get("co", places)
        points = places.reshape(-1, 3).astype(np.float64)
        apart = np.linalg.norm(points[:, None] - known.on(points)[None], axis=2) / known.inter_ocular
        weights = np.exp(-0.5 * (apart / SIGMA) ** 2)
        part = _part_of_vertices(mesh)
        same = part[:, None] == part[known.vertices[:, 0]][None]
        _weights[key] = np.where(same & (apart <= REACH), weights, 0.0).astype(np.float32)
    return _weights[key]


def _part_of_vertices(mesh: Any) -> NDArray[np.int32]:
    """(V,) the material of a face of each vertex; eye, iris and pupil are one."""
    material = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", material)
    eyes = np.flatnonzero(np.isin(picture_lines.parts_of(mesh), picture_lines.EYE_PARTS))
    if len(eyes):
        material[np.isin(material, eyes)] = eyes[0]
    start, vertex = np.empty(len(mesh.polygons), np.int32), np.empty(len(mesh.loops), np.int32)
    mesh.polygons.foreach_get("loop_start", start)
    mesh.loops.foreach_get("vertex_index", vertex)
    part = np.full(len(mesh.vertices), -1, np.int32)
    part[vertex] = np.repeat(material, np.diff(np.append(start, len(vertex))))
    return part


@persistent  # type: ignore[untyped-decorator]
def _opened(*_arguments: Any) -> None:
    """Follow the frame where a file's takes show their error."""
    if any(getattr(take, SHOWN) for take in bpy.data.collections if replace.TAKE_KEY in take):
        _watch()


@persistent  # type: ignore[untyped-decorator]
def _frame_changed(scene: Any, depsgraph: Any) -> None:
    if bpy.app.is_job_running("RENDER"):
        return
    for take in replace.takes_of(scene):
        if getattr(take, SHOWN, False):
            write(take, scene.frame_current_final, depsgraph)


def _watch() -> None:
    if _frame_changed not in bpy.app.handlers.frame_change_post:
        bpy.app.handlers.frame_change_post.append(_frame_changed)


def _unwatch() -> None:
    if _frame_changed in bpy.app.handlers.frame_change_post:
        bpy.app.handlers.frame_change_post.remove(_frame_changed)
