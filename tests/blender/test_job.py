"""From the panel to a job: views, faces, options, and cameras of the scene as OpenCV knows them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from backend.export.blender import head_geometry
from backend.head_model.library import load_head
from backend.pipeline.neutral_prior import predicted_neutral, predictor_for
from blender_addon import job, preferences, settings
from blender_addon.scene import axes, build
from blender_addon.scene.ownership import HEAD
from protocol.messages import CameraSpec, FaceChoice, SolveOptions, TrackJob, ViewSpec

from .takes import Shot, make_take, write_clip

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture
def clip(addon: None, tmp_path: Path) -> Path:  # noqa: ARG001 - enabled, not used
    """Landscape footage, chosen as the main one."""
    path = write_clip(tmp_path / "front.mp4", 160, 96, count=2)
    chosen().footage = str(path)
    return path


def chosen() -> settings.FlowFaceSettings:
    return settings.of(bpy.context.scene)


def spec() -> TrackJob:
    return job.job_of(bpy.context)[0]


def refusal() -> str:
    with pytest.raises(job.CannotTrack) as caught:
        job.job_of(bpy.context)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    return str(caught.value)


def scene_camera(name: str = "Shot", **properties: object) -> bpy.types.Object:
    """A camera of the user's own, somewhere, in a scene of the clip's resolution."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1600, 960
    data = bpy.data.cameras.new(name)
    for key, value in properties.items():
        setattr(data, key, value)
    obj = bpy.data.objects.new(name, data)
    scene.collection.objects.link(obj)
    obj.matrix_world = Matrix.LocRotScale(Vector((3.0, -2.5, 1.1)), Matrix.Rotation(1.3, 3, "X"), None)
    obj.rotation_euler.z = 0.9
    bpy.context.view_layer.update()
    return obj


def give(camera: bpy.types.Object) -> None:
    chosen().cameras, chosen().camera = "SCENE", camera


def test_one_view_is_what_it_always_was(clip: Path) -> None:
    assert spec() == TrackJob((ViewSpec(str(clip)),), name="front")
    assert job.job_of(bpy.context)[1] is None


def test_views_and_options_reach_the_job(clip: Path) -> None:
    write_clip(clip.parent / "left.mp4", 160, 96, count=2)
    write_clip(clip.parent / "neutral.mp4", 160, 96, count=2)
    bpy.ops.flowface.view_add(files=[{"name": "left.mp4"}, {"name": "neutral.mp4"}], directory=str(clip.parent))
    left, neutral = chosen().views
    left.offset, neutral.use_frame_rate, neutral.frame_rate = 0.48, True, 50.0
    chosen().use_range, chosen().frame_first, chosen().frame_last = True, 3, 9
    chosen().face, chosen().face_point, chosen().face_frame = "POINT", (70, 40), 5
    neutral.face, neutral.face_point, neutral.face_frame = "POINT", (30, 20), 2
    left.use_focal_mm, left.focal_mm, left.sensor_mm = True, 50.0, 24.0
    chosen().deform_region, chosen().neutral_from = "NONE", str(clip)
    made = spec()
    assert [view.name for view in made.views] == ["camera", "left", "neutral"]
    assert [Path(view.footage).name for view in made.views] == ["front.mp4", "left.mp4", "neutral.mp4"]
    assert [view.offset for view in made.views] == pytest.approx([0.0, 0.48, 0.0])
    assert [view.frame_rate for view in made.views] == [None, None, 50.0]
    assert [(view.focal_mm, view.sensor_mm) for view in made.views] == [(None, None), (50.0, 24.0), (None, None)]
    assert made.frames == (3, 9)
    assert made.face == FaceChoice("point", point=(70.0, 40.0), frame=5)
    assert [view.face for view in made.views] == [None, None, FaceChoice("point", point=(30.0, 20.0), frame=2)]
    assert (made.options, made.neutral_from) == (SolveOptions(deform_region=""), str(clip))
    for region, value in (("NOSE", "nose"), ("FACE", "face"), ("AUTO", None)):
        chosen().deform_region = region
        assert spec().options == SolveOptions(deform_region=value)
    chosen().match_skin = "OFF"
    assert spec().options == SolveOptions(match_skin=False)
    chosen().views.clear()
    assert spec().options == SolveOptions(match_skin=False), "one view's skin is matched from frame to frame"


