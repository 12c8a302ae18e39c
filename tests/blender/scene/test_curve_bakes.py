"""What a take shows becomes the keys of a new version: as it is, or by few Bézier keys within some millimetres."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import compat
from blender_addon.keys import BEZIER
from blender_addon.scene import build, head_motion, held
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.curve_layers import apply as layers
from blender_addon.scene.curve_layers import bake
from blender_addon.scene.curve_layers.bezier import evaluated
from blender_addon.scene.curve_layers.settings import LayerSettings
from blender_addon.scene.ownership import ARMATURE, HEAD

from ..takes import Shot
from .test_curve_layers import ALL, JAW, arkit_take
from .test_retrack import LONG, curve_of, keys_of
from .test_versions import assert_same_keys


def seen(collection: Any, frames: NDArray[Any]) -> NDArray[np.float64]:
    """Where the evaluated mesh's vertices are in the world (T,V,3)."""
    out = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame), subframe=float(frame % 1))
        head = collection[HEAD].evaluated_get(bpy.context.evaluated_depsgraph_get())
        points = np.empty(3 * len(head.data.vertices), np.float32)
        head.data.vertices.foreach_get("co", points)
        matrix = np.array(head.matrix_world)
        out.append(points.reshape(-1, 3).astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3])
    return np.array(out)


def test_a_bake_is_a_version_that_shows_the_same_without_layers() -> None:
    collection = build.build_take(bpy.context, arkit_take())
    layers.change(collection, ALL)
    shown = keys_of(collection)
    made = bake.bake(collection)
    assert [version.number for version in versions.all_of(collection)] == [1, 2] and made.version.number == 2
    assert_same_keys(keys_of(collection), shown)
    assert layers.settings_of(collection) == LayerSettings()
    layers.apply(collection)
    assert_same_keys(keys_of(collection), shown)
    curve_of(collection[HEAD].data.shape_keys, JAW).keyframe_points[3].co.y = 0.9
    versions.switch(bpy.context, collection, 1)
    assert_same_keys(keys_of(collection), shown)
    layers.change(collection, LayerSettings())
    versions.switch(bpy.context, collection, 2)
    assert keys_of(collection)["expression", JAW, 0]["co"][3, 1] == pytest.approx(0.9), "an Action of its own"


@pytest.mark.parametrize("thin", [False, True])
def test_what_was_baked_is_not_taken_for_edited_by_hand(thin: bool) -> None:
    collection = build.build_take(bpy.context, arkit_take())
    layers.change(collection, ALL)
    if thin:
        bake.thin_out(collection, 1.0)
    else:
        bake.bake(collection)
    curve = curve_of(collection[HEAD].data.shape_keys, JAW)
    key = curve.keyframe_points[len(curve.keyframe_points) // 2]
    bpy.context.scene.frame_set(int(key.co.x))
    assert held.changed(collection, key.co.x, posed=True) == []
    key.co.y += 0.2
    bpy.context.scene.frame_set(int(key.co.x))
    assert [change.channel for change in held.changed(collection, key.co.x, posed=True)] == ["action:jawOpen"]


@pytest.mark.parametrize("bound", [0.3, 3.0])
@pytest.mark.parametrize("mode", ["YXZ", "QUATERNION"])
def test_every_point_of_the_evaluated_mesh_is_within_the_bound_on_every_frame(bound: float, mode: str) -> None:
    collection = build.build_take(bpy.context, arkit_take())
    collection[ARMATURE].rotation_mode = mode
    build.build_take(bpy.context, arkit_take())  # keys the rotation in its mode
    frames = np.arange(1, 61)
    before = seen(collection, frames)
    made = bake.thin_out(collection, bound)
    distance = 1000 * np.linalg.norm(seen(collection, frames) - before, axis=2)
    assert distance.max() <= bound
    assert made.after < made.before == 60 * (4 + 3 + 6 + (3 if mode == "YXZ" else 4))
    keys = compat.read_keys(curve_of(collection[HEAD].data.shape_keys, JAW))
    assert (keys.numbers["interpolation"] == BEZIER).all()
    versions.switch(bpy.context, collection, 1)


def test_a_calm_performance_needs_few_keys_and_comes_close_to_the_bound() -> None:
    """A face that moves as slowly as faces do: a bound that is never nearly reached would waste keys."""
    take = arkit_take(Shot(frame_count=100))
    t = np.linspace(0, 1, 100)
    take.expression[:] = np.stack([0.5 + 0.4 * np.sin(9 * t + k) for k in range(4)], axis=1)
    collection = build.build_take(bpy.context, take)
    before = seen(collection, np.arange(1, 101))
    made = bake.thin_out(collection, 1.0)
    distance = 1000 * np.linalg.norm(seen(collection, np.arange(1, 101)) - before, axis=2)
    assert made.after < made.before / 5
    assert 0.2 < distance.max() <= 1.0


def test_curves_between_bezier_keys_are_what_blender_makes_of_them() -> None:
    collection = build.build_take(bpy.context, arkit_take())
    bake.thin_out(collection, 3.0)
    curve = curve_of(collection[HEAD].data.shape_keys, JAW)
    curve.keyframe_points[1].interpolation = "CONSTANT"
    curve.keyframe_points[2].handle_right_type = "FREE"
    curve.keyframe_points[2].handle_right.x += 30
    frames = np.linspace(-3, 70, 500)
    wanted = [curve.evaluate(float(frame)) for frame in frames]
    assert evaluated(compat.read_keys(curve), frames) == pytest.approx(wanted, abs=1e-4)


def test_layers_over_a_thinned_out_version_and_back() -> None:
    """Gain acts on keys and handles; what looks at other frames makes a key on each."""
    collection = build.build_take(bpy.context, arkit_take())
    bake.thin_out(collection, 2.0)
    thinned = keys_of(collection)
    curve = curve_of(collection[HEAD].data.shape_keys, JAW)
    frames = np.linspace(1, 60, 200)
    before = np.array([curve.evaluate(float(frame)) for frame in frames])
    count = len(curve.keyframe_points)
    layers.change(collection, LayerSettings().with_region("jaw", gain=0.5))
    assert len(curve.keyframe_points) == count
    assert [curve.evaluate(float(frame)) for frame in frames] == pytest.approx(before / 2, abs=1e-5)
    layers.change(collection, ALL)
    layers.change(collection, LayerSettings().with_region("jaw", smoothing=1.0))
    assert len(curve.keyframe_points) == 60
    layers.change(collection, LayerSettings())
    assert_same_keys(keys_of(collection), thinned)


def test_head_motion_of_a_thinned_out_version_goes_to_the_neck_as_it_is() -> None:
    collection = build.build_take(bpy.context, arkit_take(LONG))
    bake.thin_out(collection, 2.0)
    thinned, frames, eyes = keys_of(collection), np.arange(1, 61), slice(-60, None)
    before = seen(collection, frames)[:, eyes]
    head_motion.move(collection, head_motion.CAMERA)
    head_motion.move(collection, head_motion.NECK)
    assert 1000 * np.abs(seen(collection, frames)[:, eyes] - before).max() < 0.01
    head_motion.move(collection, head_motion.HEAD)
    assert_same_keys(keys_of(collection), thinned)
