"""Characters' shape keys matched to ARKit's actions: by family, by name, by what they move."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.retarget import files, properties
from blender_addon.retarget.matching import mesh_keys
from blender_addon.retarget.matching.guess import Guess, guess
from tests.blender.retarget import characters

SIDE = re.compile("(Left|Right)$")


@pytest.fixture
def source() -> Any:
    """The open head of a take."""
    return characters.performer({"jawOpen": np.zeros(2, np.float32)})


def arkit(name: str) -> str:
    """The face cap's, ICT-FaceKit's or Apple's spelling as Apple's; halves of an action as the action."""
    name = re.sub("_R$", "Right", re.sub("_L$", "Left", name))
    return SIDE.sub("", name) if re.match("browInnerUp|cheekPuff", name) else name


def right_ones(found: Guess, truth: dict[str, str]) -> set[str]:
    """The actions whose keys are all theirs, after asserting that no link has a wrong side."""
    wrong = set()
    for link in found.mapping.keys:
        meant, side = arkit(truth[link.key]), SIDE.search(link.action)
        other = SIDE.search(truth[link.key])
        assert side is None or other is None or side[1] == other[1], f"{link.action} ← {truth[link.key]}"
        if meant != link.action:
            wrong.add(link.action)
    return {link.action for link in found.mapping.keys} - wrong


def renamed(obj: Any, name_of: Callable[[int, str], str]) -> dict[str, str]:
    """The names that an object's keys had by those that they get."""
    blocks = [obj.data.shape_keys.key_blocks[name] for name in mesh_keys.names_of(obj)]
    truth = {}
    for number, block in enumerate(blocks):
        was = block.name
        block.name = name_of(number, was)
        truth[block.name] = was
    return truth


def test_the_face_caps_character_by_name_and_by_motion(shared_data: Path, source: Any) -> None:
    character = characters.facecap(shared_data)
    by_name = guess(character, None)
    assert len(right_ones(by_name, {name: name for name in mesh_keys.names_of(character)})) == 52
    assert by_name.unmapped_actions == by_name.unmapped_keys == ()
    truth = renamed(character, lambda number, _: f"Key {number}")
    by_motion = guess(character, source)
    assert len(right_ones(by_motion, truth)) >= 48
    assert set(by_motion.actions_by("motion")) == {link.action for link in by_motion.mapping.keys}
    listed = {truth[key] for key in by_motion.unmapped_keys}
    assert "tongueOut" in by_motion.unmapped_actions and "tongueOut" in listed, "its key moves nothing"


def _reallusion(action: str) -> str:
    wanted = [link.key for link in files.presets()["character_creator"].keys if link.action == arkit(action)]
    side = SIDE.search(action)
    return next((key for key in wanted if side is None or key[-1] == side[1][0] or "_Look" in key), action)


FAMILIES = {
    "ActorCore": lambda name: {k.action: k.key for k in files.presets()["actorcore"].keys}.get(name, name + "_x"),
    "Character Creator": _reallusion,
    "lower case": lambda name: "char:face_" + re.sub("([A-Z])", r"_\1", name).lower(),
}


def test_the_ict_head_in_three_naming_families(shared_data: Path) -> None:
    head = characters.ict(shared_data)
    before = list(mesh_keys.names_of(head))
    for family, name_of in FAMILIES.items():
        truth = renamed(head, lambda _, was, name_of=name_of: name_of(was))
        found = right_ones(guess(head, None, by_motion=False), truth)
        if family == "ActorCore":  # it has one key for both halves, which the head has not
            found |= {"browInnerUp", "cheekPuff"}
        assert len(found) >= 48, (family, found)
        for name, was in zip(mesh_keys.names_of(head), before, strict=True):
            head.data.shape_keys.key_blocks[name].name = was


def test_the_ict_head_by_motion_turned_and_scaled_on_its_side(shared_data: Path, source: Any) -> None:
    head = characters.ict(shared_data)
    head.matrix_world = Matrix.Rotation(math.radians(70), 4, (1.0, 0.4, -0.2)) @ Matrix.Scale(37.0, 4)
    truth = renamed(head, lambda number, _: f"形 {number}")
    found = guess(head, source)
    assert len(right_ones(found, truth)) >= 48
    halves = {truth[link.key] for link in found.mapping.keys if link.action == "browInnerUp"}
    assert halves == {"browInnerUpLeft", "browInnerUpRight"}


