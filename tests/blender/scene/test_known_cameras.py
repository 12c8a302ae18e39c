"""A take whose cameras are known stands in the user's own scene, where those cameras see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import cv2
import numpy as np
import pytest
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from blender_addon import job, settings
from blender_addon.scene import build
from blender_addon.scene.known_cameras import KnownCameras
from blender_addon.scene.ownership import HEAD, ROOT, actors_of, camera_role, known_role, shown_views
from protocol.messages import CameraSpec
from protocol.take import CameraTrack, TakeResult

from ..takes import Shot, make_take, project, write_clip
from .test_build import show, shown_pixels

pytestmark = pytest.mark.usefixtures("addon")
SIZE = (160, 96)
TURN = Matrix.Rotation(0.5, 3, "X") @ Matrix.Rotation(2.0, 3, "Z")


def chosen() -> settings.FlowFaceSettings:
    return settings.of(bpy.context.scene)


def set_up(folder: Path, metres_per_unit: float = 1.0) -> list[bpy.types.Object]:
    """Two cameras of a user's scene that look at the same place half a metre before them, and what they filmed."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1600, 960
    scene.unit_settings.scale_length = metres_per_unit
    cameras = []
    for name, around in (("Shot", 0.0), ("Witness", 0.7)):
        data = bpy.data.cameras.new(name)
        data.lens, data.shift_x, data.shift_y = 60.0, 0.02, -0.03
        obj = bpy.data.objects.new(name, data)
        scene.collection.objects.link(obj)
        turn = (TURN @ Matrix.Rotation(around, 3, "Y")).to_4x4()
        place = Matrix.Translation(Vector((4, -7, 2)) / metres_per_unit)
        obj.matrix_world = place @ turn @ Matrix.Translation((0, 0, 0.55 / metres_per_unit))
        cameras.append(obj)
        write_clip(folder / f"{name}.mp4", *SIZE, count=12)
    bpy.context.view_layer.update()
    chosen().footage = str(folder / "Shot.mp4")
    bpy.ops.flowface.view_add(filepath=str(folder / "Witness.mp4"))
    chosen().cameras, chosen().camera = "SCENE", cameras[0]
    chosen().views[0].camera = cameras[1]
    return cameras


def tracked(scale: float = 1.0, gauge: NDArray | None = None) -> tuple[TakeResult, KnownCameras]:
    """The backend's result of the job: the known cameras, in a world that it may have moved, or scaled by the head."""
    spec, known_cameras = job.job_of(bpy.context)
    assert known_cameras is not None
    base = make_take(Shot(size=SIZE, focal=60 / 36 * 160))
    gauge = np.eye(4) if gauge is None else gauge
    views = tuple(_view(base.cameras[0], view.name, view.footage, view.camera, scale, gauge) for view in spec.views)
    # The head of the base take stands before the first camera: bring it to where that camera now is.
    first = np.vstack([views[0].world_to_camera[0], [0, 0, 0, 1]])
    to_world = np.linalg.inv(first)
    rotation = [cv2.Rodrigues(to_world[:3, :3] @ cv2.Rodrigues(r)[0])[0].ravel() for r in base.head_rotation]
    translation = base.head_translation * [1, 1, 0] + [0, 0, 0.55]
    translation = translation @ to_world[:3, :3].T + to_world[:3, 3]
    return replace(base, cameras=views, head_rotation=np.array(rotation), head_translation=translation), known_cameras


def _view(
    base: CameraTrack, name: str, footage: str, known: CameraSpec | None, scale: float, gauge: NDArray
) -> CameraTrack:
    assert known is not None
    extrinsics = np.vstack([np.reshape(known.world_to_camera, (3, 4)), [0, 0, 0, 1]])
    extrinsics[:3, 3] *= scale
    moved = (extrinsics @ np.linalg.inv(gauge))[:3]
    return replace(
        base,
        name=name,
        footage=footage,
        focal_px=np.full(12, known.focal_px),
        principal_point=np.array(known.principal_point),
        world_to_camera=np.tile(moved, (12, 1, 1)),
    )


def assert_seen_by_the_users_cameras(take: TakeResult, cameras: list[bpy.types.Object]) -> None:
    scene = bpy.context.scene
    collection = bpy.data.collections[take.name]
    for index, camera in enumerate(cameras):
        scene.camera = camera
        for frame in (0, 7):
            show(take.scene_frames[frame])
            expected = project(take, frame, index)
            assert np.ptp(expected, axis=0).min() > 30
            assert np.abs(shown_pixels(collection) - expected).max() < 0.05


GAUGE = np.eye(4)
GAUGE[:3, :3], GAUGE[:3, 3] = np.array(TURN), (0.3, -2.0, 1.0)


@pytest.mark.parametrize(
    ("metres_per_unit", "gauge"),
    [(1.0, None), (0.01, None), (1.0, GAUGE)],
    ids=["metres", "scene in centimetres", "solved in another world"],
)
def test_head_stands_where_the_known_cameras_see_it(
    tmp_path: Path, metres_per_unit: float, gauge: NDArray | None
) -> None:
    cameras = set_up(tmp_path, metres_per_unit)
    before = [(camera.matrix_world.copy(), camera.data.lens, camera.data.shift_x) for camera in cameras]
    take, known_cameras = tracked(gauge=gauge)
    build.build_take(bpy.context, take, known_cameras=known_cameras)
    bpy.context.view_layer.update()
    assert [(camera.matrix_world, camera.data.lens, camera.data.shift_x) for camera in cameras] == before
    assert bpy.context.scene.camera == cameras[0]
    assert_seen_by_the_users_cameras(take, cameras)
    head = bpy.data.collections["take"][HEAD]
    length = np.ptp([tuple(head.matrix_world @ v.co) for v in head.data.vertices], axis=0).max() * metres_per_unit
    assert 0.15 < length < 0.3, "a head stays as large as a head"


