"""The layers' properties and operators, as the panel has them."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import curve_properties as curves
from blender_addon.scene import build, retime
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.curve_layers.settings import LayerSettings
from blender_addon.scene.ownership import HEAD, takes_of

from .scene.test_curve_layers import JAW, arkit_take, values
from .scene.test_retrack import curve_of, keys_of
from .scene.test_versions import assert_same_keys

pytestmark = pytest.mark.usefixtures("addon")


def test_each_slider_says_what_it_was_set_to_and_reset_takes_all_off() -> None:
    take = build.build_take(bpy.context, arkit_take())
    tracked, jaw = keys_of(take), values(take)
    for name, prop in curves.properties().items():
        kind = take.bl_rna.properties[name]
        if kind.type == "FLOAT":
            setattr(take, name, 0.25)
            assert getattr(take, name) == pytest.approx(0.25), name
        assert prop is not None
    assert not np.allclose(values(take), jaw)
    setattr(take, curves.SYMMETRY_FROM, "RIGHT")
    assert getattr(take, curves.SYMMETRY_FROM) == "RIGHT"
    assert bpy.ops.flowface.curves_reset() == {"FINISHED"}
    assert curves.of(take) == LayerSettings()
    assert_same_keys(keys_of(take), tracked)


def test_a_slider_of_one_action() -> None:
    take = build.build_take(bpy.context, arkit_take())
    jaw, other = values(take), values(take, 'key_blocks["mouthSmileLeft"].value')
    setattr(take, curves.ACTION, "jawOpen")
    setattr(take, curves.layer_property(curves.ONE, curves.GAIN), 0.5)
    assert values(take) == pytest.approx(jaw / 2)
    setattr(take, curves.ACTION, "mouthSmileLeft")
    assert getattr(take, curves.layer_property(curves.ONE, curves.GAIN)) == 1.0
    assert np.array_equal(values(take, 'key_blocks["mouthSmileLeft"].value'), other)


def test_zero_frames_are_the_scenes_wherever_the_take_starts() -> None:
    take = build.build_take(bpy.context, arkit_take())
    bpy.context.scene.frame_set(7)
    setattr(take, curves.ZERO, True)
    assert (getattr(take, curves.ZERO_FIRST), getattr(take, curves.ZERO_LAST)) == (7, 7)
    assert values(take)[6] == 0
    setattr(take, curves.ZERO_FIRST, 9)
    assert (getattr(take, curves.ZERO_FIRST), getattr(take, curves.ZERO_LAST)) == (9, 9)
    retime.retime(take, start=101.0)
    assert getattr(take, curves.ZERO_FIRST) == 109
    setattr(take, curves.ZERO, False)
    assert curves.of(take) == LayerSettings()


def test_one_undo_takes_back_a_slider_with_its_curves() -> None:
    take = build.build_take(bpy.context, arkit_take())
    jaw = values(take)
    bpy.ops.ed.undo_push(message="before")
    setattr(take, curves.layer_property("jaw", curves.GAIN), 0.5)
    bpy.ops.ed.undo_push(message="Gain")
    bpy.ops.ed.undo()
    take = takes_of(bpy.context.scene)[0]
    assert curves.of(take) == LayerSettings() and np.array_equal(values(take), jaw)
    bpy.ops.ed.redo()
    take = takes_of(bpy.context.scene)[0]
    assert values(take) == pytest.approx(jaw / 2)


@pytest.mark.parametrize("operator", ["curves_bake", "curves_thin_out"])
def test_what_is_made_is_followed_by_other_objects_with_the_takes_action(operator: str) -> None:
    take = build.build_take(bpy.context, arkit_take())
    setattr(take, curves.layer_property("jaw", curves.MUTE), True)
    other = take[HEAD].copy()
    other.data = take[HEAD].data.copy()
    bpy.context.collection.objects.link(other)
    animation: Any = other.data.shape_keys.animation_data_create()
    animation.action = take[HEAD].data.shape_keys.animation_data.action
    assert getattr(bpy.ops.flowface, operator)() == {"FINISHED"}
    assert [version.number for version in versions.all_of(take)] == [1, 2]
    assert animation.action == take[HEAD].data.shape_keys.animation_data.action
    assert (values(take) == 0).all()
    assert len(curve_of(take[HEAD].data.shape_keys, JAW).keyframe_points) == (2 if operator != "curves_bake" else 60)
