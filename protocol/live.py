"""What Blender and a live session say to each other while a camera, a played video or a Live Link stream drives a head.

A session (``flowface live``) is a process of its own on Blender's machine. It sends ``LiveState`` whenever that
changes, ``LiveTake`` once the head is known, then a ``LivePose`` for each picture that it looked at, and
``LiveRecording`` when a recording ends. A pose that finds no room is dropped, never queued: the next one is newer. The
client sends ``LiveCommand``. Conventions are those of ``protocol.take``: world space is the camera's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .codec import Arrays, Frame, ProtocolError, decode, encode
from .codes import ProtocolCode
from .fields import from_plain
from .message import Message
from .take import TakeResult
from .take_codec import take_from_wire, take_to_wire
from .version import PROTOCOL_VERSION, is_spoken, mismatch_sentence

F32 = NDArray[np.float32]
MAX_WEIGHTS = 4096
"""Of a head's expressions: no rig has as many."""


class LivePhase(StrEnum):
    """Where a session stands."""

    OPENING = "opening"  # the camera or file, and the networks
    CALIBRATING = "calibrating"  # the person's neutral is being measured
    RUNNING = "running"
    RECORDING = "recording"
    WAITING = "waiting"  # no picture and no packet comes; it goes on by itself when one does
    ENDED = "ended"  # the file's end, or asked to stop
    FAILED = "failed"


class LiveVerb(StrEnum):
    """What a client may ask of a session."""

    CALIBRATE = "calibrate"  # anew, from now on
    RECORD = "record"
    STOP_RECORDING = "stop_recording"
    END = "end"


@dataclass(frozen=True)
class LiveCommand(Message):
    """Ask a session to do something; answered by the ``LiveState`` that comes of it."""

    TYPE: ClassVar[str] = "live_command"
    verb: LiveVerb


@dataclass(frozen=True)
class LiveState(Message):
    """Where a session stands, in a sentence, with what to do about it where it failed or waits."""

    TYPE: ClassVar[str] = "live_state"
    phase: LivePhase
    sentence: str = ""
    hint: str = ""
    fraction: float = 0.0  # of a calibration
    source: str = ""  # the camera, file or stream by its name
    frames_per_second: float = 0.0  # of poses, over the last second
    milliseconds: float = 0.0  # from a picture to its pose, median over the last second
    dropped: int = 0  # pictures that nobody looked at, since the session began


@dataclass(frozen=True, eq=False)
class LivePose(Message):
    """A face at one moment: one frame of a ``Performance``.

    ``expression (K,)`` are weights of the head's expressions as ``LiveTake`` names them, ``gaze (2,2)`` and
    ``head_rotation (3,)`` radians, ``head_translation (3,)`` metres, as in ``protocol.take.Performance``.
    """

    TYPE: ClassVar[str] = "live_pose"
    number: int  # of the picture or packet, from 1 on, dropped ones counted
    time: float  # seconds since the session's first picture, by the source's own clock
    age: float  # seconds from the picture's arrival to this message
    seen: bool  # False: no face in the picture, and what is here is the last known
    expression: F32
    gaze: F32
    head_rotation: F32
    head_translation: F32

    def to_wire(self) -> tuple[dict[str, Any], Arrays]:
        """Plain header fields and arrays of this message."""
        plain = {name: getattr(self, name) for name in ("number", "time", "age", "seen")}
        return plain, {name: np.asarray(getattr(self, name), np.float32) for name in _POSE_SHAPES}

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], arrays: Arrays) -> Self:
        """Build the message; raises ProtocolError naming the field or array that is wrong."""
        for name, shape in _POSE_SHAPES.items():
            array = arrays.get(name)
            right = (
                array is not None
                and array.dtype == np.float32
                and (array.shape == shape or (shape == () and array.ndim == 1 and len(array) <= MAX_WEIGHTS))
            )
            if array is None or not right or not np.isfinite(array).all():
                raise ProtocolError(ProtocolCode.BAD_FIELD, f"“live_pose.{name}” must be finite numbers (float32).")
        return from_plain(cls, {**fields, **{name: arrays[name] for name in _POSE_SHAPES}}, cls.TYPE)


_POSE_SHAPES: dict[str, tuple[int, ...]] = {
    "expression": (),  # as many as the head has
    "gaze": (2, 2),
    "head_rotation": (3,),
    "head_translation": (3,),
}


@dataclass(frozen=True, eq=False)
class LiveTake(Message):
    """The head that the session drives, as a take of the frames it was calibrated on (of one frame at least)."""

    TYPE: ClassVar[str] = "live_take"
    take: TakeResult

    def to_wire(self) -> tuple[dict[str, Any], Arrays]:
        """Plain header fields and arrays of this message."""
        fields, arrays = take_to_wire(self.take)
        return {"take": fields}, arrays

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], arrays: Arrays) -> Self:
        """Build the message; raises ProtocolError naming the field or array that is wrong."""
        return cls(take_from_wire(fields.get("take"), arrays))


@dataclass(frozen=True)
class LiveRecording(Message):
    """A recording has ended: its poses are those sent meanwhile; ``footage`` is a video of the very pictures."""

    TYPE: ClassVar[str] = "live_recording"
    seconds: float
    poses: int
    footage: str = ""  # absolute path of what can be solved again, "" where there are no pictures (Live Link)
    frames: int = 0  # of the footage
    frame_rate: float = 0.0
    first_time: float = 0.0  # ``LivePose.time`` of the footage's first picture


LIVE_MESSAGES: dict[str, type[Message]] = {
    cls.TYPE: cls for cls in (LiveCommand, LiveState, LivePose, LiveTake, LiveRecording)
}


def pack_live(message: Message) -> list[Frame]:
    """Frames of a message; raises ProtocolError where it holds something that cannot travel."""
    fields, arrays = message.to_wire()
    return encode({**fields, "type": message.TYPE, "protocol": PROTOCOL_VERSION}, arrays)


def unpack_live(frames: Sequence[Frame]) -> Message:
    """A message from frames; raises ProtocolError and no other exception, whatever the bytes."""
    header, arrays = decode(frames)
    version, kind = header.get("protocol"), header.get("type")
    if not is_spoken(version):
        shown = version if isinstance(version, int) else "an unknown version"
        raise ProtocolError(ProtocolCode.WRONG_PROTOCOL, mismatch_sentence("add-on", PROTOCOL_VERSION, shown))
    cls = LIVE_MESSAGES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ProtocolError(ProtocolCode.UNKNOWN_TYPE, f"No live message is called “{str(kind)[:80]}”.")
    return cls.from_wire(header, arrays)
