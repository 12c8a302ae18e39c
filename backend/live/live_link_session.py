"""A live session whose source is Live Link Face: packets in, poses of the open head out.

The app sends weights and angles that it has smoothed already; they are passed on as they are. It says nothing of where
the head is, so that the head turns in one place. There are no pictures: a recording of it cannot be solved again.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from backend.export.blender import take_result
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.live.live_link import PACKET_ACTIONS
from backend.live.live_link_receiver import Arrived, LiveLinkReceiver, own_addresses
from backend.live.types import Outlet
from backend.track.types import CameraTrack, Track
from protocol.live import LivePhase, LivePose, LiveRecording, LiveState, LiveTake, LiveVerb
from protocol.live_link import gaze_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

NAME = "Live Link Face"
"""Of the take."""
DISTANCE = 0.6
"""Metres from the camera to the head's origin: as far as a phone is held."""
SILENT_SECONDS = 2.0
"""Without a packet: the app sends 30 or 60 a second, also while it sees no face."""
PATIENCE = 0.05
STATE_SECONDS = 1.0
IMAGE, FOCAL = (640, 480), 800.0
"""Of the camera that the take needs: pixels; it shows the whole head at that distance."""
RATE = 60.0
"""Frames a second of the take, which has one frame."""
_FACING: F64 = np.diag([1.0, -1.0, -1.0])
"""From head space to OpenCV's camera space of a head that looks straight into the camera."""


class LiveLinkSession:
    """Listens until the client asks for the end."""

    def __init__(self, receiver: LiveLinkReceiver) -> None:
        """The receiver is closed at the session's end."""
        self._receiver = receiver
        self._head: HeadModel | None = None
        self._columns = np.zeros(0, np.int64)
        self._straight: F64 = np.eye(3)
        self._calibrate = False
        self._last: LivePose | None = None
        self._heard_at = time.perf_counter()
        self._phase = LivePhase.WAITING
        self._recording: list[float] | None = None  # times of the poses
        self._sent: deque[tuple[float, float]] = deque(maxlen=600)  # when, and how old the packet was
        self._dropped = 0
        self._told: tuple[LivePhase, str, float] | None = None

    def run(self, outlet: Outlet) -> None:
        """Go on until the end; raises nothing a user could mend: the port is had already."""
        try:
            self._run(outlet)
        finally:
            self._receiver.close()

    def _run(self, outlet: Outlet) -> None:
        head = self._head = load_head("open")
        self._columns = np.array([PACKET_ACTIONS.index(name) for name in head.expression_names])
        outlet.send(LiveTake(take_result(neutral_track(head), head, NAME, {})))
        self._heard_at = time.perf_counter()
        while self._obey(outlet):
            arrived = self._receiver.take(PATIENCE)
            wanted = arrived if self._recording is not None else arrived[-1:]
            self._dropped += len(arrived) - len(wanted)
            for one in wanted:
                self._heard_at = one.arrived
                outlet.send(self._pose(one))
            self._tell(outlet)
        self._end_recording(outlet)
        outlet.send(LiveState(LivePhase.ENDED, "The live session was stopped.", source=self._receiver.subject))

    def _obey(self, outlet: Outlet) -> bool:
        """Do what the client asks for; False where that is the end."""
        command = outlet.command()
        while command is not None:
            if command.verb is LiveVerb.END:
                return False
            if command.verb is LiveVerb.RECORD and self._recording is None:
                self._recording = []
                self._tell(outlet)
            elif command.verb is LiveVerb.STOP_RECORDING:
                self._end_recording(outlet)
            elif command.verb is LiveVerb.CALIBRATE:
                self._calibrate = True
            command = outlet.command()
        return True

    def _end_recording(self, outlet: Outlet) -> None:
        times, self._recording = self._recording, None
        if times is not None:
            seconds = times[-1] - times[0] if times else 0.0
            first = times[0] if times else 0.0
            outlet.send(LiveRecording(seconds, len(times), first_time=first))
            self._tell(outlet)

    def _pose(self, arrived: Arrived) -> LivePose:
        packet, last = arrived.packet, self._last
        if packet.weights is None or packet.head is None or packet.eyes is None:
            expression = last.expression if last is not None else np.zeros(len(self._columns), np.float32)
            gaze = last.gaze if last is not None else np.zeros((2, 2), np.float32)
            turn = last.head_rotation if last is not None else axis_angle(_FACING)
        else:
            rotation = head_rotation(packet.head)
            if self._calibrate:
                self._straight, self._calibrate = rotation.T, False
            expression = packet.weights[self._columns].astype(np.float32)
            gaze = gaze_of(packet.eyes[None])[0].astype(np.float32)
            turn = axis_angle(_FACING @ self._straight @ rotation)
        place = np.array([0.0, 0.0, DISTANCE], np.float32)
        age = time.perf_counter() - arrived.arrived
        pose = LivePose(arrived.number, arrived.time, age, packet.weights is not None, expression, gaze, turn, place)
        self._last = pose
        self._sent.append((time.perf_counter(), age))
        if self._recording is not None:
            self._recording.append(arrived.time)
        return pose

    def _tell(self, outlet: Outlet) -> None:
        """Say where the session stands where that has changed, and once a second in any case."""
        now = time.perf_counter()
        silent = self._last is None or now - self._heard_at > SILENT_SECONDS
        phase = LivePhase.RUNNING
        if self._recording is not None:
            phase = LivePhase.RECORDING
        elif silent:
            phase = LivePhase.WAITING
        sentence, hint = self._words(silent)
        if self._told is not None and self._told[:2] == (phase, sentence) and now - self._told[2] < STATE_SECONDS:
            return
        self._told = phase, sentence, now
        recent = [age for at, age in self._sent if now - at < 1.0]
        outlet.send(
            LiveState(
                phase,
                sentence,
                hint,
                source=self._receiver.subject,
                frames_per_second=float(len(recent)),
                milliseconds=1000 * float(np.median(recent)) if recent else 0.0,
                dropped=self._dropped,
            )
        )

    def _words(self, silent: bool) -> tuple[str, str]:
        receiver = self._receiver
        if silent and receiver.refused:
            return f"Packets come that {receiver.refused}.", ""
        if silent and receiver.others and self._last is None:
            senders = ", ".join(f"“{name}”" for name in receiver.others)
            return f"“{receiver.subject}” sends nothing, {senders} does.", "Name the one to follow, or leave it empty."
        if silent:
            what = "has come yet" if self._last is None else "comes any more"
            return f"No packet of Live Link Face {what} at port {receiver.port}.", self._where_to_send()
        if self._last is not None and not self._last.seen:
            return f"“{receiver.subject}” sees no face.", ""
        others = ", ".join(f"“{name}”" for name in receiver.others)
        return f"“{receiver.subject}” drives the head{f'; {others} sends, too' if others else ''}.", ""

    def _where_to_send(self) -> str:
        if not self._receiver.everywhere:
            return "This machine alone is listened to: a phone is another one, and must be let in first."
        addresses = " or ".join(own_addresses()[:3]) or "this machine's address"
        return f"In the app's settings, under Live Link, add the target {addresses} with this port."


