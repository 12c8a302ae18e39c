"""Pins, masks and held keys: kept with the take, said as a job, and what was changed by hand found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import compat, refining, session
from blender_addon.client import Connection
from blender_addon.scene import build, carried, corrections, held, retime
from blender_addon.scene import takes as things
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.curve_layers import apply as layers
from blender_addon.scene.curve_layers.settings import Layer, LayerSettings
from blender_addon.scene.ownership import ARMATURE, HEAD, ROOT, camera_role
from blender_addon.scene.picture_lines import eye_of
from blender_addon.scene.surface import SurfacePoint
from protocol.messages import HeldKey, Mask, Pin
from protocol.take import TakeResult

from .takes import Shot, make_take

pytestmark = pytest.mark.usefixtures("addon")

POINT = SurfacePoint(17, (0.25, 0.5, 0.25))
CORNERS = [((10.0, 20.0), (0.0, 0.0, 0.1)), ((30.0, 20.0), (0.1, 0.0, 0.1)), ((30.0, 50.0), (0.1, 0.0, 0.2))]


def corrected(name: str = "take") -> bpy.types.Collection:
    """A take with one of each."""
    take = build.build_take(bpy.context, make_take(Shot(name=name)), job="job-1")
    corrections.add_pin(take, "camera", 7, POINT, (320.5, 181.25))
    corrections.add_mask(take, "camera", (3, 9), 4, CORNERS, follows=True)
    corrections.add_mask(take, "camera", (5, 5), 5)
    corrections.hold_key(take, 6, "gaze:left", (0.25, -0.125))
    return take


def said(take: bpy.types.Collection) -> tuple[Pin, Mask, Mask, HeldKey]:
    job = refining.job_of(bpy.context, take)
    assert (job.parent, job.name, job.frames) == ("job-1", take["flowface_take"].split("\n")[0], None)
    return (*job.pins, *job.masks, *job.keys)


EXPECTED = (
    Pin("camera", 7, 17, (0.25, 0.5, 0.25), (320.5, 181.25)),
    Mask("camera", (3, 9), tuple(position for position, _ in CORNERS), drawn_at=4),
    Mask("camera", (5, 5)),
    HeldKey(6, "gaze:left", (0.25, -0.125)),
)


def test_corrections_are_in_the_file_and_go_with_copies(tmp_path: Path) -> None:
    take = corrected()
    assert said(take) == EXPECTED
    things.rename(take, "Anna")
    twin = things.duplicate(bpy.context.scene, take)
    corrections.corrections_of(take).pins.clear()
    assert said(twin) == EXPECTED, "a duplicate has its own"
    name = twin.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert said(bpy.data.collections[name]) == EXPECTED
    assert not corrections.corrections_of(bpy.data.collections["Anna"]).pins


def test_removing_is_one_undo_step() -> None:
    corrected()
    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.flowface.pin_remove("EXEC_DEFAULT", True) == {"FINISHED"}
    assert not bpy.ops.flowface.pin_remove.poll()
    bpy.ops.ed.undo()
    assert said(bpy.data.collections["take"]) == EXPECTED


def test_going_to_a_correction_shows_its_frame_of_the_footage() -> None:
    take = corrected()
    bpy.ops.flowface.pin_go()
    assert bpy.context.scene.frame_current == 7
    retime.retime(take, start=101.0, speed=0.5)
    bpy.ops.flowface.pin_go()
    assert bpy.context.scene.frame_current == 113
    assert said(take) == EXPECTED, "corrections count as the footage does"


def test_the_preview_range_says_what_is_refined() -> None:
    take, scene = corrected(), bpy.context.scene
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 4, 99
    assert refining.job_of(bpy.context, take).frames == (4, 12)
    retime.retime(take, start=101.0, speed=0.5)
    scene.frame_preview_end, scene.frame_preview_start = 111, 107
    assert refining.job_of(bpy.context, take).frames == (4, 6)


@pytest.mark.parametrize("emptied", [False, True])
def test_refine_says_why_there_is_nothing_to_refine(emptied: bool) -> None:
    assert refining.missing(None) == "Track a take first"
    take = build.build_take(bpy.context, make_take(Shot()), job="job-1" if emptied else "")
    said = refining.missing(take)
    assert said.startswith("Nothing is corrected" if emptied else "No backend has tracked this take")
    assert not bpy.ops.flowface.refine.poll()


def test_a_backend_that_cannot_refine_is_named() -> None:
    corrected()
    now = session.current()
    assert bpy.ops.flowface.refine.poll(), "one may be started"
    now.connection, now.kinds = Connection.CONNECTED, ("track", "export")
    assert not bpy.ops.flowface.refine.poll() and now.cannot_refine.startswith("This backend cannot refine takes")
    now.kinds = ("track", "refine")
    assert bpy.ops.flowface.refine.poll() and now.cannot_refine == ""
    now.connection = Connection.CONNECTING


def test_a_mask_goes_along_with_the_head() -> None:
    """A corner that is drawn on the middle of the face stays there, in a take that was moved and scaled."""
    shot = make_take(Shot(moving_camera=True))
    take = build.build_take(bpy.context, shot)
    take[ROOT].location, take[ROOT].scale = (1, 2, 3), (2.0,) * 3
    eyes = shot.head.joints[3:].astype(np.float64)
    middle = eyes.mean(axis=0) + np.linalg.norm(eyes[0] - eyes[1]) * carried.MIDDLE
    places = None
    for index in (2, 9):
        bpy.context.scene.frame_set(int(shot.scene_frames[index]))
        graph = bpy.context.evaluated_depsgraph_get()
        eye = eye_of(take[camera_role("camera")], (640, 360), graph)
        head, expected = carried.head_matrix(take, graph), pixel_of(shot, index, middle)
        if places is None:
            places = carried.beside_head(eye, head, carried.face_middle(take), expected[None])
        assert np.abs(carried.seen_with_head(eye, head, places) - expected).max() < 0.05


def pixel_of(shot: TakeResult, index: int, point: NDArray) -> NDArray:
    """Where a take's camera sees a point (3,) of head space."""
    world = build.axes.rotation_matrices(shot.head_rotation[[index]])[0] @ point + shot.head_translation[index]
    seen = shot.cameras[0].world_to_camera[index] @ np.append(world, 1.0)
    return shot.cameras[0].focal_px[index] * seen[:2] / seen[2] + shot.cameras[0].principal_point


