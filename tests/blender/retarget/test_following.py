"""What becomes of characters that follow a take when the take, the file or the scene changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import compat, curve_properties
from blender_addon.retarget import bake, drive, source, targets
from blender_addon.scene import build, ownership, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.plan import plan_for
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import characters
from tests.blender.retarget.followers import add, differs, facecap_key, follower, performance, played, the_target
from tests.blender.takes import Shot, make_take

pytestmark = pytest.mark.usefixtures("addon")


def follows(target: Any) -> bool:
    """True where the character plays what its source does, and moves at all."""
    character = target.object
    moved = played(character, [facecap_key("jawOpen"), facecap_key("eyeBlinkLeft")])
    return differs(character, target) < 1e-5 and np.ptp(moved) > 0.05


def test_versions_edits_and_layers_of_the_take_are_followed(shared_data: Path) -> None:
    _, target = follower(shared_data)
    take = source.take_of(target.source)
    characters.performer(performance(shared_data, 1))  # tracked again: version 2
    assert versions.current(take).number == 2
    assert follows(target)
    versions.switch(bpy.context, take, 1)
    assert follows(target)
    setattr(take, curve_properties.layer_property("jaw", curve_properties.GAIN), 0.5)
    assert follows(target)
    path = target.source.data.shape_keys.key_blocks["jawOpen"].path_from_id("value")
    curve = next(c for c in compat.action_curves(target.source.data.shape_keys) if c.data_path == path)
    curve.keyframe_points[96].co[1] = 0.9
    assert follows(target)
    assert played(target.object, ["jawOpen"])[0, 2] == pytest.approx(0.9)


def test_a_take_that_gets_another_head_is_followed(shared_data: Path) -> None:
    """The new head has one of the actions as a shape key; the others are properties of the object."""
    _, target = follower(shared_data)
    take = source.take_of(target.source)
    other = make_take(Shot(frame_count=268, name="actor"))
    actions = np.random.default_rng(2).uniform(0, 1, (268, 52)).astype(np.float32)
    other = replace(other, action_names=ARKIT_ACTIONS, actions=actions)
    plan = plan_for(bpy.context.scene, other)
    assert plan.other_head
    build.build_take(bpy.context, other, plan=plan.accept())
    bpy.context.view_layer.update()
    assert target.source == take[ownership.HEAD]
    assert {place.owner.id_type for place in source.places(target.source).values()} == {"KEY", "OBJECT"}
    assert follows(target)
    versions.switch(bpy.context, take, 1)
    bpy.context.view_layer.update()
    assert follows(target)


def test_a_copy_of_the_take_can_be_followed_instead(shared_data: Path) -> None:
    _, target = follower(shared_data)
    take = source.take_of(target.source)
    copy = takes.duplicate(bpy.context.scene, take)
    assert follows(target)
    target.source = copy[ownership.HEAD]
    takes.delete(take)
    bpy.context.view_layer.update()
    assert follows(target)


def test_it_survives_saving_and_undo_and_is_one_step(shared_data: Path, tmp_path: Path) -> None:
    character = characters.facecap(shared_data)
    before = character.data.shape_keys.animation_data.action.name
    add(character, characters.performer(performance(shared_data)))
    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.flowface.retarget_live() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="Live")
    assert bpy.ops.flowface.retarget_bake() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="Bake")
    bpy.ops.ed.undo()
    assert the_target().live and follows(the_target())
    bpy.ops.ed.undo()
    keys = the_target().object.data.shape_keys
    assert not len(keys.animation_data.drivers) and keys.animation_data.action.name == before
    bpy.ops.ed.redo()
    assert follows(the_target())
    bpy.ops.ed.redo()
    assert the_target().baked == compat.action_of(the_target().object.data.shape_keys)
    for live in (False, True):
        if live:
            drive.go_live(the_target())
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
        assert the_target().live == live and follows(the_target())
    targets.remove(bpy.context.scene, 0)
    keys = next(keys for keys in bpy.data.shape_keys if keys.animation_data.action.name == before)
    assert not len(keys.animation_data.drivers)


def linked(file: Path) -> Any:
    """An empty in a new scene that shows the character's collection of another file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(file), link=True) as (_, wanted):
        wanted.collections = ["Character"]
    empty = bpy.data.objects.new("Character", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", wanted.collections[0]
    bpy.context.scene.collection.objects.link(empty)
    bpy.context.view_layer.objects.active = empty
    empty.select_set(True)
    return empty


@pytest.mark.parametrize("animated", [True, False])
def test_an_override_in_a_second_file_is_driven_and_baked(shared_data: Path, tmp_path: Path, animated: bool) -> None:
    """With animation of its own, too: Blender keeps no drivers that an override gets beside it."""
    character = characters.facecap(shared_data)
    if not animated:
        character.data.shape_keys.animation_data_clear()
    collection = bpy.data.collections.new("Character")
    collection.objects.link(character)
    bpy.context.scene.collection.children.link(collection)
    file, shot = tmp_path / "character.blend", str(tmp_path / "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=str(file))

    linked(file)
    characters.performer(performance(shared_data))
    assert bpy.ops.flowface.retarget_add() == {"FINISHED"}
    target = the_target()
    assert target.object.library is not None
    with pytest.raises(RuntimeError, match="linked from another file"):
        bpy.ops.flowface.retarget_live()
    assert bpy.ops.flowface.retarget_override() == {"FINISHED"}
    assert target.object.override_library is not None and target.object.data.override_library is not None
    drive.go_live(target)
    assert follows(target)
    bpy.ops.wm.save_as_mainfile(filepath=shot)
    bpy.ops.wm.open_mainfile(filepath=shot)
    assert follows(the_target())
    bake.bake(the_target(), 1, 268)
    bpy.ops.wm.save_as_mainfile(filepath=shot)
    bpy.ops.wm.open_mainfile(filepath=shot)
    target = the_target()
    assert target.baked is not None and not target.live
    assert follows(target)
    targets.remove(bpy.context.scene, 0)
    action = compat.action_of(
        next(o for o in bpy.data.objects if o.override_library is not None and o.type == "MESH").data.shape_keys
    )
    assert (action is not None and action.library is not None) if animated else action is None


@pytest.mark.parametrize("link", [True, False], ids=["linked", "appended"])
def test_a_live_character_that_another_file_takes_plays_there(shared_data: Path, tmp_path: Path, link: bool) -> None:
    _, target = follower(shared_data)
    name, wanted = target.object.name, played(target.object, [facecap_key("jawOpen")])
    home = str(tmp_path / "home.blend")
    bpy.ops.wm.save_as_mainfile(filepath=home)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(home, link=link) as (_there, taken):
        taken.objects = [name]
    bpy.context.scene.collection.objects.link(taken.objects[0])
    shown = played(taken.objects[0], [facecap_key("jawOpen")])
    assert np.ptp(wanted) > 0.05
    assert np.abs(shown - wanted).max() < 1e-6