def test_further_heads_stand_where_the_known_camera_sees_them_wherever_the_root_is(tmp_path: Path) -> None:
    cameras = set_up(tmp_path)
    bpy.ops.flowface.view_remove()
    for step in range(2):  # tracked alone, then with somebody beside
        take, known = tracked()
        aside = np.linalg.inv(take.cameras[0].world_to_camera[0][:, :3]) @ (0.12, 0.0, 0.05)
        other = replace(take, name="other", head_translation=take.head_translation + aside)
        other = replace(other, report={"head_number": 2})
        both = replace(take, report={"faces_seen": 2}, others=(other,) if step else ())
        build.build_take(bpy.context, both, known_cameras=known)
        assert_seen_by_the_users_cameras(take, cameras[:1])
        if not step:
            bpy.data.collections[take.name][ROOT].location.x += 0.5
    beside = actors_of(bpy.data.collections[take.name])[0]
    show(take.scene_frames[7])
    assert np.abs(shown_pixels(beside) - project(other, 7)).max() < 0.05


def test_head_takes_the_scale_of_a_scene_that_is_not_to_scale(tmp_path: Path) -> None:
    """Seven times too large a camera solve: the backend finds the cameras a seventh as far apart."""
    cameras = set_up(tmp_path, 1 / 7)
    bpy.context.scene.unit_settings.scale_length = 1.0
    chosen().cameras_to_scale = False
    take, known_cameras = tracked(scale=1 / 7)
    build.build_take(bpy.context, take, known_cameras=known_cameras)
    assert_seen_by_the_users_cameras(take, cameras)
    head = bpy.data.collections["take"][HEAD]
    assert head.matrix_world.median_scale == pytest.approx(7, rel=1e-5)


def test_head_and_camera_are_where_they_were_when_track_was_pressed(tmp_path: Path) -> None:
    """Whoever moves the camera meanwhile moves the camera and not the head."""
    cameras = set_up(tmp_path)
    take, known_cameras = tracked()
    pose = cameras[0].matrix_world.copy()
    cameras[0].location.x += 1
    moved = cameras[0].location.x
    build.build_take(bpy.context, take, known_cameras=known_cameras)
    assert cameras[0].location.x == moved
    cameras[0].matrix_world = pose
    bpy.context.view_layer.update()
    assert_seen_by_the_users_cameras(take, cameras)


def test_known_cameras_are_used_and_never_replaced(tmp_path: Path) -> None:
    cameras = set_up(tmp_path)
    mine = cameras[1].data.background_images.new()
    take, known_cameras = tracked()
    collection = build.build_take(bpy.context, take, known_cameras=known_cameras)
    assert [obj.type for obj in collection.objects] == ["EMPTY", "ARMATURE", "MESH"]
    assert [view.camera for view in shown_views(collection)] == cameras
    (footage,) = cameras[0].data.background_images
    assert Path(footage.clip.filepath) == tmp_path / "Shot.mp4"
    assert list(cameras[1].data.background_images) == [mine] and mine.clip is None
    again = build.build_take(bpy.context, take, known_cameras=known_cameras)
    assert again == collection and len(bpy.data.cameras) == 2
    assert [camera.name for camera in cameras] == ["Shot", "Witness"]
    assert len(cameras[0].data.background_images) == 1

    solved = build.build_take(bpy.context, take)
    assert known_role("camera") not in solved and solved[camera_role("camera")] not in cameras
    assert [camera.name in bpy.context.scene.objects for camera in cameras] == [True, True]


def test_deleted_or_renamed_camera_is_built_anew_in_its_place(tmp_path: Path) -> None:
    cameras = set_up(tmp_path)
    take, known_cameras = tracked()
    chosen().camera = None
    bpy.data.objects.remove(cameras[0])
    collection = build.build_take(bpy.context, take, known_cameras=known_cameras)
    assert_seen_by_the_users_cameras(take, [collection[camera_role("camera")], cameras[1]])


def test_views_with_and_without_a_known_camera(tmp_path: Path) -> None:
    cameras = set_up(tmp_path)
    take, _ = tracked()
    chosen().views[0].camera = None
    spec, known_cameras = job.job_of(bpy.context)
    assert [view.camera is None for view in spec.views] == [False, True]
    collection = build.build_take(bpy.context, take, known_cameras=known_cameras)
    assert_seen_by_the_users_cameras(take, [cameras[0], collection[camera_role("Witness")]])


def test_cameras_of_an_earlier_take_can_be_known_to_the_next(tmp_path: Path) -> None:
    """Track, keep the solved cameras as known, track again: the take's old cameras hand over to new ones."""
    set_up(tmp_path)
    take, _ = tracked()
    first = build.build_take(bpy.context, take)
    chosen().camera = first[camera_role("camera")]
    chosen().views[0].camera = first[camera_role("Witness")]
    bpy.context.view_layer.update()
    again, known_cameras = tracked()
    collection = build.build_take(bpy.context, again, known_cameras=known_cameras)
    views = [view.camera for view in shown_views(collection)]
    assert chosen().camera == views[0] and chosen().views[0].camera == views[1]
    assert_seen_by_the_users_cameras(again, views)
