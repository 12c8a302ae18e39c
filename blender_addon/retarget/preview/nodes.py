"""Geometry nodes that show a character's meshes once more: as they are evaluated, in the space of an anchor.

An object with such nodes plays whatever the meshes play, edits and drivers included, and changes nothing about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy

from ... import compat

SMALL = 4.0
"""A piece of a mesh is small where the mesh has more than this many times its faces."""


@dataclass(frozen=True)
class Clay:
    """What a mesh without colours of its own is shown in: ``skin``, and the small pieces about its eyes in ``rest``.

    Those are above the anchor, and no farther than ``reach`` to any side.
    """

    skin: Any
    rest: Any
    reach: float


@dataclass(frozen=True)
class Crop:
    """How much is shown about the anchor: ``beside`` to either side, from ``below`` to ``above``."""

    beside: float
    below: float
    above: float


def shown_in(anchor: Any, members: Sequence[Any], clay: dict[Any, Clay], crop: Crop | None, name: str) -> Any:
    """A node group whose geometry is that of ``members``, seen from ``anchor``."""
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    join, out = tree.nodes.new("GeometryNodeJoinGeometry"), tree.nodes.new("NodeGroupOutput")
    from_anchor = tree.nodes.new("FunctionNodeInvertMatrix")
    tree.links.new(_object(tree, anchor).outputs["Transform"], from_anchor.inputs["Matrix"])
    for member in members:
        seen = _object(tree, member)
        place = tree.nodes.new("FunctionNodeMatrixMultiply")
        tree.links.new(from_anchor.outputs["Matrix"], place.inputs[0])
        tree.links.new(seen.outputs["Transform"], place.inputs[1])
        geometry = _moved(tree, seen.outputs["Geometry"], place.outputs["Matrix"])
        if member in clay:
            geometry = _worn(tree, geometry, clay[member])
        tree.links.new(geometry, join.inputs[0])
    geometry = join.outputs[0]
    tree.links.new(_cropped(tree, geometry, crop) if crop is not None else geometry, out.inputs[0])
    return tree


def _object(tree: Any, obj: Any) -> Any:
    node = tree.nodes.new("GeometryNodeObjectInfo")
    node.transform_space = "ORIGINAL"
    node.inputs["Object"].default_value = obj
    return node


def _moved(tree: Any, geometry: Any, matrix: Any) -> Any:
    node = tree.nodes.new("GeometryNodeTransform")
    compat.move_by_matrix(node)
    tree.links.new(geometry, node.inputs["Geometry"])
    tree.links.new(matrix, node.inputs["Transform"])
    return node.outputs["Geometry"]


def _worn(tree: Any, geometry: Any, clay: Clay) -> Any:
    island = tree.nodes.new("GeometryNodeInputMeshIsland").outputs["Island Index"]
    position = tree.nodes.new("GeometryNodeInputPosition").outputs[0]
    count, faces = _summed(tree, "INT", None, island), tree.nodes.new("GeometryNodeAttributeDomainSize")
    tree.links.new(geometry, faces.inputs[0])
    small = _compared(tree, "LESS_THAN", _calculated(tree, "MULTIPLY", count, SMALL), faces.outputs["Face Count"])
    middle = tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(_summed(tree, "FLOAT_VECTOR", position, island), middle.inputs[0])
    across, up = (_calculated(tree, "DIVIDE", middle.outputs[axis], count) for axis in ("X", "Y"))
    chosen = small
    for operation, value, bound in (
        ("LESS_THAN", _calculated(tree, "ABSOLUTE", across), clay.reach),
        ("LESS_THAN", up, clay.reach),
        ("GREATER_THAN", up, clay.reach / 4),
    ):
        chosen = _both(tree, "AND", chosen, _compared(tree, operation, value, bound))
    for material, selection in ((clay.skin, None), (clay.rest, chosen)):
        node = tree.nodes.new("GeometryNodeSetMaterial")
        node.inputs["Material"].default_value = material
        tree.links.new(geometry, node.inputs["Geometry"])
        if selection is not None:
            tree.links.new(selection, node.inputs["Selection"])
        geometry = node.outputs["Geometry"]
    return geometry


def _summed(tree: Any, kind: str, value: Any, group: Any) -> Any:
    """The sum over the faces of each group; of ones where there is no value."""
    node = tree.nodes.new("GeometryNodeAccumulateField")
    node.data_type, node.domain = kind, "FACE"
    socket = next(socket for socket in node.inputs if socket.name == "Value" and socket.enabled)
    if value is None:
        socket.default_value = 1
    else:
        tree.links.new(value, socket)
    tree.links.new(group, node.inputs["Group ID"])
    return next(socket for socket in node.outputs if socket.name == "Total" and socket.enabled)


def _cropped(tree: Any, geometry: Any, crop: Crop) -> Any:
    """Without the faces whose middle is beyond the crop: no body that stands in its neighbour's picture."""
    position = tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(tree.nodes.new("GeometryNodeInputPosition").outputs[0], position.inputs[0])
    beyond = [
        _compared(tree, "LESS_THAN", position.outputs["X"], -crop.beside),
        _compared(tree, "GREATER_THAN", position.outputs["X"], crop.beside),
        _compared(tree, "LESS_THAN", position.outputs["Y"], crop.below),
        _compared(tree, "GREATER_THAN", position.outputs["Y"], crop.above),
    ]
    any_of = beyond[0]
    for other in beyond[1:]:
        any_of = _both(tree, "OR", any_of, other)
    delete = tree.nodes.new("GeometryNodeDeleteGeometry")
    delete.domain = "FACE"
    tree.links.new(geometry, delete.inputs["Geometry"])
    tree.links.new(any_of, delete.inputs["Selection"])
    return delete.outputs["Geometry"]


def _compared(tree: Any, operation: str, first: Any, second: Any) -> Any:
    node = tree.nodes.new("FunctionNodeCompare")
    node.data_type, node.operation = "FLOAT", operation
    tree.links.new(first, node.inputs["A"])
    if isinstance(second, float):
        node.inputs["B"].default_value = second
    else:
        tree.links.new(second, node.inputs["B"])
    return node.outputs[0]


def _both(tree: Any, operation: str, first: Any, second: Any) -> Any:
    node = tree.nodes.new("FunctionNodeBooleanMath")
    node.operation = operation
    tree.links.new(first, node.inputs[0])
    tree.links.new(second, node.inputs[1])
    return node.outputs[0]


def _calculated(tree: Any, operation: str, first: Any, second: Any = None) -> Any:
    node = tree.nodes.new("ShaderNodeMath")
    node.operation = operation
    tree.links.new(first, node.inputs[0])
    if isinstance(second, float):
        node.inputs[1].default_value = second
    elif second is not None:
        tree.links.new(second, node.inputs[1])
    return node.outputs[0]
