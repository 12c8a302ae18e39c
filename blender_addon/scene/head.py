"""The head mesh: the person's neutral, one shape key per expression, parts, UV map and skinning weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from . import axes, eyes, materials
from .polygons import Polygons, polygons_of

UV_MAP = "FlowFace"
OWN_VERTICES = "flowface_vertices"
"""The mesh's property that counts the head's own vertices, which come before those of brows and lashes, and all."""
TRIANGLES = "flowface_triangles"
"""The mesh's property: the corners (3F,) of the triangles of the head that it was built of, which has no quads."""
EXPRESSIONS = "flowface_expressions"
"""The mesh's property: the names of its expressions as they were built, in the order of their keys after the first."""
SHAPE = "flowface_shape"
"""The mesh's property: the kept shapes (see ``shape.keep_shape``) that its keys were given last."""
WEIGHT_STEP = 1 / 4096
"""Finer steps of skinning weights nobody sees: a lid that an eye carries by 1 cm is out by a thousandth of a mm."""
SHARP_ANGLE = math.radians(70)
"""Edges sharper than this are shaded so; else the thin edges of teeth darken their whole front."""
FREE_SLIDER = 3.0
"""Half-range of a slider whose expression has no bounds: three standard deviations."""
SLIDER_LIMIT = 10.0
"""Blender accepts no shape-key range beyond ±10."""


def build_head(name: str, head: contract.HeadGeometry, worn: Callable[[str], Any], obj: Any = None) -> Any:
    """A mesh object of a person's head, its parts in the materials that ``worn`` says; or ``obj`` with a new mesh."""
    for made in build_head_in_steps(name, head, worn, obj):
        obj = made
    return obj


def build_head_in_steps(
    name: str, head: contract.HeadGeometry, worn: Callable[[str], Any], obj: Any = None
) -> Iterator[Any]:
    """``build_head`` in three parts of about equal work; each gives the object, which is whole after the last."""
    polygons = polygons_of(head)
    part_names, part = eyes.parts_with_irises(head, polygons)
    mesh = _mesh(name, head, polygons, part)
    for part_name in part_names:
        mesh.materials.append(worn(part_name))
    if obj is None:
        obj = bpy.data.objects.new(name, mesh)
    else:
        obj.data = mesh
    yield obj
    _add_shape_keys(obj, name, head)
    yield obj
    _add_weights(obj, head)
    yield obj


def keep_triangles(mesh: Any, head: contract.HeadGeometry) -> None:
    """Have a mesh remember the triangles of the head that it was built of, by which points of its surface are told."""
    mesh[TRIANGLES] = head.triangles.ravel().tolist()


def shape_points(head: contract.HeadGeometry) -> NDArray[np.float32]:
    """(1+K,V,3) the neutral and the shape of each expression, in the axes of Blender's object."""
    shapes = np.concatenate([head.neutral[None], head.neutral + head.expression_deltas])
    return axes.head_points(shapes).astype(np.float32)


def widen_sliders(
    shapes: Mapping[str, Any], head: contract.HeadGeometry, expression: NDArray[np.float32], *, fresh: bool
) -> None:
    """Have the slider of each expression hold every keyed value (T,K), because Blender clamps a shape key to it.

    One that is not ``fresh`` keeps what the user made of it, where that is wider.
    """
    for index, name in enumerate(head.expression_names):
        key = shapes[name]
        low, high = _slider_range(head.expression_bounds[index], expression[:, index])
        if not fresh:
            low, high = min(low, key.slider_min), max(high, key.slider_max)
        key.slider_min, key.slider_max = low, high


def _mesh(name: str, head: contract.HeadGeometry, polygons: Polygons, part: NDArray[np.int32]) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(head.neutral))
    mesh.attributes["position"].data.foreach_set("vector", axes.head_points(head.neutral).astype(np.float32).ravel())
    mesh.loops.add(len(polygons.vertex))
    mesh.loops.foreach_set("vertex_index", polygons.vertex)
    mesh.polygons.add(len(polygons.start))
    mesh.polygons.foreach_set("loop_start", polygons.start)
    mesh.polygons.foreach_set("material_index", part)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(part), np.bool_))
    corners = head.uv_vertices[polygons.uv].astype(np.float32)
    mesh.uv_layers.new(name=UV_MAP, do_init=False).uv.foreach_set("vector", corners.ravel())
    mesh.update(calc_edges=True)
    mesh.validate()
    mesh.set_sharp_from_angle(angle=SHARP_ANGLE)
    mesh[OWN_VERTICES] = [head.own_vertices or len(head.neutral), len(head.neutral)]
    keep_triangles(mesh, head)
    for attribute, values in ((materials.LIGHT, head.light), (materials.LIPS, head.lips)):
        mesh.attributes.new(attribute, "FLOAT", "POINT").data.foreach_set("value", values)
    return mesh


def _slider_range(bounds: NDArray[Any], values: NDArray[Any]) -> tuple[float, float]:
    """Slider bounds that hold every keyed value, because Blender clamps a shape key to its slider."""
    low = float(bounds[0]) if np.isfinite(bounds[0]) else -FREE_SLIDER
    high = float(bounds[1]) if np.isfinite(bounds[1]) else FREE_SLIDER
    if len(values):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    return max(low, -SLIDER_LIMIT), min(high, SLIDER_LIMIT)


def _add_shape_keys(obj: Any, name: str, head: contract.HeadGeometry) -> None:
    obj.shape_key_add(name="Basis", from_mix=False)
    for key_name, shape in zip(head.expression_names, shape_points(head)[1:], strict=True):
        add_shape_key(obj, key_name).points.foreach_set("co", shape.ravel())
    if head.expression_names:
        obj.data[EXPRESSIONS] = list(head.expression_names)
    obj.data.shape_keys.name = name
    obj.active_shape_key_index = 0


def add_shape_key(obj: Any, name: str) -> Any:
    """A shape key that does nothing yet."""
    key = obj.shape_key_add(name=name, from_mix=False)
    key.value = 0.0  # Blender 5 adds keys with value 1
    return key


def _add_weights(obj: Any, head: contract.HeadGeometry) -> None:
    for joint, joint_name in enumerate(head.joint_names):
        group = obj.vertex_groups.new(name=joint_name)
        steps = np.round(head.skinning_weights[:, joint] / WEIGHT_STEP).astype(np.int32)
        order = np.argsort(steps, kind="stable")[np.count_nonzero(steps <= 0) :]
        # Blender takes one weight for many vertices at a time: one call for each weight that occurs.
        for vertices in np.split(order, np.flatnonzero(np.diff(steps[order])) + 1) if len(order) else ():
            group.add(vertices.tolist(), float(steps[vertices[0]] * WEIGHT_STEP), "REPLACE")