def test_what_was_changed_on_a_frame_is_found_and_nothing_else() -> None:
    shot = make_take(Shot())
    take = build.build_take(bpy.context, shot)
    scene, keys = bpy.context.scene, take[HEAD].data.shape_keys
    scene.frame_set(6)
    assert held.changed(take, 6.0, posed=True) == []
    keys.key_blocks["jawOpen"].value = 0.125  # moved without a key
    block = keys.key_blocks["browUp"]
    block.value = 0.75
    block.keyframe_insert("value", frame=6)
    assert [(c.channel, c.value) for c in held.changed(take, 6.0, posed=True)] == [
        ("action:jawOpen", (0.125,)),
        ("action:browUp", (0.75,)),
    ]
    scene.frame_set(9)
    assert held.changed(take, 9.0, posed=True) == [], "the key is on another frame"
    retime.retime(take, start=21.0, speed=0.5)
    scene.frame_set(31)
    assert [c.channel for c in held.changed(take, 31.0, posed=True)] == ["action:browUp"]


def test_gaze_and_head_are_handed_back_as_the_performance_has_them() -> None:
    """Moved to where another frame of the track has them, they are that frame's numbers."""
    shot = make_take(Shot())
    take = build.build_take(bpy.context, shot)
    take[ROOT].location, take[ROOT].scale = (1, 2, 3), (2.0,) * 3
    scene, rig = bpy.context.scene, take[ARMATURE]
    scene.frame_set(10)
    there = rig.location.copy(), rig.rotation_euler.copy(), rig.pose.bones["left_eye"].rotation_euler.copy()
    scene.frame_set(3)
    rig.location, rig.rotation_euler, rig.pose.bones["left_eye"].rotation_euler = there
    found = {change.channel: change.value for change in held.changed(take, 3.0, posed=held.knows_pose(take))}
    assert set(found) == {"gaze:left", "head_rotation", "head_translation"}
    assert np.allclose(found["gaze:left"], shot.gaze[9, 0], atol=1e-5)
    assert np.allclose(found["head_translation"], shot.head_translation[9], atol=1e-5)
    turned, expected = (
        np.array(build.axes.rotation_matrices(np.array([v]))) for v in (found["head_rotation"], shot.head_rotation[9])
    )
    assert np.allclose(turned, expected, atol=1e-5)


def values_of(take: bpy.types.Collection) -> dict[tuple[str, int], np.ndarray]:
    blocks = (take[HEAD].data.shape_keys, take[ARMATURE])
    return {
        (curve.data_path, curve.array_index): compat.read_numbers(curve, "co").copy()
        for block in blocks
        for curve in compat.action_curves(block)
    }


