"""Blender shows what was fitted, and the scene behaves like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from numpy.typing import NDArray

from blender_addon import compat
from blender_addon.scene import build, footage
from blender_addon.scene.ownership import ARMATURE, HEAD, camera_role
from protocol import arrays
from protocol.take import NOT_TRACKED

from ..stamps import emptied_compositor
from ..takes import EXPRESSIONS, Shot, frame_picture, make_take, project, write_clip

SHOTS = {
    "landscape": Shot(),
    "portrait": Shot(size=(360, 640)),
    "square": Shot(size=(512, 512)),
    "off-centre principal point": Shot(principal_point=(290.0, 220.0)),
    "portrait, off-centre principal point": Shot(size=(360, 640), principal_point=(150.0, 350.0)),
    "rotated video": Shot(size=(360, 640), rotation=90),
    "starts at frame 1001": Shot(first_frame=1001),
    "fractional frames": Shot(fractional=True, frame_rate=29.97),
    "moving, zooming camera": Shot(moving_camera=True, zoom=True),
    "wide lens, close": Shot(focal=400.0),
}


def show(frame: float) -> None:
    bpy.context.scene.frame_set(int(np.floor(frame)), subframe=float(frame - np.floor(frame)))


def shown_pixels(collection: bpy.types.Collection) -> NDArray:
    """The head's vertices in the picture by Blender's own evaluation, (V,2) pixels from the top left."""
    scene = bpy.context.scene
    depsgraph = bpy.context.evaluated_depsgraph_get()
    head = collection[HEAD].evaluated_get(depsgraph)
    mesh = head.to_mesh()
    pixels = []
    for vertex in mesh.vertices:
        x, y, _ = world_to_camera_view(scene, scene.camera.evaluated_get(depsgraph), head.matrix_world @ vertex.co)
        pixels.append((x * scene.render.resolution_x, (1 - y) * scene.render.resolution_y))
    head.to_mesh_clear()
    return np.array(pixels)


@pytest.mark.parametrize("shot", SHOTS.values(), ids=SHOTS)
def test_blender_shows_what_was_fitted(shot: Shot) -> None:
    take = make_take(shot)
    collection = build.build_take(bpy.context, take)
    for index in (0, 3, 7, len(take.scene_frames) - 1):
        show(take.scene_frames[index])
        expected = project(take, index)
        assert np.ptp(expected, axis=0).min() > 50, "the head must fill a good part of the picture to tell anything"
        assert np.abs(shown_pixels(collection) - expected).max() < 0.05


def test_every_view_has_its_own_camera() -> None:
    """Two views of one performance: a still camera and one that moves and zooms, with pictures of different shapes."""
    still = make_take(Shot())
    moving = make_take(Shot(size=(360, 640), moving_camera=True, zoom=True, focal=700.0))
    views = (still.cameras[0], replace(moving.cameras[0], name="witness"))
    take = replace(still, cameras=views)
    collection = build.build_take(bpy.context, take)
    scene = bpy.context.scene
    for index, view in enumerate(views):
        scene.camera = collection[camera_role(view.name)]
        scene.render.resolution_x, scene.render.resolution_y = view.image_size
        show(take.scene_frames[6])
        assert np.abs(shown_pixels(collection) - project(take, 6, index)).max() < 0.05


def test_scene_takes_over_size_rate_and_range() -> None:
    build.build_take(bpy.context, make_take(Shot(size=(360, 640), first_frame=1001, frame_rate=30000 / 1001)))
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (360, 640)
    assert (scene.frame_start, scene.frame_end) == (1001, 1012)
    assert scene.render.fps == 30
    assert scene.render.fps / scene.render.fps_base == pytest.approx(30000 / 1001, rel=1e-6)


def test_scene_settings_stay_when_asked() -> None:
    scene = bpy.context.scene
    before = (scene.render.resolution_x, scene.render.fps, scene.frame_start, scene.frame_end)
    build.build_take(bpy.context, make_take(Shot(first_frame=1001)), match_scene=False)
    assert (scene.render.resolution_x, scene.render.fps, scene.frame_start, scene.frame_end) == before
    assert scene.camera is not None


def test_head_has_shape_keys_parts_uv_weights_and_smooth_shading() -> None:
    take = make_take(Shot())
    head = build.build_take(bpy.context, take)[HEAD]
    keys = head.data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *EXPRESSIONS]
    assert (keys["jawOpen"].slider_min, keys["jawOpen"].slider_max) == (0.0, 1.0)
    assert keys["free"].slider_max >= take.expression[:, 3].max() > 3, "a slider must not clamp what was fitted"
    assert [slot.material.name for slot in head.material_slots] == [
        f"take {n}" for n in ("skin", "eyes", "iris", "pupil")
    ]
    assert all(polygon.use_smooth for polygon in head.data.polygons)
    assert len(head.data.polygons) == len(take.head.triangles)
    corners = np.empty(len(head.data.loops) * 2, np.float32)
    head.data.uv_layers[0].uv.foreach_get("vector", corners)
    assert np.allclose(corners.reshape(-1, 2), take.head.uv_vertices[take.head.uv_triangles].reshape(-1, 2))
    assert [group.name for group in head.vertex_groups] == list(take.head.joint_names)


def test_mesh_faces_outwards_and_the_head_looks_along_minus_y() -> None:
    take = make_take(Shot())
    head = build.build_take(bpy.context, take)[HEAD]
    centre = sum((v.co for v in head.data.vertices), Vector()) / len(head.data.vertices)
    skin = [p for p in head.data.polygons if p.material_index == 0]
    assert np.mean([p.normal.dot((p.center - centre).normalized()) for p in skin]) > 0.9
    eyes = [p.center for p in head.data.polygons if p.material_index > 0]
    assert sum(eyes, Vector()).y / len(eyes) < -0.05


def test_bones_can_be_posed_on_top() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    armature = collection[ARMATURE]
    assert {bone.name: bone.parent.name if bone.parent else None for bone in armature.data.bones} == {
        "root": None,
        "neck": "root",
        "jaw": "neck",
        "left_eye": "neck",
        "right_eye": "neck",
    }
    show(3)
    before = shown_pixels(collection)
    armature.pose.bones["jaw"].rotation_mode = "XYZ"
    armature.pose.bones["jaw"].rotation_euler.x = 0.3
    bpy.context.view_layer.update()
    moved = np.linalg.norm(shown_pixels(collection) - before, axis=1) > 1
    jaw = collection[HEAD].vertex_groups["jaw"].index
    weighted = [any(g.group == jaw and g.weight > 0.1 for g in v.groups) for v in collection[HEAD].data.vertices]
    assert 0 < moved.sum() <= np.sum(weighted)


def test_frames_without_a_face_are_marked() -> None:
    take = make_take(Shot())
    armature = build.build_take(bpy.context, take)[ARMATURE]
    curves = {curve.data_path: curve for curve in compat.action_curves(armature)}
    points = curves['["tracking_error"]'].keyframe_points
    assert [point.co.y == NOT_TRACKED for point in points] == list(~take.tracked)
    assert [point.type == "JITTER" for point in points] == list(~take.tracked)
    show(take.scene_frames[4])
    assert armature["tracking_error"] == -1.0
    show(take.scene_frames[8])
    assert armature["tracking_error"] == pytest.approx(0.8)


def test_curves_are_grouped_and_can_be_muted_and_edited() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    head = collection[HEAD]
    curves = compat.action_curves(head.data.shape_keys)
    assert [curve.data_path for curve in curves] == [f'key_blocks["{name}"].value' for name in EXPRESSIONS]
    assert {curve.group.name for curve in curves} == {"Expression"}
    groups = {curve.group.name for curve in compat.action_curves(collection[ARMATURE])}
    assert groups == {"Head pose", "left_eye", "right_eye", "Tracking"}
    jaw = head.data.shape_keys.key_blocks["jawOpen"]
    jaw_curve = curves[0]
    jaw_curve.keyframe_points[2].co.y = 0.125
    jaw_curve.update()
    show(3)
    assert jaw.value == pytest.approx(0.125)
    jaw_curve.mute = True
    jaw.value = 0.75
    show(4)
    assert jaw.value == pytest.approx(0.75)


def test_head_rotation_never_flips() -> None:
    """A head that turns on the spot by two whole revolutions keeps turning the same way on its curve."""
    take = make_take(Shot(frame_count=80))
    angle = np.linspace(0, 4 * np.pi, 80)
    facing = np.pi / np.sqrt(2)
    half = np.stack([np.sin(angle / 2), np.cos(angle / 2)], 1)  # Ry(angle)·Rx(π) as a quaternion has only x and z
    take = replace(take, head_rotation=np.stack([half[:, 1], 0 * angle, -half[:, 0]], 1) * np.pi)
    assert facing > 0
    armature = build.build_take(bpy.context, take)[ARMATURE]
    turn = next(c for c in compat.action_curves(armature) if c.data_path == "rotation_euler" and c.array_index == 2)
    values = np.array([point.co.y for point in turn.keyframe_points])
    assert np.abs(np.diff(values)).max() < 0.2
    assert abs(values[-1] - values[0]) == pytest.approx(4 * np.pi, abs=1e-3)


def test_camera_is_keyed_only_where_it_moves() -> None:
    still = build.build_take(bpy.context, make_take(Shot()))[camera_role("camera")]
    assert still.animation_data is None and still.data.animation_data is None
    moving = build.build_take(bpy.context, make_take(Shot(name="other", moving_camera=True, zoom=True)))
    role = camera_role("camera")
    assert {c.data_path for c in compat.action_curves(moving[role])} == {"location", "rotation_euler"}
    assert [c.data_path for c in compat.action_curves(moving[role].data)] == ["lens"]


def rendered_clip(clip: bpy.types.MovieClip, frame: int, folder: Path) -> NDArray[np.uint8]:
    """Blender's own picture of a movie clip at a scene frame, through the compositor."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = clip.size
    scene.view_settings.view_transform = "Standard"
    scene.render.engine = "BLENDER_WORKBENCH"
    tree, sink = emptied_compositor(scene)
    source = tree.nodes.new("CompositorNodeMovieClip")
    source.clip = clip
    tree.links.new(source.outputs[0], sink.inputs[0])
    scene.frame_set(frame)
    scene.render.filepath = str(folder / "shown.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return (pixels.reshape(height, width, 4)[::-1, :, :3] * 255).round().astype(np.uint8)


def background_of(collection: bpy.types.Collection) -> bpy.types.CameraBackgroundImage:
    data = collection[camera_role("camera")].data
    assert data.show_background_images
    (background,) = data.background_images
    return background


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_video_background_is_the_right_frame_and_upright(tmp_path: Path, rotation: int) -> None:
    size = (96, 160) if rotation % 180 else (160, 96)
    path = write_clip(tmp_path / "clip.mp4", *size, rotation=rotation)
    shot = Shot(size=size, first_frame=1001, rotation=rotation, footage=str(path), focal=250.0)
    background = background_of(build.build_take(bpy.context, make_take(shot)))
    assert background.source == "MOVIE_CLIP"
    assert (background.rotation, background.scale) == (0.0, 1.0), "this Blender turns clips by itself"
    picture = rendered_clip(background.clip, 1001 + 7, tmp_path)
    truth = frame_picture(7, *size)
    assert np.abs(picture.astype(int) - truth.astype(int)).mean() < 6


def test_sequence_background_is_the_file_of_the_take_and_those_that_follow(tmp_path: Path) -> None:
    import cv2

    for index in range(6):
        cv2.imwrite(str(tmp_path / f"shot_v2.{1001 + index}.png"), frame_picture(index, 160, 96)[..., ::-1])
    (tmp_path / "shot_v2.0007.png").write_bytes((tmp_path / "shot_v2.1001.png").read_bytes())
    shot = Shot(
        size=(160, 96), first_frame=1001, frame_count=6, footage=str(tmp_path / "shot_v2.1001.png"), kind="sequence"
    )
    background = background_of(build.build_take(bpy.context, make_take(shot)))
    picture = rendered_clip(background.clip, 1005, tmp_path)
    assert np.array_equal(picture[48, 80], [20 + 10 * 4] * 3)
    assert footage.shown_number(bpy.context.scene.camera.data, 1005) == 1005


@pytest.mark.parametrize("named", ["shot.1001.png", "shot.####.png", "shot.%04d.png", "shot.*.png", ""])
def test_the_size_of_pictures_is_known_before_they_are_tracked(tmp_path: Path, named: str) -> None:
    import cv2

    for name in ("shot.1001.png", "shot.1002.png"):
        cv2.imwrite(str(tmp_path / name), frame_picture(0, 160, 96))
    (tmp_path / "notes.txt").touch()
    assert footage.picture_size(tmp_path / named) == (160, 96)
    assert footage.picture_size(tmp_path / "other.####.png") is None


def test_still_background(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "photo 1.png"
    cv2.imwrite(str(path), frame_picture(0, 160, 96))
    shot = Shot(size=(96, 160), rotation=270, frame_count=6, footage=str(path), kind="still")
    background = background_of(build.build_take(bpy.context, make_take(shot)))
    assert background.source == "IMAGE" and Path(background.image.filepath) == path
    assert background.rotation == pytest.approx(np.radians(270))
    assert background.scale == pytest.approx(160 / 96)
    assert footage.shown_number(bpy.context.scene.camera.data, 5) == 1


def test_footage_that_is_gone_leaves_a_camera_without_background() -> None:
    take = make_take(Shot(footage="/nowhere/clip.mp4"))
    collection = build.build_take(bpy.context, take)
    assert not collection[camera_role("camera")].data.background_images
    assert footage.missing_footage(take) == ["/nowhere/clip.mp4"]


@pytest.mark.parametrize(("kind", "rate"), [("video", 2.0), ("video", 0.5), ("sequence", 2.0)])
def test_footage_of_another_frame_rate_is_retimed_by_keys(tmp_path: Path, kind: str, rate: float) -> None:
    """Blender shows picture frame − start + 1 + offset of such a background, which must be the one that was tracked."""
    base = make_take(Shot(first_frame=1001)).cameras[0]
    if kind == "video":
        path, first = write_clip(tmp_path / "left.mp4", 160, 96), 1
    else:
        path, first = tmp_path / "left.0501.png", 501
        path.touch()
    used = first + 3 + np.arange(12) * rate
    used = np.where(used % 1 == 0, used, -1).astype(int)  # of slower footage, every other frame has none
    view = replace(base, name="left", footage=str(path), footage_kind=kind, footage_frames=used)
    take = replace(make_take(Shot(first_frame=1001)), cameras=(base, view))
    data = build.build_take(bpy.context, take)[camera_role("left")].data
    (background,) = data.background_images
    assert (background.source, background.image.source) == ("IMAGE", "MOVIE" if kind == "video" else "SEQUENCE")
    user = background.image_user
    for frame, number in zip(range(1001, 1013), used, strict=True):
        show(frame)
        if number >= 0:
            assert frame - user.frame_start + 1 + user.frame_offset == number == footage.shown_number(data, frame)
    assert np.ptp([curve.range() for curve in compat.action_curves(data)]) >= 10


@pytest.mark.parametrize("dropped", [False, True], ids=["kept", "dropped"])
def test_footage_is_a_clip_only_where_that_shows_every_picture(tmp_path: Path, dropped: bool) -> None:
    base = make_take(Shot()).cameras[0]
    path = str(write_clip(tmp_path / "left.mp4", 160, 96))
    used = np.array([-1, -1, 1, 2, 3, 4, 5, 6, -1, 8, 9, 10])
    used[7:] += np.where(dropped and used[7:] >= 0, 1, 0)
    view = replace(base, name="left", footage=path, footage_frames=used, footage_first_frame=3)
    collection = build.build_take(bpy.context, replace(make_take(Shot()), cameras=(base, view)))
    data = collection[camera_role("left")].data
    assert data.background_images[0].source == ("IMAGE" if dropped else "MOVIE_CLIP")
    for frame, number in enumerate(used.tolist(), start=1):
        show(frame)
        if number >= 0:
            assert footage.shown_number(data, frame) == number


def test_the_picture_in_a_proxy_is_known_by_its_number(tmp_path: Path) -> None:
    """A face that is picked on a proxy is looked for in the footage itself."""
    proxy = str(write_clip(tmp_path / "proxy.mp4", 160, 96))
    base = make_take(Shot(footage="/elsewhere/clip.heic")).cameras[0]
    used = np.array([10, 20, 30, 40])
    take = arrays.at_frames(replace(make_take(Shot()), cameras=(base,)), np.arange(4))
    view = replace(take.cameras[0], footage_frames=used, proxy=proxy, proxy_first_frame=5)
    take = replace(take, cameras=(view,), scene_frames=np.array([5.0, 7, 8, 11]))
    data = build.build_take(bpy.context, take)[camera_role("camera")].data
    assert data.background_images[0].clip.frame_start == 5
    assert [footage.shown_number(data, frame) for frame in range(3, 14)] == [10] * 4 + [20, 30, 30, 30, 40, 40, 40]


def test_a_proxy_that_is_gone_is_missed_and_nothing_else_is_shown(tmp_path: Path) -> None:
    clip = str(write_clip(tmp_path / "clip.mp4", 160, 96))
    take = make_take(Shot(footage=clip))
    take = replace(take, cameras=(replace(take.cameras[0], proxy="/nowhere/proxy.mp4"),))
    assert not build.build_take(bpy.context, take)[camera_role("camera")].data.background_images
    assert footage.missing_footage(take) == ["/nowhere/proxy.mp4"]


def test_reopened_file_plays(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 160, 96)
    take = make_take(Shot(size=(160, 96), focal=250.0, first_frame=11, footage=str(clip)))
    name = build.build_take(bpy.context, take).name
    blend = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=blend)

    collection = bpy.data.collections[name]
    armature, head = collection[ARMATURE], collection[HEAD]
    for index in (1, 9):
        show(take.scene_frames[index])
        values = [key.value for key in head.data.shape_keys.key_blocks[1:]]
        assert values == pytest.approx(take.expression[index].tolist(), abs=1e-5)
        yaw, pitch = take.gaze[index, 0]
        assert tuple(armature.pose.bones["left_eye"].rotation_euler) == pytest.approx((pitch, 0, yaw), abs=1e-5)
        assert np.abs(shown_pixels(collection) - project(take, index)).max() < 0.05
    background = background_of(collection)
    picture = rendered_clip(background.clip, 11 + 9, tmp_path)
    assert abs(int(picture[48, 80, 0]) - (20 + 10 * 9)) <= 3
