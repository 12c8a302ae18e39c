"""The wrinkles of a take's person on a head: maps in an image, which nodes bring out as the skin is tense.

They are computed on the mesh as it is posed, so they follow edited keys, retargeted ones and other performances. Each
run that has some brings an image of its own, which goes with its version, as the skin's texture does.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..vendor import take as contract
from . import materials, wrinkle_bump, wrinkle_nodes
from . import ownership as replace
from .half_exr import half_exr

MODIFIER = "FlowFace Wrinkles"
OWNED = "flowface_wrinkles"
"""Of a head object: it was given the modifier once; where that is gone since, the user does not want it."""
HEAD_ID = "flowface_wrinkles_of"
"""Of an image: the head model on whose atlas it lies. Of no other image."""
STRENGTH, LEVEL, RENDER_LEVEL = wrinkle_nodes.STRENGTH, wrinkle_nodes.LEVEL, wrinkle_nodes.RENDER_LEVEL


def put_on(head: Any, take: contract.TakeResult, key: str) -> None:
    """Give a head a take's wrinkles, in place of an earlier run's; a run without any leaves those of the same model.

    Its skin's materials get their share where they were made for the take ``key`` (``ownership.worn_key``).
    """
    if not take.wrinkles.size:
        worn = image_on(head)
        if worn is not None and worn[HEAD_ID] != take.head.head_id:
            change(head, None)  # they lie on another atlas
        return
    if OWNED in head and modifier_of(head) is None:
        return
    if modifier_of(head) is not None and _image(head) is not None and image_on(head) is None:
        return  # an image of the user's own
    wear(head, _packed(f"{take.name} wrinkles", take), key)


def wear(head: Any, image: Any, key: str) -> None:
    """Let a head object wear wrinkles, whoever took them off."""
    if modifier_of(head) is None:
        modifier = head.modifiers.new(MODIFIER, "NODES")
        modifier.node_group = wrinkle_nodes.group()
        modifier.show_expanded = False
        carried = [number for number, other in enumerate(head.modifiers) if other.type == "ARMATURE"]
        head.modifiers.move(len(head.modifiers) - 1, carried[-1] + 1 if carried else 0)
    head[OWNED] = True
    _give(head, image)
    for material in wrinkle_bump.materials_of(head):
        if material.get(materials.TAKE_KEY) == key:
            wrinkle_bump.insert(material, image)


def change(head: Any, image: Any) -> None:
    """Let a head object that can have wrinkles wear others, or none for None; the user's stay as they are."""
    if modifier_of(head) is not None and (_image(head) is None or image_on(head) is not None):
        _give(head, image)


def _give(head: Any, image: Any) -> None:
    if image is not None:
        head.add_rest_position_attribute = True
        _mark_skin(head.data)
    _set(head, wrinkle_nodes.IMAGE, image)
    for node in map(wrinkle_bump.picture_of, wrinkle_bump.materials_of(head)):
        if node is not None and (node.image is None or HEAD_ID in node.image):
            node.image = image


def for_version(head: Any, image: Any, head_id: str) -> None:
    """Let a head object wear a version's wrinkles; one without any leaves those of its own head model."""
    worn = image_on(head)
    if image is not None or (worn is not None and head_id and worn[HEAD_ID] != head_id):
        change(head, image)


def modifier_of(head: Any) -> Any | None:
    """The modifier with the wrinkles of a head object, None where it has none."""
    if head is None:
        return None
    found = (one for one in head.modifiers if one.type == "NODES" and one.node_group is not None)
    return next((one for one in found if wrinkle_nodes.OWNED in one.node_group), None)


def image_on(head: Any) -> Any | None:
    """The maps that a head object wears, None without any of this add-on's."""
    image = _image(head)
    return image if image is not None and HEAD_ID in image else None


def take_off(head: Any) -> None:
    """Rid a head object of its modifier, as a second one for comparing is."""
    modifier = modifier_of(head)
    if modifier is not None:
        head.modifiers.remove(modifier)


def is_wrinkled(take: Any) -> bool:
    """True where a take's head has wrinkles, shown or not."""
    return _image(replace.member(take, replace.HEAD)) is not None


