"""Plain, pleasant materials for the parts of a head, each take its own; once made they are the user's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Color

PART_KEY = "flowface_part"
TAKE_KEY = "flowface_take"
"""The take whose head wears a material; one without it is an earlier add-on's, which all heads shared."""
READ_KEY = "flowface_read"
"""The colour that a take's footage gave a material; another one is the user's."""
LIGHT, LIPS = "FlowFace light", "FlowFace lips"
"""Attributes of the mesh: the share of light that comes to a vertex, and how much of it is lip."""

DARKEN = "Mouth Light"
"""The label of the nodes that darken a colour and its shine by ``LIGHT``."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """Base colour (linear RGB), roughness, and how bright it is in solid shading, which throws no shadows."""

    colour: Colour
    roughness: float
    solid: float = 1.0


SURFACES = {
    "skin": Surface((0.62, 0.40, 0.31), 0.50),
    "eyes": Surface((0.85, 0.84, 0.82), 0.15),
    "iris": Surface((0.09, 0.16, 0.20), 0.10),
    "pupil": Surface((0.003, 0.003, 0.003), 0.05),
    "teeth": Surface((0.72, 0.68, 0.58), 0.30, 0.8),
    "tongue": Surface((0.42, 0.13, 0.12), 0.40, 0.4),
    "gums": Surface((0.42, 0.13, 0.12), 0.35, 0.5),
    "mouth": Surface((0.10, 0.02, 0.018), 0.45, 0.3),
    "lashes": Surface((0.02, 0.015, 0.01), 0.60),
    "brows": Surface((0.045, 0.022, 0.014), 0.70),
}
OTHER = Surface((0.45, 0.45, 0.45), 0.5)
LIP_COLOUR = (0.44, 0.17, 0.14)
SHADED = ("skin", "teeth", "tongue", "gums", "mouth")
"""Parts whose colour is darkened by ``LIGHT``, as no viewport's light finds how little comes into a mouth."""


def worn_by(take: str, name: str) -> Callable[[str], Any]:
    """The material of each part of a take's head: one that this file has of the take, or a new one called after it."""

    def worn(part: str) -> Any:
        for material in bpy.data.materials:
            if (material.get(PART_KEY), material.get(TAKE_KEY), material.library) == (part, take, None):
                return material
        material = _new(f"{name} {part}", part)
        material[TAKE_KEY] = take
        if part == "iris":
            material[READ_KEY] = colour_of(material)
        return material

    return worn


def color_iris(head: Any, worn: Callable[[str], Any], read: tuple[float, ...]) -> None:
    """Give the iris that a head wears the colour that was ``read`` in its footage (sRGB), unless the user chose one.

    One that earlier versions of this add-on let all heads share gives way to the take's own.
    """
    iris = iris_of(head)
    if iris is None or not read:
        return
    if TAKE_KEY not in iris:
        slot = next(slot for slot in head.material_slots if slot.material == iris)
        slot.material = iris = worn("iris")
    if READ_KEY in iris and _same(colour_of(iris), iris[READ_KEY]):
        linear = Color(read).from_srgb_to_scene_linear()
        set_colour(iris, (linear.r, linear.g, linear.b))
        iris[READ_KEY] = colour_of(iris)


def iris_of(head: Any) -> Any | None:
    """The iris material that a head object wears; None where it wears none of this add-on's."""
    worn = (slot.material for slot in head.material_slots)
    return next((material for material in worn if material is not None and material.get(PART_KEY) == "iris"), None)


def colour_of(material: Any) -> Colour:
    """The colour (linear RGB) that a part's material was given."""
    socket = _colour_socket(material)
    colour = material.diffuse_color if socket is None else socket.default_value
    return (colour[0], colour[1], colour[2])


def set_colour(material: Any, colour: Colour) -> None:
    """Give a part's material a colour (linear RGB), in renders and in the viewport's solid shading."""
    surface = SURFACES.get(material.get(PART_KEY), OTHER)
    material.diffuse_color = (*(surface.solid * value for value in colour), 1.0)
    socket = _colour_socket(material)
    if socket is not None:
        socket.default_value = (*colour, 1.0)


def _new(name: str, part: str) -> Any:
    surface = SURFACES.get(part, OTHER)
    material = bpy.data.materials.new(name)
    material[PART_KEY] = part
    material.roughness = surface.roughness
    if material.node_tree is None:  # from Blender 5.0 on every material has nodes and use_nodes does nothing
        material.use_nodes = True
    shader = material.node_tree.nodes.get("Principled BSDF")
    shader.inputs["Roughness"].default_value = surface.roughness
    set_colour(material, surface.colour)
    if part in SHADED:
        _shade(material.node_tree, shader, surface.colour, LIP_COLOUR if part == "skin" else None)
    return material


def _shade(tree: Any, shader: Any, colour: Colour, lips: Colour | None) -> None:
    """Between the part's colour and the shader: the lips' colour where they are, all darkened by ``LIGHT``."""
    light = _attribute(tree, LIGHT, (-440.0, 100.0))
    darken = mix_node(tree, DARKEN, "MULTIPLY", (-220.0, 300.0))
    socket_of(darken.inputs, "Factor").default_value = 1.0
    socket_of(darken.inputs, "A").default_value = (*colour, 1.0)
    tree.links.new(light.outputs["Color"], socket_of(darken.inputs, "B"))
    tree.links.new(socket_of(darken.outputs, "Result"), shader.inputs["Base Color"])
    shine = tree.nodes.new("ShaderNodeMath")
    shine.operation, shine.label, shine.location = "MULTIPLY", DARKEN, (-220.0, 60.0)
    specular = shader.inputs["Specular IOR Level"]
    shine.inputs[0].default_value = specular.default_value
    tree.links.new(light.outputs["Fac"], shine.inputs[1])
    tree.links.new(shine.outputs[0], specular)
    if lips is not None:
        redden = mix_node(tree, "Lips", "MIX", (-440.0, 400.0))
        socket_of(redden.inputs, "A").default_value = (*colour, 1.0)
        socket_of(redden.inputs, "B").default_value = (*lips, 1.0)
        tree.links.new(_attribute(tree, LIPS, (-660.0, 300.0)).outputs["Fac"], socket_of(redden.inputs, "Factor"))
        tree.links.new(socket_of(redden.outputs, "Result"), socket_of(darken.inputs, "A"))


def mix_node(tree: Any, label: str, blend: str, location: tuple[float, float]) -> Any:
    """A new node that mixes colours."""
    node = tree.nodes.new("ShaderNodeMix")
    node.data_type, node.blend_type, node.label, node.location = "RGBA", blend, label, location
    return node


def _attribute(tree: Any, name: str, location: tuple[float, float]) -> Any:
    node = tree.nodes.new("ShaderNodeAttribute")
    node.attribute_name, node.label, node.location = name, name, location
    return node


def socket_of(sockets: Any, name: str) -> Any:
    """A mix node has sockets of one name for each type of data; those of its own type are enabled."""
    return next(socket for socket in sockets if socket.name == name and socket.enabled)


def _colour_socket(material: Any) -> Any | None:
    """Where a material's colour is typed in: the shader's input, or the one at the start of the nodes before it."""
    tree = material.node_tree
    shader = tree.nodes.get("Principled BSDF") if tree is not None else None
    if shader is None:
        return None
    socket = shader.inputs["Base Color"]
    while socket.is_linked and socket.links[0].from_node.bl_idname == "ShaderNodeMix":
        socket = socket_of(socket.links[0].from_node.inputs, "A")
    return None if socket.is_linked else socket


def _same(one: Colour, other: Any) -> bool:
    return other is not None and max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-4
