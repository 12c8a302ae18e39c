"""The head that is shown while its take is tracked: it comes early, gets better, and leaves no trace of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import pytest

from backend.server.app import Server
from blender_addon import live, preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.compat import action_curves
from blender_addon.scene import preview
from blender_addon.scene.ownership import ARMATURE, HEAD, takes_of
from protocol import messages as m
from tests.backend.server.conftest import REPOSITORY, running
from tests.backend.server.runners import FIRST_SHOWN

from .conftest import wait_until
from .takes import write_clip
from .test_client import free_port

pytestmark = pytest.mark.slow

KINDS = ("objects", "meshes", "armatures", "cameras", "actions", "materials", "movieclips", "collections", "images")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The jobs of a backend, for all tests here, that show two partial takes and wait for ``go_on`` after each."""
    folder = tmp_path_factory.mktemp("backend") / "jobs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        patch.setattr(preferences._Defaults, "endpoint", endpoint)
        with running(Server(folder, endpoint, runner="tests.backend.server.runners:run")):
            yield folder


@pytest.fixture(autouse=True)
def tracking(addon: None, jobs: Path, tmp_path: Path) -> Iterator[None]:  # noqa: ARG001 - there, not used
    """The backend is connected, and footage is chosen."""
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    settings.of(bpy.context.scene).footage = str(write_clip(tmp_path / "partial.mp4", 640, 480))
    yield
    if session.current().job is not None:
        bpy.ops.flowface.cancel()
        wait_until(lambda: session.current().job is None, pump.tick)


@pytest.fixture
def go_on(jobs: Path) -> Callable[[str], None]:
    """Let the running job go on: to its "second" partial take, or to its "end"."""

    def proceed(to: str) -> None:
        (jobs / session.current().job.status.job_id / to).touch()

    return proceed


def track() -> None:
    assert bpy.ops.flowface.track() == {"FINISHED"}
    wait_until(lambda: shown() is not None, pump.tick)


def shown() -> bpy.types.Collection | None:
    return preview.shown_in(bpy.context.scene)


def head() -> bpy.types.Object:
    return shown()[HEAD]


def frames_shown() -> int:
    return len(action_curves(shown()[ARMATURE])[0].keyframe_points) if shown() else 0


def built() -> bpy.types.Collection:
    wait_until(lambda: session.current().job is None, pump.tick)
    (take,) = takes_of(bpy.context.scene)
    return take


def rounds(count: int = 20) -> None:
    for _ in range(count):
        pump.tick()


def inventory() -> dict[str, list[str]]:
    """The names of everything in the file that a preview could leave."""
    return {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in KINDS}


def scene_settings() -> tuple[object, ...]:
    scene = bpy.context.scene
    render = scene.render
    size = render.resolution_x, render.resolution_y, render.fps, render.fps_base
    return *size, scene.frame_start, scene.frame_end, scene.frame_current, scene.camera


def test_a_head_comes_early_gets_better_in_place_and_the_take_is_one_undo_step(go_on: Callable[[str], None]) -> None:
    bpy.ops.ed.undo_push(message="Before")
    before, was = inventory(), scene_settings()
    track()
    assert frames_shown() == FIRST_SHOWN and not takes_of(bpy.context.scene)
    assert bpy.context.scene.camera is not None and scene_settings()[:2] == (640, 480)
    assert live.sentence(session.current().job, bpy.context) == (
        "The head is a preview of 3 frames so far; the result will take its place."
    )
    first = head()
    first.select_set(True)
    assert not bpy.context.selected_objects, "it is there to be looked at"
    go_on("second")
    wait_until(lambda: frames_shown() == 2 * FIRST_SHOWN, pump.tick)
    assert head() == first
    go_on("end")
    take = built()
    assert (
        take[HEAD].visible_get()
        and not preview.all_previews()
        and not [name for name in inventory()["actions"] if "preview" in name]
    )
    bpy.ops.ed.undo()
    assert inventory() == before and scene_settings() == was
    bpy.ops.ed.redo()
    assert len(takes_of(bpy.context.scene)) == 1 and not preview.all_previews()