def test_names_lead_the_other_keys_and_sides_as_seen_from_the_front_are_found_out(
    shared_data: Path, source: Any
) -> None:
    character = characters.facecap(shared_data)
    truth = renamed(character, lambda number, was: was if number % 3 else f"shape{number}")
    found = guess(character, source)
    assert len(found.actions_by("preset")) > 30 and len(found.actions_by("motion")) > 12
    assert len(right_ones(found, truth)) >= 50 and not found.named_from_front
    was = list(truth.values())
    other_side = {"_L": "_R", "_R": "_L", "Left": "Right", "Right": "Left"}
    renamed(character, lambda number, _: f"shape{number}")
    renamed(character, lambda number, _: re.sub("(_[LR]|Left|Right)$", lambda side: other_side[side[0]], was[number]))
    meant = dict(zip(mesh_keys.names_of(character), was, strict=True))
    found = guess(character, source)
    assert found.named_from_front and len(right_ones(found, meant)) >= 51


def test_what_is_no_face_is_doubted_and_few_keys_without_names_are_left(source: Any) -> None:
    random = np.random.default_rng(3)
    ball = random.normal(size=(900, 3))
    ball = (ball * [1.0, 1.3, 0.7] / np.linalg.norm(ball, axis=1, keepdims=True)).astype(np.float32)
    bumps = {
        f"bump {number}": np.exp(-((ball - ball[number]) ** 2).sum(axis=1, keepdims=True) / 0.1)
        * random.normal(size=(1, 3)).astype(np.float32)
        for number in range(12)
    }
    found = guess(characters.mesh_object("ball", ball, np.zeros((0, 3), np.int32), bumps), source)
    assert set(found.doubtful) == {link.action for link in found.mapping.keys}
    few = dict(list(bumps.items())[:4])
    assert guess(characters.mesh_object("few", ball, np.zeros((0, 3), np.int32), few), source).mapping.keys == ()


def test_what_a_key_adds_is_read_as_blender_shows_it() -> None:
    mesh = bpy.data.meshes.new("strip")
    mesh.from_pydata([(float(x), 0.0, 0.0) for x in range(4)], [], [])
    obj = bpy.data.objects.new("strip", mesh)
    bpy.context.scene.collection.objects.link(obj)
    for name in ("Basis", "one", "two"):
        obj.shape_key_add(name=name, from_mix=False)
    one, two = (mesh.shape_keys.key_blocks[name] for name in ("one", "two"))
    one.points[1].co.z = 1.0
    two.relative_key = one
    for point in range(3):
        two.points[point].co = one.points[point].co
    two.points[2].co.z = 2.0
    obj.vertex_groups.new(name="half").add([2], 0.5, "REPLACE")
    two.vertex_group = "half"
    obj.scale = (1.0, 1.0, -3.0)
    bpy.context.view_layer.update()
    shapes = mesh_keys.read(obj)
    assert shapes.names == ("one", "two")
    np.testing.assert_allclose(shapes.neutral, [[1, 0, 0], [2, 0, 0]])
    np.testing.assert_allclose(shapes.offsets, [[[0, 0, -3], [0, 0, 0]], [[0, 0, 0], [0, 0, -3]]])


@pytest.mark.usefixtures("addon")
def test_the_operator_links_and_keeps_what_is_there(shared_data: Path) -> None:
    character = characters.facecap(shared_data)
    target = getattr(bpy.context.scene, properties.NAME).targets.add()
    target.object, target.head_bone = character, "head"
    link = target.keys.add()
    link.action, link.key, link.gain = "jawOpen", "jawOpen", 0.7
    assert bpy.ops.flowface.retarget_match(way="NAMES", keep=True) == {"FINISHED"}
    mapping = properties.mapping_of(target)
    assert mapping.unmapped() == () and len(mapping.keys) == 52
    assert mapping.keys[0].response.gain == pytest.approx(0.7)
    assert bpy.ops.flowface.retarget_match(way="arkit_left_right") == {"FINISHED"}
    assert {link.response.gain for link in properties.mapping_of(target).keys} == {1.0}
    assert target.mapping_name == files.presets()["arkit_left_right"].name and target.head_bone == "head"
    renamed(character, lambda number, _: f"Key {number}")
    assert bpy.ops.flowface.retarget_match(way="AUTOMATIC") == {"CANCELLED"}, "no names, and no source to compare"
    assert len(properties.mapping_of(target).keys) == 52