def head_rotation(angles: F64) -> F64:
    """The rotation (3,3) in head space of the app's yaw, pitch, roll (3,): the inverse of ``live_link.head_angles``."""
    yaw, pitch, roll = -angles[0], -angles[1], angles[2]
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)


def axis_angle(rotation: F64) -> F32:
    """The axis-angle (3,) of a rotation (3,3), also about half a turn, where the face looks into the camera."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(rotation).as_rotvec().astype(np.float32)


def neutral_track(head: HeadModel) -> Track:
    """One frame of a head's own neutral that looks straight into a camera without footage."""
    camera = CameraTrack(
        name="camera",
        footage="",
        footage_kind="still",
        footage_first_frame=1,
        footage_frame_count=1,
        footage_rotation=0,
        image_size=IMAGE,
        focal_px=np.full(1, FOCAL),
        principal_point=np.array(IMAGE, np.float64) / 2,
        world_to_camera=np.eye(3, 4)[None],
    )
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=np.zeros(len(head.shape_basis), np.float32),
        expression=np.zeros((1, len(head.expression_names)), np.float32),
        head_rotation=axis_angle(_FACING).astype(np.float64)[None],
        head_translation=np.array([[0.0, 0.0, DISTANCE]]),
        gaze=np.zeros((1, 2, 2), np.float32),
        cameras=(camera,),
        frames=np.ones(1, np.int64),
        scene_frames=np.ones(1),
        times=np.zeros(1),
        frame_rate=RATE,
        tracked=np.ones(1, bool),
        reprojection_error_percent_iod=np.full(1, np.nan, np.float32),
    )
