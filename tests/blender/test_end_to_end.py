"""From Track to a scene: a real backend, the real protocol, the open head, one undo step."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector

from backend.client.blender import Blender
from backend.client.connection import Client
from backend.client.scene_writer import scene_writer
from backend.head_model.library import load_head
from backend.head_model.model import posed_vertices
from backend.server.app import Server
from backend.track.geometry import person_of
from blender_addon import preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, JOB_KEY, camera_role, shown_views
from blender_addon.scene.plan import plan_for
from protocol.messages import TrackJob, ViewSpec

from .conftest import wait_until
from .runners import performance
from .scene.test_build import shown_pixels
from .takes import write_clip
from .test_client import free_port

pytestmark = pytest.mark.slow

RUNNER = "tests.blender.runners:perform"


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "someone.mp4", 640, 480)


@pytest.fixture
def connected(
    addon: None,  # noqa: ARG001 - enabled, not used
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    footage: Path,
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    start_server(endpoint, RUNNER)
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    settings.of(bpy.context.scene).footage = str(footage)


def track() -> None:
    assert bpy.ops.flowface.track() == {"FINISHED"}
    wait_until(lambda: session.current().job is None, pump.tick)
    assert not session.current().notice.is_error, session.current().notice.text


def expected_pixels(footage: Path, index: int) -> np.ndarray:
    """The track's own projection of the open head, by the head model's formula and a pinhole."""
    fitted = performance(str(footage))
    head = person_of(load_head("open"), fitted)
    neutral = head.neutral(fitted.identity)
    posed = posed_vertices(head, neutral, fitted.expression[index][None], fitted.gaze[index][None])[0]
    axis = fitted.head_rotation[index] / np.pi
    half_turn = 2 * np.outer(axis, axis) - np.eye(3)
    world = posed @ half_turn.T + fitted.head_translation[index]
    camera = fitted.cameras[0]
    return camera.focal_px[index] * world[:, :2] / world[:, 2:] + camera.principal_point


def off_by(collection: bpy.types.Collection, footage: Path, index: int) -> float:
    """The largest distance in pixels of the head's own vertices, which come before those of brows and lashes."""
    expected = expected_pixels(footage, index)
    return float(np.abs(shown_pixels(collection)[: len(expected)] - expected).max())


@pytest.mark.usefixtures("connected")
def test_tracked_take_is_shown_as_it_was_fitted(footage: Path) -> None:
    track()
    told = "Tracked 10 of 10 frames, mean error 0.90 % of the inter-ocular distance (good)."
    assert session.current().notice.text == told
    collection = bpy.data.collections["someone"]
    for index in (0, 4, 9):
        bpy.context.scene.frame_set(index + 1)
        assert off_by(collection, footage, index) < 0.1


@pytest.mark.usefixtures("connected")
def test_take_is_one_undo_step() -> None:
    bpy.ops.object.empty_add()
    bpy.ops.ed.undo_push(message="Before")
    before = {obj.name for obj in bpy.data.objects}
    resolution = bpy.context.scene.render.resolution_x
    track()
    assert len(bpy.data.objects) == len(before) + 4
    bpy.ops.ed.undo()
    assert {obj.name for obj in bpy.data.objects} == before
    assert bpy.context.scene.render.resolution_x == resolution
    assert "someone" not in bpy.data.collections
    bpy.ops.ed.redo()
    assert len(bpy.data.collections["someone"][HEAD].data.shape_keys.key_blocks) == 53


@pytest.mark.usefixtures("connected")
def test_take_waits_until_the_user_leaves_edit_mode() -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.flowface.track()
    wait_until(lambda: session.current().job.take is not None, pump.tick)
    pump.tick()
    assert bpy.context.mode == "EDIT_MESH" and "someone" not in bpy.data.collections
    bpy.ops.object.mode_set(mode="OBJECT")
    wait_until(lambda: session.current().job is None, pump.tick)
    assert "someone" in bpy.data.collections


