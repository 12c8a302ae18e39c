"""A whole session over rendered pictures: poses near the truth, what is dropped, what is lost, and recordings."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from backend.footage import open_footage
from backend.footage.encode import encode_evenly
from backend.head_model.model import HeadModel
from backend.live.earlier import read_earlier
from backend.live.picture_cli import PictureChoice, run_in_terminal
from backend.live.recorder import Recorder
from backend.live.run import run_session
from backend.live.session import FaceSession, SessionOptions
from backend.live.takes import stacked, track_of
from backend.live.types import LivePicture
from backend.observations import AlignedFrame, ViewAlignment
from backend.observations.io import save_alignment
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import Performance
from backend.track.io import load_track, save_track
from protocol.live import LivePhase, LivePose, LiveRecording, LiveState, LiveTake, LiveVerb
from protocol.message import Message
from tests.backend.live.ends import Listener, Pictures, Played
from tests.backend.live.made import person_of, seen_in

SHOWN = slice(4, 16)  # of the performance: it turns, speaks and blinks


@pytest.fixture(scope="module")
def pictures(head: HeadModel, truth: Performance) -> list[np.ndarray]:
    some = {
        name: getattr(truth, name)[SHOWN]
        for name in ("expression", "head_rotation", "head_translation", "gaze", "focal_px")
    }
    return list(render_performance(head, replace(truth, **some)))


@pytest.fixture(scope="module")
def known(head: HeadModel, truth: Performance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An earlier take of the person."""
    path = tmp_path_factory.mktemp("known") / "track.npz"
    pose = (0.0, True, truth.expression[0], truth.head_rotation[0], truth.head_translation[0], truth.gaze[0])
    save_track(track_of(person_of(head, truth), stacked([pose]), "made"), path)
    return path


