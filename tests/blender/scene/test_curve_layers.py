"""Layers over a take's curves: they do what they say, destroy nothing, and go through everything done to a take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon.scene import build, head_motion, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.curve_layers import apply as layers
from blender_addon.scene.curve_layers import bake
from blender_addon.scene.curve_layers.settings import Layer, LayerSettings
from blender_addon.scene.ownership import ARMATURE, HEAD
from protocol.take import TakeResult

from ..takes import Shot, make_take
from .test_retrack import LONG, curve_of, keys_of, other_run, part_of
from .test_versions import assert_same_keys

JAW = 'key_blocks["jawOpen"].value'
SMILE_LEFT, SMILE_RIGHT = (f'key_blocks["mouthSmile{side}"].value' for side in ("Left", "Right"))
NAMES = ("jawOpen", "browInnerUp", "mouthSmileLeft", "mouthSmileRight")
ALL = LayerSettings(
    by_region={
        "brows": Layer(smoothing=2.0),
        "jaw": Layer(gain=0.5, offset=0.1),
        "gaze": Layer(smoothing=1.0, gain=0.5),
        "pose": Layer(smoothing=2.0, gain=1.2),
    },
    by_action={"jawOpen": Layer(gain=0.9)},
    gaze_turn=(0.1, -0.05),
    symmetry=0.5,
    zero=(3.0, 4.0),
)


def arkit_take(shot: Shot = LONG) -> TakeResult:
    """A performance whose actions are named as ARKit names them."""
    take = make_take(shot)
    bounds = np.tile(np.array([0, 1], np.float32), (4, 1))
    head = replace(take.head, expression_names=NAMES, expression_bounds=bounds)
    return replace(take, head=head, expression=np.clip(np.abs(take.expression), 0, 1))


def values(collection: Any, path: str = JAW) -> NDArray[np.float64]:
    keys = curve_of(collection[HEAD].data.shape_keys, path).keyframe_points
    return np.array([key.co.y for key in keys])


def test_back_at_default_all_curves_are_as_they_were_tracked_bit_by_bit() -> None:
    collection = build.build_take(bpy.context, arkit_take())
    tracked = keys_of(collection)
    layers.change(collection, ALL)
    layered = keys_of(collection)
    changed = {path for path in tracked if tracked[path]["co"].tobytes() != layered[path]["co"].tobytes()}
    assert {path[:2] for path in tracked} - {path[:2] for path in changed} == {
        ("pose", '["tracking_error"]'),
    }
    layers.change(collection, replace(ALL, on=False))
    assert_same_keys(keys_of(collection), tracked)
    layers.change(collection, ALL)
    assert_same_keys(keys_of(collection), layered)
    layers.change(collection, LayerSettings())
    assert_same_keys(keys_of(collection), tracked)
    for block in versions.animated(collection).values():
        if block.animation_data is not None:
            assert layers.TRACKED not in block.animation_data.action, "nothing more is kept"


def test_gain_offset_and_mute_of_a_region_and_of_an_action() -> None:
    take = arkit_take()
    collection = build.build_take(bpy.context, take)
    mouth = take.expression[:, 2]
    layers.change(collection, LayerSettings(by_region={"mouth": Layer(gain=0.5, offset=0.1)}))
    assert values(collection, SMILE_LEFT) == pytest.approx(0.5 * mouth + 0.1, abs=1e-6)
    assert values(collection) == pytest.approx(take.expression[:, 0], abs=1e-7), "the jaw is another region"
    layers.change(
        collection,
        LayerSettings(by_region={"mouth": Layer(gain=2.0)}, by_action={"mouthSmileLeft": Layer(offset=-0.2)}),
    )
    assert values(collection, SMILE_LEFT) == pytest.approx(np.clip(2 * (mouth - 0.2), 0, 1), abs=1e-6)
    layers.change(collection, LayerSettings(by_action={"mouthSmileLeft": Layer(mute=True)}))
    assert (values(collection, SMILE_LEFT) == 0).all()
    assert values(collection, SMILE_RIGHT) == pytest.approx(take.expression[:, 3], abs=1e-7)


def test_symmetry_and_zero_frames() -> None:
    take = arkit_take()
    collection = build.build_take(bpy.context, take)
    left, right = take.expression[:, 2].astype(np.float64), take.expression[:, 3].astype(np.float64)
    layers.change(collection, LayerSettings(symmetry=1.0))
    for path in (SMILE_LEFT, SMILE_RIGHT):
        assert values(collection, path) == pytest.approx((left + right) / 2, abs=1e-6)
    layers.change(collection, LayerSettings(symmetry=0.5, symmetry_from="LEFT"))
    assert values(collection, SMILE_LEFT) == pytest.approx(left, abs=1e-6)
    assert values(collection, SMILE_RIGHT) == pytest.approx((left + right) / 2, abs=1e-6)
    layers.change(collection, LayerSettings(zero=(5.0, 6.0)))
    assert values(collection, SMILE_LEFT) == pytest.approx(np.clip(left - left[4:6].mean(), 0, 1), abs=1e-6)


def test_edits_made_by_hand_under_layers_stay_on_top() -> None:
    """A key that was moved up, one that was moved in time, one that was deleted, one that was made Bézier."""
    take = arkit_take()
    collection = build.build_take(bpy.context, take)
    half = LayerSettings(by_region={"jaw": Layer(gain=0.5)})
    layers.change(collection, half)
    curve = curve_of(collection[HEAD].data.shape_keys, JAW)
    points = curve.keyframe_points
    points[9].co.y += 0.25
    points[19].co.x += 0.5
    points[39].interpolation = "BEZIER"
    points.remove(points[29])
    edited, smile = keys_of(collection), values(collection, SMILE_LEFT)
    layers.change(collection, replace(half, zero=(1.0, 2.0)))
    layers.change(collection, half)
    after = keys_of(collection)["expression", JAW, 0]
    assert after["co"] == pytest.approx(edited["expression", JAW, 0]["co"], abs=1e-6)
    layers.change(collection, LayerSettings())
    shown, jaw = keys_of(collection)["expression", JAW, 0], take.expression[:, 0]
    frames = np.arange(1, 61.0)
    frames[19] += 0.5
    assert np.array_equal(shown["co"][:, 0], np.delete(frames, 29).astype(np.float32))
    assert shown["co"][9, 1] == pytest.approx(jaw[9] + 0.25, abs=1e-6)
    assert points[38].interpolation == "BEZIER" and points[37].interpolation == "LINEAR"
    untouched = [index for index in range(59) if index not in (9, 19)]
    assert np.array_equal(shown["co"][untouched, 1], np.delete(jaw, 29)[untouched])
    assert np.array_equal(values(collection, SMILE_LEFT), smile), "no layer was over it"


def test_a_part_that_is_tracked_again_goes_under_the_layers() -> None:
    take = arkit_take()
    collection, plain = (build.build_take(bpy.context, run) for run in (take, replace(take, name="other")))
    layers.change(collection, ALL)
    curve_of(collection[HEAD].data.shape_keys, JAW).keyframe_points[4].co.y = 0.875
    before = keys_of(collection)
    again = part_of(other_run(take), 30, 45)
    build.build_take(bpy.context, again)
    build.build_take(bpy.context, replace(again, name="other"))
    layers.change(plain, ALL)
    after, wanted = keys_of(collection), keys_of(plain)
    assert after["expression", JAW, 0]["co"][4, 1] == pytest.approx(0.875, abs=1e-6), "edited by hand, outside"
    after["expression", JAW, 0]["co"][4, 1] = wanted["expression", JAW, 0]["co"][4, 1]
    for path in wanted:
        if path[1] != "location":  # the takes stand beside each other
            assert after[path]["co"] == pytest.approx(wanted[path]["co"], abs=1e-6), path
    versions.switch(bpy.context, collection, 1)
    assert_same_keys(keys_of(collection), before)
    assert layers.settings_of(collection) == ALL


def test_each_version_has_its_layers() -> None:
    take = arkit_take()
    collection = build.build_take(bpy.context, take)
    layers.change(collection, ALL)
    build.build_take(bpy.context, other_run(take))
    assert layers.settings_of(collection) == ALL, "a new run is seen under the layers of the one before"
    layers.change(collection, LayerSettings())
    versions.switch(bpy.context, collection, 1)
    assert layers.settings_of(collection) == ALL
    versions.switch(bpy.context, collection, 2)
    assert layers.settings_of(collection) == LayerSettings()


def test_layers_go_with_a_saved_file_a_copy_and_another_start(tmp_path: Any) -> None:
    collection = build.build_take(bpy.context, arkit_take())
    tracked = keys_of(collection)
    layers.change(collection, ALL)
    layered = keys_of(collection)
    retime.retime(collection, start=101.0, speed=2.0)
    layers.apply(collection)
    moved = keys_of(collection)["expression", JAW, 0]["co"]
    assert moved[:, 1] == pytest.approx(layered["expression", JAW, 0]["co"][:, 1], abs=1e-6)
    retime.retime(collection, start=1.0, speed=1.0)
    layers.apply(collection)
    copy = takes.duplicate(bpy.context.scene, collection)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    names = collection.name, copy.name
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    for name in names:
        again = bpy.data.collections[name]
        assert_same_keys(keys_of(again), layered)
        assert layers.settings_of(again) == ALL
        layers.change(again, LayerSettings())
        assert_same_keys(keys_of(again), tracked)


@pytest.mark.parametrize("place", [head_motion.NECK, head_motion.CAMERA])
def test_head_pose_is_layered_wherever_it_is(place: str) -> None:
    collection = build.build_take(bpy.context, arkit_take())
    tracked = keys_of(collection)
    head_motion.move(collection, place)
    layers.change(collection, LayerSettings(by_region={"pose": Layer(mute=True)}))
    assert head_motion.place_of(collection) == place
    head_motion.move(collection, head_motion.HEAD)
    for index in range(3):
        held = keys_of(collection)["pose", "location", index]["co"][:, 1]
        assert np.ptp(held) < 1e-6 and held[0] == pytest.approx(tracked["pose", "location", index]["co"][:, 1].mean())
    layers.change(collection, LayerSettings())
    assert_same_keys(keys_of(collection), tracked)


def test_head_pose_is_more_or_less_of_its_way_from_its_mean() -> None:
    collection = build.build_take(bpy.context, arkit_take())
    rig = collection[ARMATURE]
    frames = np.arange(1, 61)

    def matrices() -> NDArray[np.float64]:
        out = []
        for frame in frames:
            bpy.context.scene.frame_set(int(frame))
            out.append(np.array(rig.matrix_world))
        return np.array(out)

    before = matrices()
    layers.change(collection, LayerSettings(by_region={"pose": Layer(mute=True)}))
    middle = matrices()[0]
    layers.change(collection, LayerSettings(by_region={"pose": Layer(gain=0.5)}))
    after = matrices()
    for one, half in zip(before, after, strict=True):
        turn, less = (np.linalg.inv(middle[:3, :3]) @ pose[:3, :3] for pose in (one, half))
        assert np.allclose(less @ less, turn, atol=1e-5), "twice half the turn is the turn"
        assert half[:3, 3] - middle[:3, 3] == pytest.approx((one[:3, 3] - middle[:3, 3]) / 2, abs=1e-5)


def test_weights_that_are_custom_properties_of_another_head_are_layered_and_thinned_out() -> None:
    names = ("mouthSmileLeft", "browInnerUp")
    weights = np.random.default_rng(4).uniform(0, 1, (60, 2)).astype(np.float32)
    collection = build.build_take(bpy.context, replace(make_take(LONG), action_names=names, actions=weights))
    tracked = keys_of(collection)
    smile, brow = (("actions", f'["{name}"]', 0) for name in names)
    layers.change(collection, LayerSettings(by_region={"mouth": Layer(gain=0.5)}))
    layered = keys_of(collection)
    assert layered[smile]["co"][:, 1] == pytest.approx(weights[:, 0] / 2, abs=1e-6)
    assert np.array_equal(layered[brow]["co"], tracked[brow]["co"])
    layers.change(collection, LayerSettings())
    assert_same_keys(keys_of(collection), tracked)
    bake.thin_out(collection, 6.0)
    curve = curve_of(collection[HEAD], brow[1])
    assert len(curve.keyframe_points) < 60
    off = [curve.evaluate(float(frame + 1)) - weights[frame, 1] for frame in range(60)]
    assert np.abs(off).max() <= 6.0 / bake.PROPERTY_REACH + 1e-5
