"""The geometry nodes of wrinkles: the skin's tension on the posed mesh, and the displacement that it brings.

Tension is as the backend defines it (``detail/types.py``): of each edge its length over that in the neutral, less 1,
and of a vertex the mean of its edges. The neutral is the mesh before its shape keys, which Blender hands on as an
attribute.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat

GROUP = "FlowFace Wrinkles"
OWNED = "flowface_wrinkle_nodes"
"""Of the node group: the number of its form. One of another form is an earlier add-on's, whose heads keep it."""
FORM = 1
IMAGE, STRENGTH, LEVEL, RENDER_LEVEL = "Wrinkles", "Strength", "Level", "Render Level"
"""The group's inputs."""
TENSION, DISPLACEMENT, AMOUNT = "flowface_tension", "flowface_displacement", "flowface_wrinkle_strength"
SMOOTH = "flowface_smooth_normal"
"""Attributes of the evaluated mesh, on its points: stretched over 0 and compressed below; how far the point was moved
along its normal, in the mesh's units; how much of its displacement a point gets; the normal that it had before."""
SKIN = "flowface_skin"
"""Attribute of the mesh: 1 on points that may be displaced, 0 on those of eyes, teeth, brows and lashes."""
REST = "rest_position"
"""Attribute that Blender adds: where the points are before shape keys and modifiers."""
UV_MAP = "FlowFace"
DEEPEST_LEVEL = 4
LEVELS = (0, 2)
"""Of a new head, in viewports and renders. A viewport plays level 0, which moves no point, with the wrinkles in its
shading; each further level takes four times as long."""


def group() -> Any:
    """The node group of this file, made where there is none of this form."""
    for tree in bpy.data.node_groups:
        if tree.get(OWNED) == FORM and tree.library is None:
            return tree
    tree = bpy.data.node_groups.new(GROUP, "GeometryNodeTree")
    tree[OWNED] = FORM
    tree.is_modifier = True
    _Maker(tree).make()
    return tree


def socket_of(tree: Any, name: str) -> str | None:
    """What a modifier calls an input of its group, None where the user took it out."""
    for item in tree.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name:
            return str(item.identifier)
    return None


