"""What users do to characters behind the add-on's back: deleting, copying, unlinking, following in a circle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.retarget import bake, drive, face_mesh, faces, source, targets
from blender_addon.retarget.calibration.measures import NoFace
from blender_addon.retarget.drive import CannotDrive
from blender_addon.retarget.mapping import BadMapping
from blender_addon.retarget.matching import guess
from blender_addon.retarget.preview import side_by_side
from tests.blender.retarget import characters

pytestmark = pytest.mark.usefixtures("addon")


def box(name: str = "box") -> Any:
    """A mesh of one triangle with the keys that the performer moves."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    deltas = {key: np.full((3, 3), 0.1, np.float32) for key in ("jawOpen", "mouthClose")}
    return characters.mesh_object(name, points, np.array([[0, 1, 2]], np.int32), deltas)


def performer() -> Any:
    return characters.performer({"jawOpen": np.linspace(0.0, 1.0, 11), "mouthClose": np.zeros(11)})


def follower(character: Any, head: Any) -> Any:
    return targets.add(bpy.context.scene, character, head)


def select(obj: Any) -> None:
    for other in bpy.context.scene.objects:
        other.select_set(other == obj)
    bpy.context.view_layer.objects.active = obj


def test_a_character_that_was_deleted_in_the_viewport_counts_as_deleted() -> None:
    character = box()
    target = follower(character, performer())
    drive.go_live(target)
    select(character)
    bpy.ops.object.delete()
    with pytest.raises(CannotDrive, match="deleted"):
        drive.check(target)
    with pytest.raises(CannotDrive, match="deleted"):
        targets.make_override(bpy.context, target)
    assert not side_by_side.groups_of(bpy.context.scene)


def test_none_follows_what_follows_it() -> None:
    first, second = box("first"), box("second")
    one, two = follower(first, performer()), follower(second, first)
    one = targets.settings_of(bpy.context.scene).targets[0]
    drive.go_live(one)
    drive.go_live(two)
    one.source = second
    with pytest.raises(CannotDrive, match="follows “first” itself"):
        drive.go_live(one)
    drivers = first.data.shape_keys.animation_data.drivers
    assert all(curve.driver.variables[0].targets[0].id != second.data.shape_keys for curve in drivers)


def test_a_copy_of_a_live_character_gets_its_own_driver_back() -> None:
    character = box()
    character.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver.expression = "frame * 0.01"
    head = performer()
    drive.go_live(follower(character, head))
    copy = character.copy()
    copy.data = character.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    target = follower(copy, head)
    drive.go_live(target)
    drive.go_off(target)
    (own,) = copy.data.shape_keys.animation_data.drivers
    assert (own.data_path, own.mute, own.driver.expression) == ('key_blocks["jawOpen"].value', False, "frame * 0.01")


@pytest.mark.parametrize("by", ["deleted", "unlinked"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "baked again"])
def test_the_characters_own_action_comes_back_though_the_bake_is_gone(by: str, again: bool) -> None:
    character = box()
    character.data.shape_keys.key_blocks["jawOpen"].keyframe_insert("value", frame=1)
    own = compat.action_of(character.data.shape_keys)
    target = follower(character, performer())
    bake.bake(target, 1, 11)
    assert compat.action_of(character.data.shape_keys) != own
    if by == "deleted":
        bpy.data.actions.remove(target.baked)
    else:
        character.data.shape_keys.animation_data.action = None
    if again:
        bake.bake(target, 1, 11)
    bpy.ops.flowface.retarget_unbake()
    assert compat.action_of(character.data.shape_keys) == own
    assert target.before is None


def test_a_mesh_without_vertices_is_refused_in_words() -> None:
    character = box()
    target = follower(character, performer())
    character.data.clear_geometry()
    with pytest.raises(NoFace, match="no vertices"):
        faces.read_character(target)
    with pytest.raises(BadMapping, match="no vertices"):
        guess.guess(character, target.source)


def test_only_numbers_are_actions_of_a_source() -> None:
    empty = bpy.data.objects.new("props", None)
    empty["jawOpen"], empty["mouthClose"], empty["jawLeft"] = "wide", [1.0, 2.0], 0.5
    assert list(source.places(empty)) == ["jawLeft"]


def test_teeth_go_along_with_a_face_that_is_calibrated(shared_data: Path) -> None:
    face, top = characters.ict(shared_data), bpy.data.objects.new("top", None)
    teeth, stranger = box("teeth"), box("another's")
    bpy.context.scene.collection.objects.link(top)
    face.parent = teeth.parent = top
    head = characters.performer(characters.apple_curves(shared_data))
    for character in (stranger, teeth, face):
        next(link for link in follower(character, head).keys if link.key == "jawOpen").gain = 0.5
    assert bpy.ops.flowface.retarget_calibrate() == {"FINISHED"}
    listed = targets.settings_of(bpy.context.scene).targets
    gains = [next(link.gain for link in one.keys if link.key == "jawOpen") for one in listed]
    assert gains[0] == 0.5 and gains[1] == gains[2] > 0.6


def test_a_character_is_in_the_list_of_one_scene() -> None:
    character, head = box(), performer()
    follower(character, head)
    other = bpy.data.scenes.new("other")
    with pytest.raises(CannotDrive, match="list of the scene “Scene” already"):
        targets.add(other, character, head)
    assert not len(targets.settings_of(other).targets)
    bpy.data.scenes.remove(other)


def test_shape_keys_are_offered_only_for_actions_that_have_none_by_any_name(shared_data: Path) -> None:
    assert not face_mesh.missing(characters.facecap(shared_data))  # browDown_L and others
    character = box()
    assert len(face_mesh.missing(character)) == 50
    character.data.shape_keys.key_blocks["mouthClose"].name = "Fcl_EYE_Close"  # both sides at once are neither's own
    assert len(face_mesh.missing(character)) == 51


def test_a_new_link_without_a_key_is_not_a_missing_key() -> None:
    target = follower(box(), performer())
    bpy.ops.flowface.retarget_link_add()
    assert not drive.missing_keys(target)


def test_a_live_mapping_that_no_driver_can_hold_says_so_until_it_is_mended() -> None:
    target = follower(box(), performer())
    drive.go_live(target)
    for _ in range(12):
        link = target.keys.add()
        link.action, link.key, link.gain, link.low, link.high = "jawOpen", "jawOpen", 0.12345, 0.01234, 0.98765
    assert target.live and "Too many actions drive “jawOpen”" in target.problem
    while len(target.keys) > 2:
        target.keys.remove(len(target.keys) - 1)
    drive.refresh(target)
    assert target.live and not target.problem
