"""A head that packets of Live Link Face drive live: by a real session, real sockets, and what is recorded of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from backend.export.blender import take_result
from backend.head_model.library import load_head
from backend.live.live_link import PACKET_ACTIONS
from blender_addon import live_pump, preferences, pump, session
from blender_addon.client import Connection
from blender_addon.compat import action_curves, action_of
from blender_addon.live_capture import holding, properties, running
from blender_addon.live_capture.unplaced import FOLDER, Recordings, Unplaced
from blender_addon.live_client import Recorded
from blender_addon.retarget import targets
from blender_addon.scene import takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, takes_of
from protocol import messages
from protocol.live import LivePhase, LivePose, LiveRecording
from tests.backend.live.packets import Phone
from tests.backend.server.conftest import REPOSITORY
from tests.backend.server.curve import address, bare_backend

from .conftest import wait_until
from .live_stand_in import StandIn
from .runners import performance
from .takes import write_clip
from .test_client import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the programs that stand in are scripts of a Unix shell"),
]

REAL = """#!/bin/sh
cd {repository} && exec env PYTHONPATH={repository} {python} -m backend.entry "$@"
"""
JAW = PACKET_ACTIONS.index("jawOpen")


def until(done: Callable[[], bool]) -> None:
    wait_until(done, live_pump.tick)


def face(jaw: float, yaw: float = 0.0, gaze: float = 0.0) -> list[float]:
    values = [0.0] * 61
    values[JAW], values[52], values[55], values[58] = jaw, yaw, gaze, gaze
    return values


def take() -> Any:
    (found,) = takes_of(bpy.context.scene)
    return found


def keys() -> Any:
    return take()[HEAD].data.shape_keys


def kept() -> tuple[Unplaced, ...]:
    return Recordings(preferences.user_folder() / FOLDER).waiting()


def jaw() -> float:
    return float(keys().key_blocks["jawOpen"].value)


def start(program: Path, port: int = 0) -> None:
    preferences._Defaults.environment = str(program)
    chosen = properties.of(bpy.context.scene)
    chosen.source, chosen.port = "LIVE_LINK", port
    assert bpy.ops.flowface.live_capture_start() == {"FINISHED"}, running.now.notice


@pytest.fixture(autouse=True)
def live_addon(addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001
    """The add-on with files of its own here, and no backend."""
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(preferences._Defaults, "environment", "")
    monkeypatch.setattr(preferences._Defaults, "endpoint", f"tcp://127.0.0.1:{free_port()}")
    yield
    running.forget()


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[tuple[StandIn, Phone]]:
    """A session whose head is in the scene and shows what the phone sent: a jaw half open."""
    folder = tmp_path / "session"
    folder.mkdir()
    with StandIn(folder) as stand_in:
        start(stand_in.program)
        until(lambda: bool(running.now.collection))
        phone = Phone(stand_in.receiver.port)
        phone.send(face(0.5))
        until(lambda: running.now.drawn > 0)
        yield stand_in, phone
        if session.current().capture is not None:
            session.current().capture.end()
            until(lambda: session.current().capture.over)
        phone.close()


def test_a_phone_drives_a_head_and_a_character_and_is_recorded(tmp_path: Path) -> None:
    """The whole way, with a process of its own: start, follow, record, stop."""
    program = tmp_path / "flowface"
    program.write_text(REAL.format(repository=REPOSITORY, python=sys.executable))
    program.chmod(0o755)
    port = free_port()
    start(program, port)
    capture = session.current().capture
    until(lambda: capture.state.phase is LivePhase.WAITING and bool(running.now.collection))
    assert f"port {port}" in capture.state.sentence and "must be let in" in capture.state.hint
    before = {role: action_of(block) for role, block in versions.animated(take()).items()}
    follower = follow()
    phone = Phone(port)
    phone.send(face(0.75, yaw=-0.4, gaze=0.2))
    until(lambda: running.now.drawn > 0)
    bpy.context.view_layer.update()
    assert jaw() == pytest.approx(0.75) and follower.key_blocks["jawOpen"].value == pytest.approx(0.75)
    rig = take()[ARMATURE]
    assert rig.rotation_euler.z == pytest.approx(0.4, abs=1e-4), "to the subject's left is about +z"
    assert rig.pose.bones["left_eye"].rotation_euler.z == pytest.approx(-0.2, abs=1e-4)
    bpy.context.scene.frame_set(30)
    assert jaw() == pytest.approx(0.75) and action_of(keys()) is None, "no keys get in the way"

    bpy.ops.flowface.live_capture_record()
    until(lambda: capture.recording)
    sent = np.linspace(0.0, 0.9, 46)
    for value in sent:
        phone.send(face(value))
        live_pump.tick()
        time.sleep(0.002)
    until(lambda: capture.client.kept == len(sent))
    bpy.ops.flowface.live_capture_record()
    until(lambda: running.now.notice is not None)
    assert "46 poses. It has no pictures" in running.now.notice.text and "version 2" in running.now.notice.text
    assert not bpy.ops.flowface.live_capture_solve.poll(), "there are no pictures to solve it from"

    bpy.ops.flowface.live_capture_stop()
    pid = capture.process.pid
    until(lambda: capture.over)
    assert capture.state.phase is LivePhase.ENDED and not running.now.notice.is_error
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert holding.HELD not in take() and all(action.users for action in before.values() if action)
    (curve,) = [c for c in action_curves(keys()) if c.data_path == keys().key_blocks["jawOpen"].path_from_id("value")]
    frames = [point.co.x for point in curve.keyframe_points]
    assert frames == list(range(1, 1 + len(frames))) and bpy.context.scene.frame_start == 1
    rate = bpy.context.scene.render.fps
    assert len(frames) == pytest.approx(45 / 60 * rate, abs=1.5)
    expected = np.interp((np.array(frames) - 1) / rate, np.arange(46) / 60, sent)
    np.testing.assert_allclose([point.co.y for point in curve.keyframe_points], expected, atol=1e-4)
    bpy.context.scene.frame_set(10)
    assert jaw() == pytest.approx(np.interp(9 / rate, np.arange(46) / 60, sent), abs=1e-4)
    versions.switch(bpy.context, take(), 1)
    assert {role: action_of(block) for role, block in versions.animated(take()).items()} == before
    phone.close()


def follow() -> Any:
    """The shape keys of a character that follows the head by drivers."""
    character = bpy.data.objects.new("character", take()[HEAD].data.copy())
    bpy.context.scene.collection.objects.link(character)
    character.select_set(True)
    bpy.context.view_layer.objects.active = character
    assert bpy.ops.flowface.retarget_add() == {"FINISHED"}
    (target,) = targets.settings_of(bpy.context.scene).targets
    target.source = take()[HEAD]
    assert bpy.ops.flowface.retarget_live() == {"FINISHED"}
    return character.data.shape_keys


def test_only_the_newest_pose_is_shown_and_costs_little(driven: tuple[StandIn, Phone]) -> None:
    """Also where Blender stood still; by this thread's clock, to which Blender's drawing comes on top."""
    _, phone = driven
    drawn, client = running.now.drawn, session.current().capture.client
    for index in range(120):
        phone.send(face(index / 200))
        time.sleep(0.001)
    wait_until(lambda: client._newest.number == 121, lambda: None)  # Blender stands still meanwhile
    live_pump.tick()
    assert running.now.drawn == drawn + 1 and jaw() == pytest.approx(119 / 200)
    for _ in range(5):
        live_pump.tick()
    assert running.now.drawn == drawn + 1, "nothing is made up for"
    spent = []
    for number in range(122, 152):
        phone.send(face(number / 200, yaw=number / 300))
        wait_until(lambda wanted=number: client._newest.number >= wanted, lambda: None)
        before = time.thread_time()
        live_pump.tick()
        spent.append(time.thread_time() - before)
    assert jaw() == pytest.approx(151 / 200) and np.quantile(spent, 0.9) < 0.02
    for value, shown in ((0.00015, 0.00015), (0.00005, 0.0)):
        phone.send(face(value))
        until(lambda wanted=shown: jaw() == pytest.approx(wanted, abs=1e-7))
    takes.delete(take())
    phone.send(face(0.2))
    until(lambda: session.current().capture.over)
    assert running.now.notice.text == running.GONE, "who deletes the head ends it"


def test_undo_knows_nothing_of_it(driven: tuple[StandIn, Phone]) -> None:
    _, phone = driven
    own = bpy.data.objects.new("own", None)
    bpy.context.scene.collection.objects.link(own)
    bpy.ops.ed.undo_push(message="before")
    own.location.x = 1.0
    bpy.ops.ed.undo_push(message="moved")
    assert action_of(keys()) is None
    bpy.ops.ed.undo()
    assert bpy.data.objects["own"].location.x == 0.0
    assert action_of(keys()) is not None and holding.HELD not in take(), "an undo brings no half state"
    phone.send(face(0.25))
    until(lambda: action_of(keys()) is None and jaw() == pytest.approx(0.25))
    bpy.ops.flowface.live_capture_stop()
    until(lambda: session.current().capture.over)
    bpy.ops.ed.redo()
    assert bpy.data.objects["own"].location.x == 1.0
    assert action_of(keys()) is not None and action_of(take()[ARMATURE]) is not None and holding.HELD not in take()


def test_files_know_nothing_of_it(driven: tuple[StandIn, Phone], tmp_path: Path) -> None:
    _, phone = driven
    at_rest = tmp_path / "at_rest.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(at_rest), copy=True)
    assert action_of(keys()) is not None
    phone.send(face(0.25))
    until(lambda: action_of(keys()) is None)
    bpy.app.handlers.save_pre.remove(running.step_aside)  # as where Blender saves by itself
    by_itself = tmp_path / "by_itself.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(by_itself), copy=True)
    bpy.app.handlers.save_pre.append(running.step_aside)
    for path in (at_rest, by_itself):
        bpy.ops.wm.open_mainfile(filepath=str(path))
        assert holding.HELD not in take() and jaw() == 0.0
        assert action_of(keys()) is not None and action_of(take()[ARMATURE]) is not None
    until(lambda: session.current().capture.over)
    assert running.now.notice.text == running.OTHER_FILE


def test_a_recording_outlives_the_file_that_it_was_made_in(driven: tuple[StandIn, Phone], tmp_path: Path) -> None:
    _, phone = driven
    other = tmp_path / "other.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(other), copy=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    capture = session.current().capture
    bpy.ops.flowface.live_capture_record()
    until(lambda: capture.recording)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        phone.send(face(value))
        time.sleep(0.002)
    until(lambda: capture.client.kept == 5)
    bpy.ops.wm.open_mainfile(filepath=str(other))
    until(lambda: capture.over)
    (waiting,) = kept()
    assert (waiting.source, waiting.poses) == ("Live Link Face", 5) and waiting.blend == str(tmp_path / "shot.blend")
    assert running.now.notice.text == f"{running.OTHER_FILE} {running.PUT_ASIDE.format(waiting.seconds)}"
    assert [version.number for version in versions.all_of(take())] == [1], "nothing appears unasked"

    bpy.ops.wm.read_homefile(use_empty=True)  # a file without any head
    assert kept() == (waiting,)
    assert bpy.ops.flowface.live_recording_add(path=str(waiting.path)) == {"FINISHED"}, running.now.notice
    assert "5 poses" in running.now.notice.text and "version 2" in running.now.notice.text
    (curve,) = [c for c in action_curves(keys()) if c.data_path == keys().key_blocks["jawOpen"].path_from_id("value")]
    points = [(point.co.x, point.co.y) for point in curve.keyframe_points]  # 1/24 s is 2.5 packets of 60 a second
    np.testing.assert_allclose(points, [(1, 0.1), (2, 0.35)], atol=1e-4)
    assert kept() == (waiting,), "a file that is not saved must not take it along"
    assert bpy.ops.flowface.live_recording_discard(path=str(waiting.path)) == {"FINISHED"}
    assert kept() == () and not waiting.path.exists()
    assert bpy.ops.flowface.live_recording_add(path=str(waiting.path)) == {"CANCELLED"}
    assert running.now.notice.text == f"The recording {waiting.path} cannot be read: No such file or directory."


def test_a_recording_outlives_its_head(driven: tuple[StandIn, Phone]) -> None:
    _, phone = driven
    capture = session.current().capture
    bpy.ops.flowface.live_capture_record()
    until(lambda: capture.recording)
    phone.send(face(0.25))
    until(lambda: capture.client.kept == 1)
    takes.delete(take())
    phone.send(face(0.5))
    until(lambda: capture.over and not running.now.to_keep)
    (first,) = kept()
    assert first.poses >= 1 and running.now.notice.text.startswith(running.NO_HEAD)
    whole = first.path.read_bytes()
    for broken in (whole[:-5], whole[:40], b"something else"):
        first.path.write_bytes(broken)
        assert bpy.ops.flowface.live_recording_add(path=str(first.path)) == {"CANCELLED"}
        assert "cannot be read" in running.now.notice.text and not takes_of(bpy.context.scene)


def test_a_recording_outlives_blender(driven: tuple[StandIn, Phone]) -> None:
    _, phone = driven
    capture = session.current().capture
    bpy.ops.flowface.live_capture_record()
    until(lambda: capture.recording)
    phone.send(face(0.25))
    until(lambda: capture.client.kept == 1)
    running.forget()  # as the add-on is switched off
    (waiting,) = kept()
    assert waiting.poses == 1


def test_a_session_that_crashes_is_a_sentence(driven: tuple[StandIn, Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    """The head has its keys again; an Action that it was given meanwhile instead of those that it had."""
    monkeypatch.setattr("backend.live.door.AWAY_SECONDS", 0.2)
    stand_in, phone = driven
    own = bpy.data.actions.new("mine")
    keys().animation_data.action = own
    phone.send(face(0.3))
    until(lambda: action_of(keys()) is None and jaw() == pytest.approx(0.3))
    stand_in.crash(7)
    until(lambda: session.current().capture.over)
    assert running.now.notice.is_error
    assert running.now.notice.text.startswith("The live session ended with exit code 7")
    assert action_of(keys()) == own and action_of(take()[ARMATURE]) is not None and holding.HELD not in take()
    assert bpy.ops.flowface.live_capture_start.poll()


def test_what_cannot_be_started_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences._Defaults, "environment", str(tmp_path / "nothing"))
    chosen = properties.of(bpy.context.scene)
    chosen.source = "LIVE_LINK"
    assert bpy.ops.flowface.live_capture_start() == {"CANCELLED"}
    assert "There is no Python in" in running.now.notice.text
    chosen.source, chosen.video = "VIDEO", str(tmp_path / "gone.mp4")
    monkeypatch.setattr(preferences._Defaults, "environment", sys.executable)
    assert bpy.ops.flowface.live_capture_start() == {"CANCELLED"}
    assert running.now.notice.text == f"There is no video at {tmp_path}/gone.mp4."
    assert session.current().capture is None


@pytest.mark.usefixtures("driven")
def test_a_recording_of_pictures_is_solved_as_a_version_of_its_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poses are a camera's, as a session tells them."""
    footage = write_clip(tmp_path / "footage.mp4", 640, 480)
    moments = np.arange(10) / 30  # the first pose is two pictures late
    poses = [
        LivePose(
            index,
            2.0 + moment,
            0.03,
            index != 5,
            np.full(52, moment, np.float32),
            np.zeros((2, 2), np.float32),
            np.array([np.pi, 0, 0], np.float32),
            np.array([moment, 0, 0.6], np.float32),
        )
        for index, moment in enumerate(moments)
    ][2:]
    told = LiveRecording(9 / 30, len(poses), str(footage), 10, 30.0, 2.0)
    bpy.context.scene.frame_start = 101
    running.now.to_keep.append(Recorded(told, tuple(poses)))
    until(lambda: running.now.notice is not None)
    bpy.ops.flowface.live_capture_stop()
    until(lambda: session.current().capture.over)
    (curve,) = [c for c in action_curves(keys()) if c.data_path == keys().key_blocks["jawOpen"].path_from_id("value")]
    points = np.array([point.co for point in curve.keyframe_points])
    rate = bpy.context.scene.render.fps
    assert rate == 24
    np.testing.assert_allclose(points[:, 0], np.arange(103, 109))  # from 2/30 s = 1.6 to 9/30 s = 7.2 frames on
    np.testing.assert_allclose(points[:, 1], (points[:, 0] - 101) / rate, atol=1e-5)

    with bare_backend() as backend:  # takes the job; what it would track is performed here
        monkeypatch.setattr(preferences._Defaults, "endpoint", address(backend))
        pump.tick()
        sender, *_ = backend.recv_multipart()
        backend.send_multipart([sender, *messages.pack(messages.Welcome("test", 1), 0)])
        wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
        assert bpy.ops.flowface.live_capture_solve() == {"FINISHED"}
        while not isinstance(asked := messages.read(backend.recv_multipart()[1:])[0], messages.Submit):
            pass
        assert isinstance(asked.job, messages.TrackJob)
        assert [view.footage for view in asked.job.views] == [str(footage)] and asked.job.head == "open"
        session.current().job.take = take_result(performance(str(footage)), load_head("open"), asked.job.name, {})
        wait_until(lambda: session.current().job is None, pump.tick)
    assert not session.current().notice.is_error, session.current().notice
    assert [version.number for version in versions.all_of(take())] == [1, 2, 3]
    (curve,) = [c for c in action_curves(keys()) if c.data_path == keys().key_blocks["jawOpen"].path_from_id("value")]
    ends = curve.keyframe_points[0].co.x, curve.keyframe_points[-1].co.x
    assert ends == pytest.approx((101, 101 + 9 / 25 * rate)), "the result counts 25 frames a second"
    versions.switch(bpy.context, take(), 2)
    (curve,) = [c for c in action_curves(keys()) if c.data_path == keys().key_blocks["jawOpen"].path_from_id("value")]
    assert [point.co.x for point in curve.keyframe_points] == points[:, 0].tolist(), "the recording stays where it was"
