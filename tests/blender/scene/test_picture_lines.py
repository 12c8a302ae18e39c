"""What is drawn over the footage: the landmarks that were seen, beside the head's own, and the edges in sight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon.scene import build, ownership, picture_lines, retime
from blender_addon.scene import versions_of_take as versions
from protocol import arrays
from protocol.take import TakeResult

from ..takes import Shot, make_take, project

pytestmark = pytest.mark.usefixtures("addon")
INTER_OCULAR = 0.08
OFF = np.array([[0.0, 0.0], [3.0, -4.0], [0.5, 0.0]])


def with_landmarks(take: TakeResult, off: NDArray[np.float64] = OFF) -> TakeResult:
    """The take with three of its vertices as landmarks, seen a few pixels off where the head has them.

    The third is not seen in the first frame.
    """
    vertices = np.array([20, 25, 90])
    seen = np.stack([project(take, frame)[vertices] + off for frame in range(len(take.tracked))]).astype(np.float32)
    seen[0, 2] = np.nan
    return replace(
        take,
        head=replace(take.head, inter_ocular=INTER_OCULAR),
        landmark_vertices=np.repeat(vertices[:, None], 3, axis=1).astype(np.int32),
        landmark_barycentric=np.tile(np.float32([0.5, 0.25, 0.25]), (3, 1)),
        cameras=(replace(take.cameras[0], landmarks_px=seen),),
    )


def found_at(collection: Any, frame: int) -> Any:
    bpy.context.scene.frame_set(frame)
    view = ownership.shown_views(collection)[0]
    return picture_lines.landmarks_of(collection, view, frame, bpy.context.evaluated_depsgraph_get())


def shifted(found: Any, collection: Any) -> NDArray[np.float64]:
    """Pixels by which the landmarks were seen off the head's."""
    view = ownership.shown_views(collection)[0]
    eye = picture_lines.eye_of(view.camera, view.size, bpy.context.evaluated_depsgraph_get())
    return eye.pixels(found.seen) - eye.pixels(found.on_head)


@pytest.mark.parametrize(
    "shot",
    [
        Shot(principal_point=(300.0, 200.0), moving_camera=True, zoom=True),
        Shot(size=(360, 640), first_frame=101),
    ],
    ids=["moving", "upright"],
)
def test_landmarks_are_where_they_were_seen_and_the_head_is_where_it_is(shot: Shot) -> None:
    take = with_landmarks(make_take(shot))
    collection = build.build_take(bpy.context, take)
    collection["flowface_root"].scale = (2.0,) * 3
    for index in (1, 8):
        found = found_at(collection, shot.first_frame + index)
        np.testing.assert_allclose(shifted(found, collection), OFF, atol=0.05)
        camera = take.cameras[0]
        depth = take.head_translation[index, 2] if not shot.moving_camera else None
        if depth is not None:
            unit = camera.focal_px[index] * INTER_OCULAR / depth
            assert found.error[1] == pytest.approx(100 * 5 / unit, rel=0.2), "percent of the inter-ocular distance"
        assert found.error[0] < 0.05
    assert found_at(collection, shot.first_frame).number.tolist() == [0, 1]
    assert found_at(collection, shot.first_frame + 40) is None


def test_an_edited_head_is_off_by_what_it_was_moved() -> None:
    collection = build.build_take(bpy.context, with_landmarks(make_take(Shot())))
    before = found_at(collection, 3)
    collection[ownership.HEAD].data.shape_keys.key_blocks["smile_L"].mute = True
    after = found_at(collection, 3)
    np.testing.assert_allclose(after.seen[:, 0], before.seen[:, 0], atol=2e-4)
    assert (np.abs(after.error - before.error) > 0.1).any()


def test_landmarks_follow_timing_versions_parts_and_the_file(tmp_path: Path) -> None:
    plain = make_take(Shot())
    collection = build.build_take(bpy.context, with_landmarks(plain))
    again = arrays.at_frames(with_landmarks(plain, 2 * OFF), np.arange(4, 7))
    build.build_take(bpy.context, again)
    np.testing.assert_allclose(shifted(found_at(collection, 6), collection), 2 * OFF, atol=0.1)
    outside = shifted(found_at(collection, 10), collection)
    np.testing.assert_allclose(outside, OFF, atol=0.05, err_msg="outside of it the version before saw them")
    retime.retime(collection, start=101.0, speed=0.5)
    np.testing.assert_allclose(shifted(found_at(collection, 101 + 2 * 9), collection), OFF, atol=0.05)
    retime.retime(collection, start=1.0, speed=1.0)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "take.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "take.blend"))
    collection = bpy.data.collections["take"]
    np.testing.assert_allclose(shifted(found_at(collection, 10), collection), OFF, atol=0.05)
    versions.switch(bpy.context, collection, 1)
    np.testing.assert_allclose(shifted(found_at(collection, 6), collection), OFF, atol=0.05)


def test_a_take_without_landmarks_and_a_hidden_head_have_none() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    assert found_at(collection, 3) is None
    bpy.data.collections.remove(collection)
    collection = build.build_take(bpy.context, with_landmarks(make_take(Shot())))
    collection[ownership.HEAD].hide_viewport = True
    assert found_at(collection, 3) is None


def test_a_head_in_edit_mode_has_none_and_sculpting_changes_nothing() -> None:
    collection = build.build_take(bpy.context, with_landmarks(make_take(Shot())))
    collection.flowface_show_error = True
    head = collection[ownership.HEAD]
    bpy.context.view_layer.objects.active = head
    head.select_set(True)
    for mode, there in (("EDIT", False), ("SCULPT", True), ("OBJECT", True)):
        bpy.ops.object.mode_set(mode=mode)
        assert (found_at(collection, 3) is not None) == there, mode


def test_edges_that_face_the_camera_are_in_sight_and_none_behind() -> None:
    """Seen from any side a ball shows half of its edges, those of the near side."""
    collection = build.build_take(bpy.context, make_take(Shot()))
    for key in collection[ownership.HEAD].data.shape_keys.key_blocks[1:]:
        key.mute = True
    bpy.context.scene.frame_set(4)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    posed = picture_lines.posed_head(collection[ownership.HEAD], depsgraph)
    view = ownership.shown_views(collection)[0]
    place = picture_lines.eye_of(view.camera, view.size, depsgraph).place
    skin = 14 * 9 + 2
    centre = posed.points[:skin].mean(axis=0)
    edges = picture_lines.visible_edges(posed, place)
    assert edges.max() < skin, "eyes and what is in the mouth are not drawn"
    towards = (posed.points[edges].mean(axis=1) - centre) @ (place - centre) / np.linalg.norm(place - centre)
    assert towards.min() > -0.01 and len(edges) > 100
    far = picture_lines.visible_edges(posed, 2 * centre - place)
    assert len(set(map(tuple, edges.tolist())) & set(map(tuple, far.tolist()))) < 0.3 * len(edges)