def test_further_faces_are_asked_for_of_one_camera_only(clip: Path) -> None:
    for point in ((30, 20), (90, 25)):
        chosen().faces.add().face_point = point
    assert not spec().faces and not spec().all_faces, "the largest is alone"
    chosen().face, chosen().face_point = "POINT", (60, 22)
    assert [face.point for face in spec().faces] == [(30.0, 20.0), (90.0, 25.0)]
    bpy.ops.flowface.face_remove(index=0)
    assert [face.point for face in spec().faces] == [(90.0, 25.0)]
    chosen().all_faces = True
    assert spec().all_faces and not spec().faces and spec().face.point == (60.0, 22.0)
    bpy.ops.flowface.view_add(filepath=str(clip))
    assert not spec().all_faces and not spec().several_faces


def test_the_neutral_is_marked_on_the_frame_that_is_shown(clip: Path) -> None:
    scene = bpy.context.scene
    assert spec().neutral_frames is None and not bpy.ops.flowface.clear_neutral.poll()
    for frame, marked in ((7, (7, 7)), (12, (7, 12)), (3, (3, 12)), (5, (3, 12))):
        scene.frame_set(frame)
        assert bpy.ops.flowface.mark_neutral() == {"FINISHED"}
        assert spec().neutral_frames == marked
    chosen().neutral_last = 2
    assert refusal() == "The range of neutral frames 3-2 ends before it starts."
    bpy.ops.flowface.clear_neutral()
    assert spec().neutral_frames is None
    camera = scene.camera = scene_camera()
    movie = camera.data.background_images.new()
    movie.source, movie.clip = "MOVIE_CLIP", bpy.data.movieclips.load(str(clip))
    movie.clip.frame_start = 101
    scene.frame_set(102)
    bpy.ops.flowface.mark_neutral()
    assert spec().neutral_frames == (2, 2)


def test_views_get_different_names_and_can_be_removed(clip: Path) -> None:
    for _ in range(3):
        bpy.ops.flowface.view_add(filepath=str(clip))
    bpy.ops.flowface.view_add(filepath=str(clip.parent / f"{'long name ' * 8}.mp4"))
    names = [view.name for view in chosen().views]
    assert names[:3] == ["front", "front 2", "front 3"]
    assert all(len(name) <= settings.MAX_NAME for name in names) and chosen().active_view == 3
    chosen().active_view = 1
    bpy.ops.flowface.view_remove()
    assert [view.name for view in chosen().views][:2] == ["front", "front 3"]
    for _ in range(3):
        bpy.ops.flowface.view_remove()
    assert not bpy.ops.flowface.view_remove.poll() and chosen().active_view == 0
    assert len(spec().views) == 1


def test_mistakes_in_views_are_one_sentence(clip: Path) -> None:
    view = chosen().views.add()
    view.name = "left"
    assert refusal() == "The view “left” has no footage: choose one, or remove the view."
    view.footage = "/nowhere/left.mp4"
    assert refusal() == "There is no footage of “left” at /nowhere/left.mp4."
    view.footage, view.name = str(clip), "camera"
    assert refusal() == "Two views are called “camera”: rename one."
    view.name = ""
    assert refusal() == "A view has no name."
    view.name, chosen().neutral_from = "left", "/nowhere/track.npz"
    assert refusal() == "There is no neutral face at /nowhere/track.npz."
    chosen().neutral_from = "mica"  # the name of a predictor, and no file
    assert spec().neutral_from == "mica"
    chosen().neutral_from, chosen().cameras = "", "SCENE"
    assert refusal() == "Choose the scene's camera that filmed the footage, or let the cameras be solved."


def test_taking_cameras_from_the_scene_suggests_the_scene_camera() -> None:
    camera = bpy.context.scene.camera = scene_camera()
    chosen().cameras = "SCENE"
    assert chosen().camera == camera
    other = scene_camera("Other")
    chosen().cameras, chosen().camera = "SOLVE", other
    chosen().cameras = "SCENE"
    assert chosen().camera == other