def is_shown(take: Any) -> bool:
    """True where wrinkles are seen in viewports."""
    modifier = modifier_of(replace.member(take, replace.HEAD))
    return modifier is not None and bool(modifier.show_viewport)


def set_shown(take: Any, shown: bool) -> None:
    """Show wrinkles in viewports and renders, or not."""
    modifier = modifier_of(replace.member(take, replace.HEAD))
    if modifier is not None:
        modifier.show_viewport = modifier.show_render = shown


def value_of(take: Any, name: str) -> float:
    """The number that ``STRENGTH``, ``LEVEL`` or ``RENDER_LEVEL`` has; 0 where there is none."""
    modifier = modifier_of(replace.member(take, replace.HEAD))
    socket = wrinkle_nodes.socket_of(modifier.node_group, name) if modifier is not None else None
    return float(compat.modifier_input(modifier, socket) or 0) if socket is not None else 0.0


def set_value(take: Any, name: str, value: float) -> None:
    """Change one of them."""
    head = replace.member(take, replace.HEAD)
    if modifier_of(head) is not None:
        _set(head, name, value)


def sources(scene: Any, take: Any) -> list[Any]:
    """The scene's other takes whose wrinkles the head of a take can wear: those on the same atlas."""
    others = [(one, replace.member(one, replace.HEAD)) for one in replace.takes_of(scene) if one != take]
    having = [(one, head) for one, head in others if image_on(head) is not None]
    mine = _atlas(replace.member(take, replace.HEAD)) if having else None
    return [one for one, head in having if mine is not None and _same(mine, _atlas(head))]


def _atlas(head: Any) -> NDArray[np.float32] | None:
    """Where the corners of a head's faces lie in its atlas."""
    layer = head.data.uv_layers.get(wrinkle_nodes.UV_MAP) if head is not None else None
    if layer is None:
        return None
    places = np.empty(2 * len(layer.uv), np.float32)
    layer.uv.foreach_get("vector", places)
    return places


def _same(one: NDArray[np.float32], other: NDArray[np.float32] | None) -> bool:
    return other is not None and one.shape == other.shape and bool(np.allclose(one, other, atol=1e-6))


def _image(head: Any) -> Any | None:
    modifier = modifier_of(head)
    socket = wrinkle_nodes.socket_of(modifier.node_group, wrinkle_nodes.IMAGE) if modifier is not None else None
    image = compat.modifier_input(modifier, socket) if socket is not None else None
    return image if isinstance(image, bpy.types.Image) else None


def _set(head: Any, name: str, value: Any) -> None:
    modifier = modifier_of(head)
    socket = wrinkle_nodes.socket_of(modifier.node_group, name) if modifier is not None else None
    if socket is not None:
        compat.set_modifier_input(modifier, socket, value)
        head.update_tag()


def _mark_skin(mesh: Any) -> None:
    """Say which points are skin: tubes of hair, which lie on the same texels, would swell."""
    if wrinkle_nodes.SKIN in mesh.attributes:
        return
    part = np.array([(one.get(materials.PART_KEY) if one else None) == wrinkle_bump.PART for one in mesh.materials])
    material, start = np.empty(len(mesh.polygons), np.int32), np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", material)
    mesh.polygons.foreach_get("loop_start", start)
    corner = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corner)
    skin = part[np.minimum(material, len(part) - 1)] if len(part) else np.zeros(len(material), np.bool_)
    marked = np.zeros(len(mesh.vertices), np.float32)
    marked[corner[np.repeat(skin, np.diff(np.append(start, len(corner))))]] = 1.0
    mesh.attributes.new(wrinkle_nodes.SKIN, "FLOAT", "POINT").data.foreach_set("value", marked)


def _packed(name: str, take: contract.TakeResult) -> Any:
    """A new image of a take's maps, kept within the file: metres in red, green and blue."""
    data = half_exr(np.moveaxis(take.wrinkles[:3], 0, -1))
    image = bpy.data.images.new(name, 1, 1, alpha=False, float_buffer=True, is_data=True)
    image[HEAD_ID] = take.head.head_id
    image.source = "FILE"
    image.pack(data=data, data_len=len(data))
    image.colorspace_settings.name = "Non-Color"
    return image
