"""A session that real packets drive: poses come out as they went in, and it says in words how it is doing."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import UserError
from backend.head_model.library import load_head
from backend.live.live_link import PACKET_ACTIONS
from backend.live.live_link_receiver import LiveLinkReceiver
from backend.live.live_link_session import DISTANCE, SILENT_SECONDS, LiveLinkSession, head_rotation
from protocol.live import LiveCommand, LivePhase, LivePose, LiveRecording, LiveState, LiveTake, LiveVerb
from protocol.live_link import head_angles
from protocol.message import Message
from tests.backend.live.packets import Phone, packed

WAIT = 30.0
M = TypeVar("M", bound=Message)


class Listener:
    """Keeps what a session says, and asks it for things."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.commands: queue.SimpleQueue[LiveVerb] = queue.SimpleQueue()

    def send(self, message: Message) -> None:
        self.messages.put(message)

    def command(self) -> LiveCommand | None:
        try:
            return LiveCommand(self.commands.get_nowait())
        except queue.Empty:
            return None

    def next(self, kind: type[M]) -> M:
        """The next message of a kind; those before it are gone."""
        deadline = time.monotonic() + WAIT
        while True:
            message = self.messages.get(timeout=max(0.01, deadline - time.monotonic()))
            if isinstance(message, kind):
                return message

    def state(self, phase: LivePhase) -> LiveState:
        while (state := self.next(LiveState)).phase is not phase:
            pass
        return state


@pytest.fixture
def receiver() -> LiveLinkReceiver:
    return LiveLinkReceiver(0)


@pytest.fixture
def session(receiver: LiveLinkReceiver) -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=LiveLinkSession(receiver).run, args=(listener,))
    thread.start()
    yield listener
    listener.commands.put(LiveVerb.END)
    thread.join(WAIT)
    assert not thread.is_alive()


def test_packets_become_poses(session: Listener, receiver: LiveLinkReceiver) -> None:
    take = session.next(LiveTake).take
    assert take.head.head_id == load_head("open").id and len(take.scene_frames) == 1
    waiting = session.state(LivePhase.WAITING)
    assert f"has come yet at port {receiver.port}" in waiting.sentence and "a phone is another" in waiting.hint
    phone, other = Phone(receiver.port), Phone(receiver.port, "Tablet")
    values = np.linspace(0.01, 0.6, 61)
    phone.send(list(values))
    pose = session.next(LivePose)
    named = dict(zip(take.head.expression_names, pose.expression, strict=True))
    for index, name in enumerate(PACKET_ACTIONS):
        assert named[name] == pytest.approx(values[index], abs=1e-6)
    eyes = values[55:].reshape(2, 3)
    np.testing.assert_allclose(pose.gaze, -eyes[:, :2], atol=1e-6)  # theirs: to the right and downwards
    np.testing.assert_allclose(pose.head_translation, [0, 0, DISTANCE], atol=1e-6)
    in_camera = Rotation.from_rotvec(pose.head_rotation).as_matrix()
    np.testing.assert_allclose(head_angles((np.diag([1, -1, -1]) @ in_camera)[None])[0], values[52:55], atol=1e-5)
    assert (pose.number, pose.time, pose.seen) == (1, 0.0, True)
    other.send([0.9] * 61)
    phone.send(None)
    pose = session.next(LivePose)
    assert not pose.seen and pose.expression.max() < 0.6, "the last known, not the other's"
    assert pose.time == pytest.approx(1 / 60, abs=1e-6)
    phone.send(list(values))
    while not (state := session.state(LivePhase.RUNNING)).source or "Tablet" not in state.sentence:
        pass
    assert state.source == "Phone"
    phone.close()
    other.close()


def test_a_recording_has_every_packet(session: Listener, receiver: LiveLinkReceiver) -> None:
    session.next(LiveTake)
    phone = Phone(receiver.port)
    phone.send([0.1] * 61)
    session.next(LivePose)
    session.commands.put(LiveVerb.RECORD)
    session.state(LivePhase.RECORDING)
    for index in range(30):  # at once: a session that only looked at the newest would miss some
        phone.send([index / 100] * 61)
    told = [session.next(LivePose) for _ in range(30)]
    assert [round(100 * float(pose.expression[0])) for pose in told] == list(range(30))
    session.commands.put(LiveVerb.STOP_RECORDING)
    recording = session.next(LiveRecording)
    assert (recording.poses, recording.footage) == (30, "")
    assert recording.seconds == pytest.approx(29 / 60, abs=0.02)
    phone.close()


def test_calibrating_makes_the_present_direction_straight_ahead(session: Listener, receiver: LiveLinkReceiver) -> None:
    session.next(LiveTake)
    phone = Phone(receiver.port)
    aside = [0.0] * 52 + [0.4, -0.2, 0.1] + [0.0] * 6
    session.commands.put(LiveVerb.CALIBRATE)
    time.sleep(0.2)
    phone.send(aside)
    turn = session.next(LivePose).head_rotation
    np.testing.assert_allclose(Rotation.from_rotvec(turn).as_matrix(), np.diag([1, -1, -1]), atol=1e-5)
    phone.close()


def test_silence_and_strange_packets_are_told(
    session: Listener, receiver: LiveLinkReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.live.live_link_session.SILENT_SECONDS", 0.2)
    assert SILENT_SECONDS == 2.0
    session.next(LiveTake)
    phone = Phone(receiver.port)
    phone.send([0.1] * 61)
    session.state(LivePhase.RUNNING)
    assert "comes any more" in session.state(LivePhase.WAITING).sentence
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\x01 something else", ("127.0.0.1", receiver.port))
    assert "choose “Live Link (ARKit)”" in session.state(LivePhase.WAITING).sentence
    phone.close()


def test_a_subject_is_followed_by_name() -> None:
    receiver = LiveLinkReceiver(0, subject="Tablet")
    phone, tablet = Phone(receiver.port), Phone(receiver.port, "Tablet")
    phone.send([0.1] * 61)
    tablet.send([0.2] * 61)
    time.sleep(0.05)
    (arrived,) = receiver.take(1.0)
    assert arrived.packet.subject == "Tablet" and receiver.others == ["Phone"]
    for one in (phone, tablet, receiver):
        one.close()


def test_moments_are_the_phones_as_long_as_its_clock_goes_on() -> None:
    receiver = LiveLinkReceiver(0)
    frames = (100, 102, 102, 5_184_000, 5_184_003)  # on, stands still, is set, goes on
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for frame in frames:
            sender.sendto(packed([0.0] * 61, frame=frame), ("127.0.0.1", receiver.port))
    time.sleep(0.05)
    times = [arrived.time for arrived in receiver.take(1.0)]
    assert times[1] == pytest.approx(2 / 60) and times[4] - times[3] == pytest.approx(3 / 60)
    assert 0 <= times[2] - times[1] < 0.5 and 0 <= times[3] - times[2] < 0.5, "by arrival instead"
    receiver.close()


def test_ports_and_addresses_that_cannot_be_had_are_named() -> None:
    first = LiveLinkReceiver(0)
    with pytest.raises(UserError, match=rf"port {first.port}: .*another one here and in the app"):
        LiveLinkReceiver(first.port)
    with pytest.raises(UserError, match="“my phone” is not an address"):
        LiveLinkReceiver(0, "my phone")
    first.close()


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.5, -0.3, 0.2), (-1.2, 0.9, -0.7)])
def test_head_angles_lead_back(angles: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(head_angles(head_rotation(np.array(angles))[None])[0], angles, atol=1e-12)