LENSES = {
    "by default": {},
    "shifted": {"shift_x": 0.07, "shift_y": -0.04, "lens": 85.0},
    "horizontal fit": {"sensor_fit": "HORIZONTAL", "sensor_width": 23.6, "shift_x": -0.1},
    "vertical fit": {"sensor_fit": "VERTICAL", "sensor_height": 15.6, "sensor_width": 99.0, "shift_y": 0.1},
}


@pytest.mark.parametrize("turned", [False, True], ids=["landscape", "portrait"])
@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_scene_camera_is_the_same_pinhole(tmp_path: Path, lens: dict[str, object], turned: bool) -> None:
    """OpenCV's projection by the job's numbers, of points in the take's world, is Blender's own."""
    size = (96, 160) if turned else (160, 96)
    chosen().footage = str(write_clip(tmp_path / "clip.mp4", *size, count=2))
    camera, scene = scene_camera(**lens), bpy.context.scene
    if turned:
        scene.render.resolution_x, scene.render.resolution_y = 960, 1600
    give(camera)
    known = spec().views[0].camera
    assert known is not None and known.image_size == size, "in the footage's pixels, which are fewer than the scene's"
    points = [camera.matrix_world @ Vector(p) for p in ((0, 0, -1), (0.2, 0.1, -2), (-0.1, 0.3, -1.5))]
    for point in points:
        x, y, depth = world_to_camera_view(scene, camera, point)
        pixels = seen_by(known, np.array(point))
        assert pixels[:2] == pytest.approx([x * size[0], (1 - y) * size[1]], abs=1e-3)
        assert pixels[2] == pytest.approx(depth, abs=1e-5)


def seen_by(known: CameraSpec, point: np.ndarray) -> np.ndarray:
    """Pixels and depth of a point of a Blender scene in metres."""
    world = (point - axes.EYE_HEIGHT) @ axes.WORLD
    extrinsics = np.reshape(known.world_to_camera, (3, 4))
    x, y, z = extrinsics[:, :3] @ world + extrinsics[:, 3]
    centre_x, centre_y = known.principal_point
    return np.array([known.focal_px * x / z + centre_x, known.focal_px * y / z + centre_y, z])


@pytest.mark.usefixtures("clip")
def test_parents_constraints_units_and_camera_scale_count_as_in_blender() -> None:
    camera, scene = scene_camera(), bpy.context.scene
    rig = bpy.data.objects.new("rig", None)
    scene.collection.objects.link(rig)
    rig.location, rig.rotation_euler, rig.scale = (100, 20, 160), (0.2, 0.1, 1.0), (3, 3, 3)
    camera.parent, camera.scale = rig, (2, 2, 2)
    limit = camera.constraints.new("LIMIT_LOCATION")
    limit.use_min_z, limit.min_z = True, 170
    scene.unit_settings.scale_length = 0.01
    bpy.context.view_layer.update()
    give(camera)
    known = spec().views[0].camera
    assert known is not None
    point = camera.matrix_world.normalized() @ Vector((20, -10, -150))
    x, y, depth = world_to_camera_view(scene, camera, point)
    expected = [x * 160, (1 - y) * 96, depth * 0.01]
    assert seen_by(known, np.array(point) * 0.01) == pytest.approx(expected, abs=1e-3)


@pytest.mark.usefixtures("clip")
def test_cameras_that_cannot_have_filmed_it_are_one_sentence() -> None:
    camera, render = scene_camera(), bpy.context.scene.render
    give(camera)
    camera.data.type = "ORTHO"
    assert refusal() == "“Shot” is an orthographic camera: only a perspective camera can have filmed a face."
    camera.data.type = "PANO"
    assert "a panoramic camera" in refusal()
    camera.data.type, render.pixel_aspect_x = "PERSP", 1.5
    assert refusal() == "The scene's pixels are not square (1.5 : 1): set its pixel aspect to 1 : 1."
    render.pixel_aspect_x, render.resolution_x = 1.0, 960
    assert refusal() == (
        "“front.mp4” is 160 × 96 pixels but the scene is 960 × 960: give both the same shape, "
        "or set the sensor fit of “Shot” to Horizontal or Vertical."
    )
    camera.data.sensor_fit = "HORIZONTAL"
    assert spec().views[0].camera.focal_px == pytest.approx(50 / 36 * 160)
    camera.scale.x = -1
    bpy.context.view_layer.update()
    assert "mirrored" in refusal()
    camera.scale.x = 1
    bpy.context.scene.collection.objects.unlink(camera)
    assert refusal() == "The camera “Shot” is no longer in this scene: choose another, or none."