def test_undo_and_redo_never_meet_a_preview(go_on: Callable[[str], None]) -> None:
    bpy.ops.ed.undo_push(message="Before")
    before, was = inventory(), scene_settings()
    track()
    bpy.ops.ed.undo_push(message="Made while it was shown")  # and so in this step and the next
    cube = bpy.data.objects.new("cube", None)
    bpy.context.scene.collection.objects.link(cube)
    cube.parent = head()
    bpy.ops.ed.undo_push(message="Cube")
    for _ in range(2):
        bpy.ops.ed.undo()
        assert not preview.all_previews() and not [o for o in bpy.data.objects if "preview" in o.name]
        wait_until(lambda: shown() is not None, pump.tick)
    assert "cube" not in bpy.data.objects
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert "cube" in bpy.data.objects and bpy.data.objects["cube"].parent is None and not preview.all_previews()
    wait_until(lambda: shown() is not None, pump.tick)
    go_on("second")
    go_on("end")
    built()
    for _ in range(2):
        bpy.ops.ed.undo()
        assert not preview.all_previews()
    bpy.ops.ed.undo()
    assert inventory() == before and scene_settings() == was
    for _ in range(3):
        bpy.ops.ed.redo()
    assert len(takes_of(bpy.context.scene)) == 1 and not preview.all_previews()


def test_it_goes_away_with_a_cancelled_job_and_where_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before, was = inventory(), scene_settings()
    track()
    bpy.ops.flowface.cancel()
    wait_until(lambda: session.current().job is None, pump.tick)
    pump.tick()
    assert inventory() == before and scene_settings() == was
    track()
    monkeypatch.setattr(preferences._Defaults, "live_preview", False)
    rounds()
    assert inventory() == before and scene_settings() == was


def test_what_the_user_changes_meanwhile_stays() -> None:
    track()
    scene = bpy.context.scene
    scene.frame_end, scene.render.fps = 77, 48
    own = bpy.data.objects.new("own", None)
    shown().objects.link(own)
    bpy.ops.flowface.cancel()
    wait_until(lambda: session.current().job is None, pump.tick)
    pump.tick()
    assert (scene.frame_end, scene.render.fps) == (77, 48)
    assert own.name in scene.collection.objects and list(bpy.data.objects) == [own]


def test_a_saved_file_holds_no_preview_and_an_automatic_one_loses_it(tmp_path: Path) -> None:
    track()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"), copy=True)
    assert not preview.all_previews()
    wait_until(lambda: shown() is not None, pump.tick)
    with bpy.data.libraries.load(str(tmp_path / "saved.blend")) as (saved, _):
        assert list(saved.objects) == [] and list(saved.actions) == []
    bpy.app.handlers.save_pre.remove(live.step_aside)  # as where Blender saves by itself
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "auto.blend"), copy=True)
    bpy.app.handlers.save_pre.append(live.step_aside)
    was = session.current().job
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "auto.blend"))
    assert not preview.all_previews() and len(bpy.data.objects) == 0 and bpy.context.scene.camera is None
    rounds()
    assert session.current().job is was and not preview.all_previews(), "it is another file's"


def test_a_take_that_is_there_is_not_touched(go_on: Callable[[str], None]) -> None:
    track()
    go_on("second")
    go_on("end")
    take = built()
    was = scene_settings()
    key = action_curves(take[ARMATURE])[0].keyframe_points[1]
    key.co.y = 5.0
    track()
    assert scene_settings() == was and action_curves(take[ARMATURE])[0].keyframe_points[1].co.y == 5.0
    assert (shown()[HEAD].matrix_world.translation - take[HEAD].matrix_world.translation).length > 0.4
    assert "beside “partial”" in live.sentence(session.current().job, bpy.context)


def test_one_that_the_user_deletes_does_not_come_back(go_on: Callable[[str], None]) -> None:
    track()
    for obj in list(shown().objects):
        bpy.data.objects.remove(obj)
    go_on("second")
    wait_until(lambda: session.current().job.partials == 2, pump.tick)
    rounds()
    assert shown() is None and "was deleted" in live.sentence(session.current().job, bpy.context)
    go_on("end")
    built()
    assert not preview.all_previews()


def test_edit_mode_is_waited_out() -> None:
    mesh = bpy.data.objects.new("mesh", bpy.data.meshes.new("mesh"))
    bpy.context.scene.collection.objects.link(mesh)
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.flowface.track() == {"FINISHED"}
    wait_until(lambda: session.current().job.partial is not None, pump.tick)
    rounds()
    assert not preview.all_previews() and bpy.context.mode == "EDIT_MESH"
    bpy.ops.object.mode_set(mode="OBJECT")
    wait_until(lambda: shown() is not None, pump.tick)
    assert session.current().job.status.state is m.JobState.RUNNING and bpy.context.active_object == mesh