def refine(take: bpy.types.Collection, result: TakeResult) -> refining.Refined:
    """What building a refinement's result does with it."""
    job = refining.job_of(bpy.context, take)
    refined = refining.fitted(bpy.context.scene, take, job.parent, result)
    assert refined is not None and refined.plan.collection == take
    assert build.build_take(bpy.context, refined.take, match_scene=False, plan=refined.plan, job="job-2") == take
    refining.remember(take, refined)
    return refined


def moved_near(shot: TakeResult, *about: int) -> TakeResult:
    """A refinement's result as the backend sends it: all frames, of which those about the pins have moved."""
    near = [np.abs(shot.scene_frames - frame) <= 16 for frame in about]
    where = np.logical_or.reduce([np.zeros(len(shot.tracked), bool), *near])
    ranges = [[max(frame - 16, 1), min(frame + 16, 120)] for frame in about]
    return dataclasses.replace(
        shot,
        head_rotation=shot.head_rotation + 0.01 * where[:, None],
        expression=(shot.expression + 0.05 * where[:, None]).astype(np.float32),
        report={"refine": {"frames": ranges, "pins": [{}] * len(about)}},
    )


def test_refined_parts_leave_all_other_keys_and_taking_one_back_gives_the_track_again() -> None:
    """Two pins move two parts of 120 frames; a key of the user's between them stays, also when one is taken back."""
    shot = make_take(Shot(frame_count=120))
    take = build.build_take(bpy.context, shot, job="job-1")
    key = take[HEAD].data.shape_keys.key_blocks["jawOpen"]
    key.value = 0.5
    key.keyframe_insert("value", frame=60)
    tracked = values_of(take)
    frames = tracked["location", 0][:, 0]
    for frame in (20, 100):
        corrections.add_pin(take, "camera", frame, POINT, (320.0, 180.0))
    near = {frame: np.abs(shot.scene_frames - frame) <= 16 for frame in (20, 100)}

    def different() -> set[float]:
        now = values_of(take)
        assert now.keys() == tracked.keys()
        return {frame for path in now for frame in frames[(now[path] != tracked[path]).any(axis=1)]}

    refine(take, moved_near(shot, 20, 100))
    assert different() == {*shot.scene_frames[near[20] | near[100]]}
    assert session_words(take) == "Refined frames 4 to 36 and 84 to 116 by 2 pins."
    assert len([a for a in bpy.data.actions if a.name.startswith("take expression")]) == 2, "no piece is left behind"
    corrections.corrections_of(take).pins.remove(0)
    refine(take, moved_near(shot, 100))
    assert different() == {*shot.scene_frames[near[100]]}
    corrections.corrections_of(take).pins.clear()
    assert refining.missing(take) == ""
    refine(take, moved_near(shot))
    assert different() == set(), "bit by bit"
    assert session_words(take) == "Took back what was refined in frames 80 to 120."
    assert refining.missing(take).startswith("Nothing is corrected")
    assert [version.job for version in versions.all_of(take)] == ["job-1", *["job-2"] * 3]


def session_words(take: bpy.types.Collection) -> str:
    version = versions.current(take)
    return version.notes if version is not None else ""


def test_refined_parts_go_under_layers_and_what_was_edited_between_them_stays() -> None:
    shot = make_take(Shot(frame_count=120))
    take = build.build_take(bpy.context, shot, job="job-1")
    layers.change(take, LayerSettings(by_action={"jawOpen": Layer(gain=0.5)}))

    def jaw() -> dict[int, bpy.types.Keyframe]:
        path = take[HEAD].data.shape_keys.key_blocks["jawOpen"].path_from_id("value")
        curves = compat.action_curves(take[HEAD].data.shape_keys)
        (curve,) = (curve for curve in curves if curve.data_path == path)
        return {int(key.co.x): key for key in curve.keyframe_points}

    jaw()[60].co.y += 0.25
    for frame in (20, 100):
        corrections.add_pin(take, "camera", frame, POINT, (320.0, 180.0))
    refine(take, moved_near(shot, 20, 100))
    for frame, more, by_hand in ((20, 0.05, 0.0), (60, 0.0, 0.25), (100, 0.05, 0.0)):
        assert jaw()[frame].co.y == pytest.approx(0.5 * (shot.expression[frame - 1, 0] + more) + by_hand, abs=1e-5)
    layers.change(take, LayerSettings())
    assert jaw()[20].co.y == pytest.approx(shot.expression[19, 0] + 0.05, abs=1e-5)