@pytest.mark.usefixtures("connected")
def test_take_does_not_appear_in_another_file_unasked() -> None:
    bpy.ops.flowface.track()
    bpy.ops.wm.read_homefile(use_empty=True)
    wait_until(lambda: session.current().job.take is not None, pump.tick)
    pump.tick()
    assert not bpy.context.scene.collection.children
    assert session.current().job.stage == "Ready; another file is open now"
    assert bpy.ops.flowface.build_take() == {"FINISHED"}
    assert [c.name for c in bpy.context.scene.collection.children] == ["someone"]


@pytest.mark.usefixtures("connected")
def test_take_goes_to_the_scene_that_it_was_tracked_in() -> None:
    here = bpy.context.scene
    elsewhere = bpy.data.scenes.new("elsewhere")
    bpy.ops.flowface.track()
    bpy.context.window.scene = elsewhere
    wait_until(lambda: session.current().job is None, pump.tick)
    assert [collection.name for collection in here.collection.children] == ["someone"]
    assert not elsewhere.collection.children
    assert len(bpy.data.collections["someone"][ARMATURE].data.bones) == 5


@pytest.mark.usefixtures("connected")
def test_tracking_again_after_undo_builds_again() -> None:
    bpy.ops.ed.undo_push(message="Before")
    track()
    bpy.ops.ed.undo()
    track()
    assert [c.name for c in bpy.context.scene.collection.children] == ["someone"]


def give_another_head(collection: bpy.types.Collection) -> None:
    """As if the take had been tracked with a head of other expressions."""
    collection[HEAD].data["flowface_expressions"] = ["smirk"]


@pytest.mark.usefixtures("connected")
def test_without_a_window_another_head_becomes_a_second_take() -> None:
    track()
    first = bpy.data.collections["someone"]
    give_another_head(first)
    mesh = first[HEAD].data
    track()
    assert [c.name for c in bpy.context.scene.collection.children] == ["someone", "someone.001"]
    assert first[HEAD].data == mesh and len(versions.all_of(first)) == 1
    notice = session.current().notice.text
    assert "“someone” has another head and stays as it is; this is “someone.001”." in notice


@pytest.mark.usefixtures("connected")
def test_another_head_is_put_in_its_place_where_the_user_says_so() -> None:
    track()
    first = bpy.data.collections["someone"]
    give_another_head(first)
    mesh, head = first[HEAD].data, first[HEAD]
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.flowface.track()
    wait_until(lambda: session.current().job.take is not None, pump.tick)
    job = session.current().job
    job.question = plan_for(bpy.context.scene, job.take).question()
    bpy.ops.object.mode_set(mode="OBJECT")
    pump.tick()
    assert session.current().job is job and job.stage == "Waiting for your answer", "nothing is built before"
    assert bpy.ops.flowface.build_take(answer="REPLACE") == {"FINISHED"}
    assert session.current().job is None and first[HEAD] == head and head.data != mesh
    assert [c.name for c in bpy.context.scene.collection.children] == ["someone"]
    assert "This is version 2 of “someone”." in session.current().notice.text


