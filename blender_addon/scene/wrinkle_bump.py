"""Wrinkles in the shading of a head's skin, as fine as their maps, however coarse the mesh is.

The normals that are bent are those that the mesh had before the geometry nodes moved its points, else coarse meshes
would be shaded by what little of the wrinkles their points have. Without those nodes all attributes are 0, and so is
the height of the bumps.
"""

from __future__ import annotations

from typing import Any

from . import materials
from .skin_texture import UV_MAP
from .wrinkle_nodes import AMOUNT, SMOOTH, TENSION, math

PICTURE, BUMP = "FlowFace Wrinkle Maps", "FlowFace Wrinkle Bump"
"""Names of the nodes that a material gets: the image, and what bends its normals."""
PART = "skin"
OWNED = "flowface_wrinkled"
"""Of a material: it was given these nodes once; where they are gone since, the user does not want them."""


def materials_of(head: Any) -> list[Any]:
    """The materials of the skin on a head object."""
    worn = (slot.material for slot in head.material_slots)
    return [one for one in worn if one is not None and one.get(materials.PART_KEY) == PART and one.library is None]


def picture_of(material: Any) -> Any | None:
    """The node with a material's wrinkles."""
    return material.node_tree.nodes.get(PICTURE) if material.node_tree is not None else None


def insert(material: Any, image: Any) -> None:
    """Give a material of this add-on's the nodes, once, where the user has no normals of his own in it."""
    tree = material.node_tree
    shader = tree.nodes.get("Principled BSDF") if tree is not None else None
    if shader is None or OWNED in material or shader.inputs["Normal"].is_linked:
        return
    material[OWNED] = True
    active = tree.nodes.active  # which solid shading shows
    bump = _node(tree, "ShaderNodeBump", -220.0, -620.0, BUMP)
    bump.inputs["Strength"].default_value = 1.0
    tree.links.new(_height(tree, image), bump.inputs["Height"])
    tree.links.new(_scale(tree), bump.inputs["Distance"])
    tree.links.new(_smooth(tree), bump.inputs["Normal"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    tree.nodes.active = active


def _height(tree: Any, image: Any) -> Any:
    picture = _node(tree, "ShaderNodeTexImage", -1500.0, -500.0, PICTURE)
    picture.image, picture.interpolation, picture.extension = image, "Cubic", "EXTEND"  # linear texels would be facets
    places = _node(tree, "ShaderNodeUVMap", -1720.0, -560.0, "FlowFace Wrinkle Atlas")
    places.uv_map = UV_MAP
    tree.links.new(places.outputs["UV"], picture.inputs["Vector"])
    maps = _node(tree, "ShaderNodeSeparateXYZ", -1200.0, -500.0)
    tree.links.new(picture.outputs["Color"], maps.inputs[0])
    tension = _attribute(tree, TENSION, -800.0).outputs[2]  # called Fac, from Blender 5 on Factor
    stretched = _math(tree, "MAXIMUM", tension, 0.0, -1000.0, -700.0)
    less = _math(tree, "MULTIPLY", tension, -1.0, -1200.0, -880.0)
    compressed = _math(tree, "MAXIMUM", less, 0.0, -1000.0, -880.0)
    more = _math(tree, "MULTIPLY", maps.outputs[1], stretched, -800.0, -600.0)
    still_more = _math(tree, "MULTIPLY", maps.outputs[2], compressed, -800.0, -780.0)
    depth = _math(tree, "ADD", maps.outputs[0], more, -640.0, -560.0)
    depth = _math(tree, "ADD", depth, still_more, -640.0, -740.0)
    return _math(tree, "MULTIPLY", depth, _attribute(tree, AMOUNT, -980.0).outputs[2], -480.0, -660.0)


def _smooth(tree: Any) -> Any:
    """The normal before points were moved, where the mesh has it, else its own."""
    turn = _node(tree, "ShaderNodeVectorTransform", -1200.0, -1160.0)
    turn.vector_type, turn.convert_from, turn.convert_to = "VECTOR", "OBJECT", "WORLD"  # of none a normal is no number
    tree.links.new(_attribute(tree, SMOOTH, -1160.0).outputs["Vector"], turn.inputs[0])
    length = _node(tree, "ShaderNodeVectorMath", -1000.0, -1100.0)
    length.operation = "LENGTH"
    tree.links.new(turn.outputs[0], length.inputs[0])
    there = _math(tree, "GREATER_THAN", length.outputs["Value"], 1e-9, -800.0, -1100.0)
    chosen = _node(tree, "ShaderNodeMix", -640.0, -1200.0)
    chosen.data_type = "VECTOR"
    tree.links.new(there, materials.socket_of(chosen.inputs, "Factor"))
    own = _node(tree, "ShaderNodeNewGeometry", -1200.0, -1340.0).outputs["Normal"]
    tree.links.new(own, materials.socket_of(chosen.inputs, "A"))
    tree.links.new(turn.outputs[0], materials.socket_of(chosen.inputs, "B"))
    unit = _node(tree, "ShaderNodeVectorMath", -440.0, -1200.0)
    unit.operation = "NORMALIZE"
    tree.links.new(materials.socket_of(chosen.outputs, "Result"), unit.inputs[0])
    return unit.outputs[0]


def _scale(tree: Any) -> Any:
    """How long a metre of the head is in the scene: bumps are as high as the scene has them."""
    turn = _node(tree, "ShaderNodeVectorTransform", -640.0, -1020.0)
    turn.vector_type, turn.convert_from, turn.convert_to = "VECTOR", "OBJECT", "WORLD"
    turn.inputs[0].default_value = (0.0, 0.0, 1.0)
    length = _node(tree, "ShaderNodeVectorMath", -480.0, -1020.0)
    length.operation = "LENGTH"
    tree.links.new(turn.outputs[0], length.inputs[0])
    return length.outputs["Value"]


def _node(tree: Any, kind: str, x: float, y: float, name: str = "") -> Any:
    node = tree.nodes.new(kind)
    node.location = (x, y)
    if name:
        node.name = node.label = name
    return node


def _attribute(tree: Any, name: str, y: float) -> Any:
    node = _node(tree, "ShaderNodeAttribute", -1500.0, y)
    node.attribute_name = node.label = name
    return node


def _math(tree: Any, operation: str, first: Any, second: Any, x: float, y: float) -> Any:
    return math(tree, _node(tree, "ShaderNodeMath", x, y), operation, first, second)