def test_a_person_who_is_known_is_driven_from_the_second_picture_on(
    pictures: list[np.ndarray], known: Path, truth: Performance, tmp_path: Path
) -> None:
    black = np.zeros_like(pictures[0])
    numbers = [1, 2, 3, 4, 5, 6, 9, 10, 11, 12]  # 7 and 8 are dropped
    shown = [pictures[n - 1] if n != 5 else black for n in numbers]
    source = Pictures(shown, numbers, truth.frame_rate)
    listener = Listener({2: LiveVerb.RECORD, 8: LiveVerb.STOP_RECORDING})
    FaceSession(source, SessionOptions(identity=known, recordings=tmp_path, filtered=False)).run(listener)

    (take,) = listener.of(LiveTake)
    assert take.take.head.head_id == "open"
    poses = listener.of(LivePose)
    assert [pose.number for pose in poses] == numbers[1:]  # the first tells how large pictures are
    assert [pose.seen for pose in poses] == [number != 5 for number in numbers[1:]]
    np.testing.assert_array_equal(poses[3].expression, poses[2].expression)  # the last known is held
    np.testing.assert_array_equal(poses[3].head_rotation, poses[2].head_rotation)
    frames = [SHOWN.start + number - 1 for number in numbers[1:] if number != 5]
    rotation = Rotation.from_rotvec([pose.head_rotation for pose in poses if pose.seen])
    turned = Rotation.from_rotvec(truth.head_rotation[frames]).inv() * rotation
    assert np.degrees(turned.magnitude()).mean() < 4
    moved = np.array([pose.head_translation for pose in poses if pose.seen]) - truth.head_translation[frames]
    assert np.linalg.norm(moved, axis=1).mean() < 0.03
    assert all(pose.age >= 0 for pose in poses)
    states = listener.of(LiveState)
    assert states[-1].dropped == 3
    assert states[-1].phase is LivePhase.ENDED
    assert source.closed

    (recording,) = listener.of(LiveRecording)
    assert recording.poses == recording.frames == 6
    footage = open_footage(recording.footage)
    assert footage.info.frame_count == 6
    assert recording.first_time == pytest.approx(poses[2].time)
    times = np.array([frame.time for frame in footage])
    np.testing.assert_allclose(times, np.array([pose.time for pose in poses[2:8]]) - poses[2].time, atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == [Path(recording.footage).name]


def test_a_camera_that_breaks_down_ends_the_session_with_its_sentence(pictures: list[np.ndarray], known: Path) -> None:
    source = Pictures([pictures[0], None], [1, 2], 10.0)
    listener = Listener()
    with pytest.raises(UserError):
        FaceSession(source, SessionOptions(identity=known)).run(listener)
    last = listener.of(LiveState)[-1]
    assert (last.phase, last.sentence) == (LivePhase.FAILED, "The camera “made” gives no pictures.")
    assert source.closed


def test_a_recording_waits_until_the_face_is_known_and_an_end_is_heeded(pictures: list[np.ndarray]) -> None:
    source = Pictures([np.zeros_like(pictures[0])] * 5, range(1, 6), 10.0)
    listener = Listener({0: LiveVerb.RECORD})
    listener._wishes[-1] = LiveVerb.RECORD
    FaceSession(source, SessionOptions()).run(listener)
    states = listener.of(LiveState)
    assert "Recording begins once the face is calibrated." in [state.sentence for state in states]
    assert not listener.of(LiveRecording)
    assert LivePhase.CALIBRATING in [state.phase for state in states]


def test_a_clip_played_in_a_terminal_leaves_a_track_and_its_pictures(
    pictures: list[np.ndarray], known: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    encode_evenly(clip, pictures, 10.0)
    out = tmp_path / "out"
    run_in_terminal(PictureChoice(video=clip, identity=known, out=out))
    track = load_track(out / "track.npz")
    assert track.tracked.all()
    assert track.actions.shape == (len(track.times), 52)
    camera = track.cameras[0]
    assert (camera.footage_frames >= 1).all()
    assert (np.diff(camera.footage_frames) >= 1).all()
    assert open_footage(camera.footage).info.frame_count == camera.footage_frame_count == camera.footage_frames[-1]


def test_a_video_is_driven_from_its_beginning_even_where_it_is_too_short_to_calibrate_on(
    pictures: list[np.ndarray],
) -> None:
    source = Played(pictures[:6], range(1, 7), 10.0)
    listener = Listener({6: LiveVerb.CALIBRATE, 5.5: LiveVerb.END})  # the one behind the other
    FaceSession(source, SessionOptions()).run(listener)
    poses = listener.of(LivePose)
    # Picture 7 tells that no others come, 8 is the first again.
    assert [pose.number for pose in poses] == [*range(8, 14)]
    assert all(pose.seen for pose in poses)
    assert source.rounds == 4  # the last one to calibrate anew
    last = listener.of(LiveState)[-1]
    assert (last.phase, last.dropped) == (LivePhase.ENDED, 0)


def test_a_video_without_a_face_ends_once_it_was_played(pictures: list[np.ndarray]) -> None:
    source = Played([np.zeros_like(pictures[0])] * 3, range(1, 4), 10.0)
    listener = Listener()
    FaceSession(source, SessionOptions()).run(listener)
    assert source.rounds == 1
    assert listener.of(LiveState)[-1].phase is LivePhase.ENDED


def test_what_was_recorded_before_a_camera_broke_down_is_written_over_an_earlier_take(
    pictures: list[np.ndarray], known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("track.npz", "alignments.npz", "texture.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"an earlier take's")
    source = Pictures([*pictures[:4], None], range(1, 6), 10.0)
    session = FaceSession(source, SessionOptions(identity=known, recordings=tmp_path))
    monkeypatch.setattr("backend.live.picture_cli.make_session", lambda _: session)
    with pytest.raises(UserError, match="gives no pictures"):
        run_in_terminal(PictureChoice(out=tmp_path))
    track = load_track(tmp_path / "track.npz")
    assert len(track.times) == open_footage(track.cameras[0].footage).info.frame_count == 3
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".mp4") == ["notes.txt", "track.npz"]


def test_a_folder_that_cannot_be_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(UserError, match="Results cannot be written to") as refused:
        run_in_terminal(PictureChoice(video=tmp_path / "none.mp4", out=tmp_path / "taken"))
    assert refused.value.code == ErrorCode.OUTPUT_UNWRITABLE


def test_what_the_encoder_cannot_follow_is_counted(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.mp4", 30.0)
    picture = np.zeros((360, 640, 3), np.uint8)
    taken = [recorder.add(LivePicture(n, n / 1000, 0.0, picture)) for n in range(1, 101)]
    written = recorder.finish()
    assert written is not None
    assert written.frames == sum(taken)
    assert written.lost == recorder.lost == 100 - sum(taken) > 0
    assert open_footage(written.path).info.frame_count == written.frames


def test_a_recording_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    recorder = Recorder(tmp_path / "taken" / "a.mp4", 30.0)
    recorder.add(LivePicture(1, 0.0, 0.0, np.zeros((48, 64, 3), np.uint8)))
    with pytest.raises(UserError) as refused:
        recorder.finish()
    assert refused.value.code == ErrorCode.OUTPUT_UNWRITABLE


def test_ctrl_c_ends_a_session_as_its_end_does(pictures: list[np.ndarray], known: Path, tmp_path: Path) -> None:
    source = Pictures([pictures[0]] * 50, range(1, 51), 10.0)

    class Interrupted(Listener):
        def send(self, message: Message) -> None:
            super().send(message)
            if isinstance(message, LivePose) and message.number == 4:
                signal.raise_signal(signal.SIGINT)

    listener = Interrupted({1: LiveVerb.RECORD})
    before = signal.getsignal(signal.SIGINT)
    run_session(FaceSession(source, SessionOptions(identity=known, recordings=tmp_path)), listener)
    assert signal.getsignal(signal.SIGINT) is before
    assert [pose.number for pose in listener.of(LivePose)] == [2, 3, 4]
    (recording,) = listener.of(LiveRecording)
    assert open_footage(recording.footage).info.frame_count == recording.frames == 2


def test_an_earlier_take_tells_what_the_person_looks_like_at_rest(
    head: HeadModel, truth: Performance, known: Path
) -> None:
    assert read_earlier(known).seen == []
    frames = [AlignedFrame(n, n / 10, float(n), seen) for n, seen in enumerate(seen_in(head, truth), start=1)]
    ids = [own.id for own in seen_in(head, truth)[0].point_sets]
    view = ViewAlignment.stacked(frames, ids, aligner="mediapipe", image_size=(256, 256), frame_rate=10.0)
    beside = known.with_name("alignments.npz")
    save_alignment(view, beside)
    try:
        earlier = read_earlier(known.parent)
    finally:
        beside.unlink()
    assert len(earlier.seen) == len(frames)
    np.testing.assert_array_equal(earlier.seen[7][0].mu, frames[7].alignment.mu)  # type: ignore[union-attr]
