"""The footage's texture on a head: on skin and brows, off and on, renewed in place, and never in the user's way."""

from __future__ import annotations

from dataclasses import replace

import bpy
import cv2
import numpy as np
import pytest

import blender_addon
from blender_addon import take_properties
from blender_addon.scene import build, materials, skin_texture, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import HEAD
from protocol.take import TakeResult

from .test_look import open_take

RED, BLUE = (200, 60, 40), (30, 60, 210)


def textured(name: str, color: tuple[int, int, int]) -> TakeResult:
    picture = np.full((16, 16, 3), color, np.uint8)
    picture[:8] //= 2
    png = cv2.imencode(".png", picture[..., ::-1])[1].ravel()
    return replace(open_take(name), texture=png)


def worn(take: bpy.types.Collection) -> dict[str, bpy.types.Material]:
    return {slot.material[materials.PART_KEY]: slot.material for slot in take[HEAD].material_slots}


def image_of(material: bpy.types.Material) -> bpy.types.Image:
    return material.node_tree.nodes[skin_texture.NODE].image


def lowest_row(image: bpy.types.Image) -> list[int]:
    return [round(255 * value) for value in image.pixels[:3]]


def test_skin_and_brows_wear_one_packed_picture_the_right_way_up() -> None:
    take = build.build_take(bpy.context, textured("one", RED))
    parts = worn(take)
    image = image_of(parts["skin"])
    assert image_of(parts["brows"]) == image and image.packed_file is not None and tuple(image.size) == (16, 16)
    assert lowest_row(image) == pytest.approx(RED, abs=1) and image.colorspace_settings.name == "sRGB"
    assert skin_texture.NODE not in parts["teeth"].node_tree.nodes
    colour = parts["skin"].node_tree.nodes["Principled BSDF"].inputs["Base Color"].links[0].from_node
    assert colour.label == materials.DARKEN, "the mouth stays dark"
    assert materials.colour_of(parts["skin"]) == pytest.approx(materials.SURFACES["skin"].colour)


def test_it_is_switched_off_and_on() -> None:
    blender_addon.register()
    try:
        take = build.build_take(bpy.context, textured("one", RED))
        assert getattr(take, take_properties.TEXTURE)
        setattr(take, take_properties.TEXTURE, False)
        assert not skin_texture.is_shown(take) and image_of(worn(take)["skin"])
        setattr(take, take_properties.TEXTURE, True)
        assert skin_texture.is_shown(take)
        assert not skin_texture.is_textured(build.build_take(bpy.context, open_take("plain")))
    finally:
        blender_addon.unregister()


def test_each_version_has_the_picture_of_its_run_which_goes_with_it() -> None:
    take = build.build_take(bpy.context, textured("one", RED))
    skin = worn(take)["skin"]
    skin_texture.set_shown(take, False)
    assert build.build_take(bpy.context, textured("one", BLUE)) == take
    assert worn(take)["skin"] == skin and not skin_texture.is_shown(take)
    assert lowest_row(image_of(skin)) == pytest.approx(BLUE, abs=1)
    build.build_take(bpy.context, open_take("one"))
    assert lowest_row(image_of(skin)) == pytest.approx(BLUE, abs=1), "a run without a texture leaves it"
    for number, colour in ((1, RED), (3, BLUE), (1, RED)):
        versions.switch(bpy.context, take, number)
        assert lowest_row(image_of(skin)) == pytest.approx(colour, abs=1)
    assert len(bpy.data.images) == 2
    takes.delete_version(bpy.context, take, 1)
    assert [lowest_row(image) for image in bpy.data.images] == [pytest.approx(BLUE, abs=1)]
    takes.delete(take)
    assert not len(bpy.data.images)


def test_what_the_user_made_of_a_material_stays() -> None:
    take = build.build_take(bpy.context, textured("one", RED))
    parts = worn(take)
    own = bpy.data.images.new("painted by hand", 4, 4)
    parts["skin"].node_tree.nodes[skin_texture.NODE].image = own
    parts["brows"].node_tree.nodes.remove(parts["brows"].node_tree.nodes[skin_texture.SWITCH])
    build.build_take(bpy.context, textured("one", BLUE))
    assert image_of(parts["skin"]) == own
    assert skin_texture.SWITCH not in parts["brows"].node_tree.nodes
    plain = build.build_take(bpy.context, open_take("two"))
    tree = worn(plain)["skin"].node_tree
    noise = tree.nodes.new("ShaderNodeTexNoise")
    tree.links.new(noise.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    build.build_take(bpy.context, textured("two", RED))
    assert tree.nodes["Principled BSDF"].inputs["Base Color"].links[0].from_node == noise


def test_a_copy_of_a_take_gets_a_picture_of_its_own_when_it_is_tracked_again() -> None:
    take = build.build_take(bpy.context, textured("one", RED))
    twin = takes.duplicate(bpy.context.scene, take)
    assert image_of(worn(twin)["skin"]) == image_of(worn(take)["skin"])
    build.build_take(bpy.context, textured("one", BLUE))
    assert [lowest_row(image_of(worn(each)["skin"])) for each in (take, twin)] == [list(BLUE), list(RED)]
