"""The skin of a head as its footage shows it: an image on the materials of skin and brows, which can be hidden.

Each run that has one brings an image of its own, which goes with its version: another head has other UVs.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..vendor import take as contract
from . import materials
from . import ownership as replace

NODE, SWITCH, PLACES = "FlowFace Texture", "FlowFace Texture Switch", "FlowFace Atlas"
"""Names of the nodes that a material gets: the image, the mix of it with the plain colour, and the UV map."""
OWNED = "flowface_textured"
"""Of a material: it was given these nodes once; where they are gone since, the user does not want them. Of an image: it
is this add-on's."""
WORN = ("skin", "brows")
"""Parts that wear the texture. Brows lie on the skin and show what is painted there, or they would be seen twice."""
UV_MAP = "FlowFace"


def put_on(head: Any, take: contract.TakeResult, key: str) -> None:
    """Give a head's own materials a take's texture, in place of an earlier run's; the user's stay as they are.

    Its own are those that were made for the take ``key`` (``ownership.worn_key``).
    """
    if not take.texture.size:
        return
    mine = [material for material in _worn(head) if material.get(materials.TAKE_KEY) == key]
    shown = [node for node in map(_node, mine) if node is not None and _is_ours(node.image)]
    bare = [material for material in mine if OWNED not in material]
    if not (shown or bare):
        return
    image = _packed(f"{take.name} skin", take.texture.tobytes())
    for node in shown:
        node.image = image
    for material in bare:
        if _insert(material, image):
            material[OWNED] = True


def image_on(head: Any) -> Any | None:
    """The texture that a head object wears, None without one."""
    return next((node.image for node in map(_node, _worn(head)) if node is not None and _is_ours(node.image)), None)


def change(head: Any, image: Any) -> None:
    """Let a head object wear another run's texture where it wears one; the user's stay as they are."""
    for node in map(_node, _worn(head)):
        if node is not None and _is_ours(node.image):
            node.image = image


def is_textured(take: Any) -> bool:
    """True where a take's head wears a texture, shown or not."""
    return any(_switch(material) is not None for material in _worn(replace.member(take, replace.HEAD)))


def is_shown(take: Any) -> bool:
    """True where the texture is seen."""
    switches = [_switch(material) for material in _worn(replace.member(take, replace.HEAD))]
    return any(_factor(switch).default_value > 0.5 for switch in switches if switch is not None)


def set_shown(take: Any, shown: bool) -> None:
    """Show the texture, or the plain colours; both are kept."""
    for material in _worn(replace.member(take, replace.HEAD)):
        switch = _switch(material)
        if switch is not None:
            _factor(switch).default_value = float(shown)


def _worn(head: Any) -> list[Any]:
    """The materials of skin and brows on a head object, None without one."""
    slots = head.material_slots if head is not None else ()
    return [slot.material for slot in slots if slot.material and slot.material.get(materials.PART_KEY) in WORN]


def _node(material: Any) -> Any | None:
    return material.node_tree.nodes.get(NODE) if material.node_tree is not None else None


def _switch(material: Any) -> Any | None:
    return material.node_tree.nodes.get(SWITCH) if material.node_tree is not None else None


def _factor(switch: Any) -> Any:
    return materials.socket_of(switch.inputs, "Factor")


def _is_ours(image: Any) -> bool:
    return image is not None and OWNED in image and image.library is None


def _packed(name: str, png: bytes) -> Any:
    """A new image of a PNG, kept within the file."""
    image = bpy.data.images.new(name, 1, 1)
    image[OWNED] = True
    image.source = "FILE"
    image.pack(data=png, data_len=len(png))
    return image


def _insert(material: Any, image: Any) -> bool:
    """Put an image between a material's colour and what shades it; False where the user has wired it otherwise."""
    tree = material.node_tree
    shader = tree.nodes.get("Principled BSDF") if tree is not None else None
    if shader is None:
        return False
    target = shader.inputs["Base Color"]
    if target.is_linked:
        darken = target.links[0].from_node
        if darken.bl_idname != "ShaderNodeMix" or darken.label != materials.DARKEN:
            return False
        target = materials.socket_of(darken.inputs, "A")
    switch = materials.mix_node(tree, "Footage Texture", "MIX", (-440.0, 640.0))
    switch.name = SWITCH
    _factor(switch).default_value = 1.0
    plain = materials.socket_of(switch.inputs, "A")
    plain.default_value = target.default_value
    if target.is_linked:
        tree.links.new(target.links[0].from_socket, plain)
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.name, picture.label, picture.location, picture.image = NODE, NODE, (-740.0, 640.0), image
    places = tree.nodes.new("ShaderNodeUVMap")
    places.name, places.uv_map, places.location = PLACES, UV_MAP, (-940.0, 560.0)
    tree.links.new(places.outputs["UV"], picture.inputs["Vector"])
    tree.links.new(picture.outputs["Color"], materials.socket_of(switch.inputs, "B"))
    tree.links.new(materials.socket_of(switch.outputs, "Result"), target)
    tree.nodes.active = picture  # which solid shading shows where its colour is set to texture
    return True