@pytest.mark.usefixtures("clip")
@pytest.mark.parametrize("how", ["place", "lens", "parent", "solver"])
def test_camera_that_moves_is_one_sentence(how: str) -> None:
    camera = scene_camera()
    give(camera)
    parent = bpy.data.objects.new("dolly", None)
    bpy.context.scene.collection.objects.link(parent)
    camera.parent = parent
    moved = {"place": camera, "lens": camera.data, "parent": parent}.get(how)
    if moved is None:
        camera.constraints.new("CAMERA_SOLVER")
    else:
        path = "lens" if how == "lens" else "location"
        moved.keyframe_insert(path, frame=1)
        moved.keyframe_insert(path, frame=20)
        assert spec().views[0].camera is not None, "keys that hold still do not move it"
        setattr(moved, path, 20.0 if how == "lens" else (1, 1, 1))
        moved.keyframe_insert(path, frame=20)
    assert refusal().startswith("“Shot” moves: a camera from the scene has to stand still.")


def test_settings_survive_saving_and_reopening(tmp_path: Path, clip: Path) -> None:
    bpy.ops.flowface.view_add(filepath=str(clip))
    write_clip(tmp_path / "other.mp4", 160, 96, count=2)
    chosen().views[0].offset = -0.04
    chosen().views[0].camera = scene_camera("Left")
    give(scene_camera("Front"))
    chosen().cameras_to_scale = False
    before = spec()
    assert before.metric_cameras is False and all(view.camera for view in before.views)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert spec() == before
    assert math.isclose(chosen().views[0].offset, -0.04, abs_tol=1e-6)


@pytest.mark.usefixtures("clip")
def test_head_of_the_scene_is_handed_over_as_the_neutral_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend reads back the person that the take was built with, however the head lies and what it does."""
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path / "user")
    head = load_head("open")
    identity = np.random.default_rng(3).normal(size=len(head.shape_basis)).astype(np.float32)
    take = make_take(Shot())
    neutral = head.neutral(identity)
    whole = head_geometry(head, neutral)
    assert len(whole.neutral) > head.vertex_count, "it has brows and lashes, which are no part of the neutral"
    names = take.head.expression_names
    deltas = whole.expression_deltas[: len(names)]
    bounds = take.head.expression_bounds
    geometry = replace(whole, expression_names=names, expression_deltas=deltas, expression_bounds=bounds)
    built = build.build_take(bpy.context, replace(take, head=geometry))[HEAD]
    chosen().neutral_head = built
    bpy.context.scene.frame_set(6)
    file = spec().neutral_from
    read = predicted_neutral(predictor_for(file), head)
    face = head.vertex_weight > 0.5
    assert np.abs((read - read[face].mean(0)) - (neutral - neutral[face].mean(0))).max() < 0.02
    distances = np.linalg.norm(read[:, None] - read[None, ::500], axis=-1)
    expected = np.linalg.norm(neutral[:, None] - neutral[None, ::500], axis=-1)
    assert np.abs(distances - expected).max() < 1e-5
    assert spec().neutral_from == file and len(list((tmp_path / "user" / "neutral").iterdir())) == 1
    bpy.context.scene.collection.children["take"].objects.unlink(built)
    assert refusal() == "The neutral head “take head” is no longer in this scene: choose another, or none."


def test_adding_a_view_can_be_undone(clip: Path) -> None:
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.flowface.view_add("EXEC_DEFAULT", True, filepath=str(clip))
    assert len(chosen().views) == 1
    bpy.ops.ed.undo()
    assert len(chosen().views) == 0 and chosen().footage == str(clip)
