"""What can be done to a take, done together: each keeps what the others made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import refining, take_properties
from blender_addon.scene import build, corrections, error_on_head, ghost, head_motion, landmarks, plate, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.curve_layers import bake
from blender_addon.scene.ownership import ARMATURE, HEAD, actors_of, camera_role, takes_of
from blender_addon.scene.plan import plan_for
from blender_addon.scene.surface import SurfacePoint

from ..takes import Shot, make_take, write_clip
from .test_actors import SEEN, faces, together
from .test_build import show, shown_pixels
from .test_picture_lines import with_landmarks
from .test_retrack import other_run, part_of

pytestmark = pytest.mark.usefixtures("addon")


def two_heads_twice() -> tuple[Any, Any]:
    """A take with two heads, tracked twice."""
    first, second = faces()
    collection = build.build_take(bpy.context, together(first, second), job="one")
    build.build_take(bpy.context, together(other_run(first), other_run(second)), job="two")
    return collection, actors_of(collection)[0]


def test_no_head_is_compared_while_the_cameras_move_instead() -> None:
    collection, other = two_heads_twice()
    ghost.show(bpy.context, other, 1)
    bpy.context.view_layer.objects.active = collection[ARMATURE]
    assert bpy.ops.flowface.take_head_motion(where="CAMERA") == {"FINISHED"}
    assert ghost.shown_number(other) is None, "it would stay where the cameras are no longer"
    with pytest.raises(ghost.CannotCompare, match="of “take” to “On the Head”"):
        ghost.show(bpy.context, other, 1)


def test_a_face_that_joins_stands_where_the_moved_cameras_see_it() -> None:
    first, second = faces()
    view = replace(second.cameras[0], focal_px=second.cameras[0].focal_px * 1.2)
    alone = replace(second, name="take", cameras=(view,), report=SEEN)
    collection, seen = build.build_take(bpy.context, first), []
    for where in (head_motion.HEAD, head_motion.CAMERA):
        head_motion.move(collection, where)
        other = build.build_take(bpy.context, alone, plan=plan_for(bpy.context.scene, alone))
        assert head_motion.place_of(collection) == where
        show(8)
        seen.append(shown_pixels(other))
        takes.delete(other)
    assert np.abs(seen[0] - seen[1]).max() < 0.05


def test_what_was_seen_stays_known_when_the_version_is_deleted_that_a_part_or_bake_was_set_into() -> None:
    take = with_landmarks(make_take(Shot()))
    collection = build.build_take(bpy.context, take)
    build.build_take(bpy.context, part_of(with_landmarks(take, np.ones((3, 2))), 3, 9))
    baked = bake.bake(collection).version
    seen = [landmarks.landmarks_at(collection, "camera", frame) for frame in (2, 7)]
    for number in (2, 1):
        takes.delete_version(bpy.context, collection, number)
        assert versions.current(collection).number == baked.number
        for frame, before in zip((2, 7), seen, strict=True):
            found = landmarks.landmarks_at(collection, "camera", frame)
            assert found is not None and before is not None
            np.testing.assert_array_equal(found.seen, before.seen)
    assert (seen[0].seen != seen[1].seen).any()


def test_errors_switched_off_are_on_no_version_of_the_head() -> None:
    take = with_landmarks(make_take(Shot()))
    collection = build.build_take(bpy.context, take)
    setattr(collection, take_properties.ERROR, True)
    first = collection[HEAD].data
    other = replace(take, head=replace(take.head, head_id="other", expression_names=("a", "b", "c", "d")))
    build.build_take(bpy.context, other, plan=plan_for(bpy.context.scene, other).accept())
    assert collection[HEAD].data != first and error_on_head.errors_of(collection[HEAD].data) is not None
    setattr(collection, take_properties.ERROR, False)
    versions.switch(bpy.context, collection, 1)
    assert collection[HEAD].data == first and error_on_head.errors_of(first) is None


def over_footage(tmp_path: Path) -> Any:
    clip = write_clip(tmp_path / "clip.mp4", 320, 192)
    collection = build.build_take(bpy.context, make_take(Shot(footage=str(clip), size=(320, 192))))
    retime.retime(collection, start=11.0, speed=0.5)
    setattr(collection, take_properties.PLATE, True)
    return collection


def test_the_plate_of_a_full_copy_of_the_scene_plays_by_its_own_timing(tmp_path: Path) -> None:
    collection = over_footage(tmp_path)
    own = plate.plate_of(collection).material_slots[0].material
    bpy.ops.scene.new(type="FULL_COPY")
    copy = next(take for scene in bpy.data.scenes for take in takes_of(scene) if take != collection)
    retime.retime(copy, start=31.0)
    for take in (collection, copy):
        tree = plate.plate_of(take).material_slots[0].material.node_tree
        (driver,) = (curve.driver for curve in tree.animation_data.drivers)
        assert driver.variables[0].targets[0].id == take[camera_role("camera")].data
    assert plate.plate_of(collection).material_slots[0].material == own


def test_a_plate_goes_with_a_camera_that_the_user_deletes(tmp_path: Path) -> None:
    collection = over_footage(tmp_path)
    camera = collection[camera_role("camera")]
    with bpy.context.temp_override(selected_objects=[camera], selected_ids=[camera]):
        bpy.ops.object.delete()
    retime.retime(collection, start=1.0)
    assert plate.plate_of(collection) is None
    setattr(collection, take_properties.PLATE, True)
    assert not getattr(collection, take_properties.PLATE), "nobody sees the footage"


def test_what_was_refined_is_taken_back_from_a_bake_of_it_too() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take, job="tracked")
    build.build_take(bpy.context, part_of(other_run(take), 3, 9), job="refined")
    versions.keep(collection, 2, refining.REFINED, {"base": "tracked", "ranges": [3, 9]})
    bake.bake(collection)
    assert not refining.missing(collection) and refining.job_of(bpy.context, collection).parent == "tracked"


def test_a_pin_is_not_taken_for_a_point_of_another_head() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take, job="tracked")
    corrections.add_pin(collection, "camera", 5, SurfacePoint(17, (1.0, 0.0, 0.0)), (320.0, 180.0))
    other = replace(take, head=replace(take.head, head_id="other", expression_names=("a", "b", "c", "d")))
    build.build_take(bpy.context, other, plan=plan_for(bpy.context.scene, other).accept(), job="other")
    with pytest.raises(refining.CannotRefine, match="“Pin 1” is on another head"):
        refining.job_of(bpy.context, collection)
    versions.switch(bpy.context, collection, 1)
    assert len(refining.job_of(bpy.context, collection).pins) == 1


def test_what_is_drawn_of_a_take_is_drawn_of_its_copy() -> None:
    collection = build.build_take(bpy.context, with_landmarks(make_take(Shot())))
    setattr(collection, take_properties.WIREFRAME, True)
    setattr(collection, take_properties.ERROR, True)
    setattr(collection, take_properties.STRIP, False)
    twin = takes.duplicate(bpy.context.scene, collection)
    switches = [
        getattr(twin, name) for name in (take_properties.WIREFRAME, take_properties.ERROR, take_properties.STRIP)
    ]
    assert switches == [True, True, False]
    bpy.context.scene.frame_set(5)
    errors = [error_on_head.errors_of(take[HEAD].data) for take in (collection, twin)]
    np.testing.assert_allclose(errors[0], errors[1], atol=1e-3)