class _Maker:
    """Makes the nodes, each column to the right of what it takes."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self._rows: dict[int, int] = {}

    def make(self) -> None:
        """Interface and nodes."""
        self._interface()
        given = self._node("NodeGroupInput", 0)
        out = self._node("NodeGroupOutput", 13)
        strength = given.outputs[STRENGTH]
        tense = self._stored(given.outputs["Geometry"], TENSION, self._tension(), 5)
        amount = self._math("MULTIPLY", strength, self._named(SKIN, "FLOAT", 4), 5)
        shaded = self._stored(tense, AMOUNT, amount, 6)
        level = self._switched("INT", self._node("GeometryNodeIsViewport", 5).outputs[0], given, 6)
        moved = self._moved(shaded, level, given.outputs[IMAGE])
        fine = self._choice("GEOMETRY", self._compared(level, 0.5, 11), shaded, moved, 12)
        some = self._choice("GEOMETRY", self._compared(strength, 0.0, 11), given.outputs["Geometry"], fine, 12)
        self._link(some, out.inputs[0])

    def _interface(self) -> None:
        def new(name: str, kind: str, description: str = "") -> Any:
            return self._tree.interface.new_socket(name, in_out="INPUT", socket_type=kind, description=description)

        new("Geometry", "NodeSocketGeometry")
        new(IMAGE, "NodeSocketImage", "Displacement in metres: red always, green per stretch, blue per compression")
        strength = new(STRENGTH, "NodeSocketFloat", "How much of the displacement shows; 0 leaves the mesh as it is")
        strength.default_value, strength.min_value, strength.max_value = 1.0, 0.0, 10.0
        about = "Subdivisions; with 0 no point moves, and wrinkles show in the material's shading alone"
        for name, value in zip((LEVEL, RENDER_LEVEL), LEVELS, strict=True):
            level = new(name, "NodeSocketInt", about)
            level.default_value, level.min_value, level.max_value = value, 0, DEEPEST_LEVEL
        self._tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")

    def _tension(self) -> Any:
        edge = self._node("GeometryNodeInputMeshEdgeVertices", 0)
        rest, ends = self._named(REST, "FLOAT_VECTOR", 0), []
        for number in (1, 2):
            end = self._node("GeometryNodeFieldAtIndex", 1)
            end.data_type, end.domain = "FLOAT_VECTOR", "POINT"
            self._link(rest, _enabled(end.inputs, "Value"))
            self._link(edge.outputs[f"Vertex Index {number}"], end.inputs["Index"])
            ends.append(_enabled(end.outputs, "Value"))
        length = self._vector("DISTANCE", edge.outputs["Position 1"], edge.outputs["Position 2"], 2).outputs["Value"]
        before = self._vector("DISTANCE", ends[0], ends[1], 2).outputs["Value"]
        longer = self._math("SUBTRACT", length, before, 3)
        return self._on(self._math("DIVIDE", longer, before, 3), "FLOAT", "EDGE", 4)  # by nothing is 0, in Blender

    def _moved(self, geometry: Any, level: Any, image: Any) -> Any:
        """The geometry at a level, moved along its normals."""
        fine = self._node("GeometryNodeSubdivisionSurface", 7)
        compat.keep_uv_corners(fine)  # so that each point of the skin keeps its texel
        self._link(geometry, fine.inputs["Mesh"])
        self._link(level, fine.inputs["Level"])
        depth = self._math("MULTIPLY", self._depth(image), self._named(AMOUNT, "FLOAT", 9), 10)
        stored = self._stored(fine.outputs["Mesh"], DISPLACEMENT, depth, 11)
        normal = self._node("GeometryNodeInputNormal", 10).outputs[0]
        stored = self._stored(stored, SMOOTH, normal, 11, "FLOAT_VECTOR")
        offset = self._node("ShaderNodeVectorMath", 11)
        offset.operation = "SCALE"
        self._link(self._named(SMOOTH, "FLOAT_VECTOR", 10), offset.inputs[0])
        self._link(self._named(DISPLACEMENT, "FLOAT", 10), offset.inputs["Scale"])
        move = self._node("GeometryNodeSetPosition", 12)
        self._link(stored, move.inputs["Geometry"])
        self._link(offset.outputs[0], move.inputs["Offset"])
        return move.outputs["Geometry"]

    def _depth(self, image: Any) -> Any:
        """The displacement at points; of those on a seam of the atlas, the mean over its sides."""
        texture = self._node("GeometryNodeImageTexture", 7)
        texture.extension = "EXTEND"
        self._link(image, texture.inputs["Image"])
        self._link(self._named(UV_MAP, "FLOAT_VECTOR", 6), texture.inputs["Vector"])
        maps = self._node("ShaderNodeSeparateXYZ", 9)
        self._link(self._on(texture.outputs["Color"], "FLOAT_VECTOR", "CORNER", 8), maps.inputs[0])
        tension = self._named(TENSION, "FLOAT", 7)
        stretched = self._math("MAXIMUM", tension, 0.0, 8)
        compressed = self._math("MAXIMUM", self._math("MULTIPLY", tension, -1.0, 8), 0.0, 8)
        more = self._math("MULTIPLY", maps.outputs["Y"], stretched, 9)
        still_more = self._math("MULTIPLY", maps.outputs["Z"], compressed, 9)
        return self._math("ADD", self._math("ADD", maps.outputs["X"], more, 10), still_more, 10)

    def _switched(self, kind: str, viewport: Any, given: Any, column: int) -> Any:
        return self._choice(kind, viewport, given.outputs[RENDER_LEVEL], given.outputs[LEVEL], column)

    def _node(self, kind: str, column: int) -> Any:
        node = self._tree.nodes.new(kind)
        row = self._rows[column] = self._rows.get(column, -1) + 1
        node.location = (220.0 * column, -180.0 * row)
        return node

    def _link(self, source: Any, target: Any) -> None:
        self._tree.links.new(source, target)

    def _named(self, name: str, kind: str, column: int) -> Any:
        node = self._node("GeometryNodeInputNamedAttribute", column)
        node.data_type, node.label = kind, name
        node.inputs["Name"].default_value = name
        return _enabled(node.outputs, "Attribute")

    def _stored(self, geometry: Any, name: str, value: Any, column: int, kind: str = "FLOAT") -> Any:
        node = self._node("GeometryNodeStoreNamedAttribute", column)
        node.data_type, node.domain, node.label = kind, "POINT", name
        node.inputs["Name"].default_value = name
        self._link(geometry, node.inputs["Geometry"])
        self._link(value, _enabled(node.inputs, "Value"))
        return node.outputs["Geometry"]

    def _on(self, value: Any, kind: str, domain: str, column: int) -> Any:
        node = self._node("GeometryNodeFieldOnDomain", column)
        node.data_type, node.domain = kind, domain
        self._link(value, _enabled(node.inputs, "Value"))
        return _enabled(node.outputs, "Value")

    def _vector(self, operation: str, first: Any, second: Any, column: int) -> Any:
        node = self._node("ShaderNodeVectorMath", column)
        node.operation = operation
        self._link(first, node.inputs[0])
        self._link(second, node.inputs[1])
        return node

    def _math(self, operation: str, first: Any, second: Any, column: int) -> Any:
        return math(self._tree, self._node("ShaderNodeMath", column), operation, first, second)

    def _compared(self, value: Any, least: float, column: int) -> Any:
        """Whether a value is above another."""
        return self._math("GREATER_THAN", value, least, column)

    def _choice(self, kind: str, switch: Any, no: Any, yes: Any, column: int) -> Any:
        node = self._node("GeometryNodeSwitch", column)
        node.input_type = kind
        for name, source in (("Switch", switch), ("False", no), ("True", yes)):
            self._link(source, _enabled(node.inputs, name))
        return _enabled(node.outputs, "Output")


def math(tree: Any, node: Any, operation: str, first: Any, second: Any) -> Any:
    """What a math node makes of two sockets, or of a socket and a number."""
    node.operation = operation
    tree.links.new(first, node.inputs[0])
    if isinstance(second, float):
        node.inputs[1].default_value = second
    else:
        tree.links.new(second, node.inputs[1])
    return node.outputs[0]


def _enabled(sockets: Any, name: str) -> Any:
    return next(socket for socket in sockets if socket.name == name and socket.enabled)