def test_views_and_scene_cameras_travel_to_the_backend_and_back(
    tmp_path: Path,
    addon: None,  # noqa: ARG001 - enabled, not used
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two known cameras and one that is not: the head stands ten metres before the first, as the backend says."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    start_server(endpoint, "tests.gui.runners:look")
    scene, chosen = bpy.context.scene, settings.of(bpy.context.scene)
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    cameras = []
    for index, name in enumerate(("front", "left", "right")):
        write_clip(tmp_path / f"{name}.mp4", 160, 120, rate=25 * (1 + (name == "right")))
        camera = bpy.data.objects.new(f"My {name}", bpy.data.cameras.new(f"My {name}"))
        scene.collection.objects.link(camera)
        camera.location, camera.rotation_euler = (3 + index, -2, 1.2), (1.4, 0.1, 0.7 * index)
        cameras.append(camera)
    bpy.context.view_layer.update()
    places = [camera.matrix_world.copy() for camera in cameras]
    chosen.footage = str(tmp_path / "front.mp4")
    bpy.ops.flowface.view_add(files=[{"name": "left.mp4"}, {"name": "right.mp4"}], directory=str(tmp_path))
    chosen.views[0].offset = 0.04
    chosen.cameras, chosen.camera, chosen.views[0].camera = "SCENE", cameras[0], cameras[1]
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    track()
    collection = bpy.data.collections["front"]
    shown = [view.camera.name for view in shown_views(collection)]
    assert shown == ["My front", "My left", "front right"] and scene.camera == cameras[0]
    assert [camera.matrix_world for camera in cameras] == places
    expected = places[0] @ Vector((0, 0, -10))
    assert (collection[ARMATURE].matrix_world.translation - expected).length < 1e-4
    clips = [camera.data.background_images[0].clip.frame_start for camera in cameras[:2]]
    assert clips == [1, 0], "the left camera was started one frame earlier"


def test_headless_writes_a_scene_that_plays(
    tmp_path: Path, footage: Path, start_server: Callable[..., Server], repo_root: Path
) -> None:
    server = start_server(runner=RUNNER)
    with Client(server.endpoint) as client:
        job = client.track(TrackJob((ViewSpec(str(footage)),), name="someone")).job
    out = tmp_path / "sub folder" / "scene.blend"
    done = headless(repo_root, server.endpoint, job.job_id, out)
    assert (done.returncode, done.stderr) == (0, "")
    bpy.ops.wm.open_mainfile(filepath=str(out))
    collection = bpy.data.collections["someone"]
    for index in (2, 8):
        bpy.context.scene.frame_set(index + 1)
        assert off_by(collection, footage, index) < 0.1
    background = collection[camera_role("camera")].data.background_images[0]
    assert Path(background.clip.filepath) == footage
    views = [space.region_3d.view_perspective for space in viewports()]
    assert views and set(views) == {"CAMERA"}


def test_headless_failure_is_one_sentence(tmp_path: Path, start_server: Callable[..., Server], repo_root: Path) -> None:
    done = headless(repo_root, start_server(runner=RUNNER).endpoint, "nonsense", tmp_path / "scene.blend")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "scene.blend").exists()


def headless(repo_root: Path, endpoint: str, job: str, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "blender_addon.headless", "--endpoint", endpoint, "--job", job, "--out", str(out)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, encoding="utf-8", check=False)
    # Blender itself says this where there is no /etc/mtab, as in a bare chroot.
    done.stderr = done.stderr.replace("could not get a list of mounted file-systems\n", "")
    return done


def viewports() -> list[bpy.types.Space]:
    return [
        space
        for screen in bpy.data.screens
        for area in screen.areas
        if area.type == "VIEW_3D"
        for space in area.spaces
        if space.type == "VIEW_3D"
    ]


BLENDER = """#!{python}
# Blender's command line, as far as a scene needs it, before Blender as a module.
import sys
if sys.argv[1:] == ["--version"]:
    print("Blender 4.5.0")
    sys.exit(0)
assert sys.argv[1:-1] == ["--background", "--factory-startup", "--python-exit-code", "2", "--python-expr"], sys.argv
sys.path[:] = [path for path in sys.path if path.rstrip("/") != {root!r}]
sys.modules["zmq"] = None  # Blender's own Python has neither
sys.modules["msgpack._cmsgpack"] = None
exec(sys.argv[-1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script with a first line is no program there")
def test_an_installed_blender_writes_the_scene(
    tmp_path: Path, footage: Path, start_server: Callable[..., Server], repo_root: Path
) -> None:
    program = tmp_path / "blender"
    program.write_text(BLENDER.format(python=sys.executable, root=str(repo_root)))
    program.chmod(0o755)
    with Client(start_server(runner=RUNNER).endpoint) as client:
        reply = client.track(TrackJob((ViewSpec(str(footage)),), name="someone"))
    out = tmp_path / "scene.blend"
    with scene_writer(Blender(program), reply, out) as finish:
        finish()
    bpy.ops.wm.open_mainfile(filepath=str(out))
    assert bpy.data.collections["someone"][JOB_KEY] == reply.job.job_id
