"""Live Link Face's recordings: the CSV that Epic's app for the iPhone writes beside each take, and how to write one.

A heading and a row for each frame: ``Timecode``, ``BlendShapeCount`` (61), ARKit's 52 actions with a capital letter in
Apple's order, then nine angles. What the app writes was seen in three of its recordings (two people, 8,167 rows:
MySlate_3_Jason_Millers_iPhone.csv of JMTechArt/Pipeline-Examples, alex_rom_3.csv and alex_rom_4.csv of
alexdjulin/LiveLinkFace-CSV-Retarget-For-Motionbuilder):

- The timecode is ``HH:MM:SS:FF.mmm``: the time of day, in frames of 1/60 s and thousandths of one, whatever the rate at
  which the face was filmed (at 30 a second FF goes up by 2). Rows are left out where the phone was too slow.
- Angles are radians. Eyes: pitch is positive downwards (correlation 0.94 with EyeLookDown) and yaw towards the
  subject's right (0.80 with EyeLookInLeft, −0.77 with EyeLookInRight; 0.6–0.7 rad at full weight).
- The head's are zero there: the app leaves it out unless asked. Here they are as Unreal's rotators, from which the app
  has them (``ToBlendShapeMap`` of Unreal's AppleARKitFaceSupport) and as which other programs read them: yaw positive
  towards the subject's right, then pitch positive upwards, then roll positive with the head leaning to its right.

Other programs write the same in their own ways: ``protocol.live_link_reading``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

ACTIONS = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawRight", "jawLeft", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthRight", "mouthLeft", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""ARKit's actions in the order of the app's columns."""
ANGLES = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
COLUMNS = (*(name[0].upper() + name[1:] for name in ACTIONS), *ANGLES)
"""The 61 columns after the timecode and their count."""
TIMECODE, COUNT = "Timecode", "BlendShapeCount"
RATE = 60.0
"""Frames a second that the app's timecode counts."""
DAY = 86400.0
"""Seconds."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What a CSV of Live Link Face says of T frames, angles in its own convention (see the module)."""

    times: F64
    """(T,) seconds, ascending; a file's own begin at 0."""
    weights: Mapping[str, F64]
    """By action, (T,) each; actions for which the file has no column are left out."""
    head: F64 | None = None
    """(T,3) yaw, pitch, roll in radians; None where nothing is known of it."""
    eyes: F64 | None = None
    """(T,2,3): left and right eye's yaw, pitch, roll in radians; None where nothing is known of them."""
    start: float = 0.0
    """Seconds since midnight at which ``times`` are 0, by the timecode."""
    rate: float = RATE
    """Frames a second that the timecode counts."""
    left_out: int = 0
    """Rows without a face, or whose timecode does not go on."""


def head_angles(rotations: F64) -> F64:
    """The file's (T,3) yaw, pitch, roll of rotations (T,3,3) in head space: +x the subject's left, +y up, +z forwards.

    The identity is a head that looks straight into the camera.
    """
    yaw = -np.arctan2(rotations[:, 0, 2], rotations[:, 2, 2])
    pitch = np.arcsin(np.clip(rotations[:, 1, 2], -1.0, 1.0))
    roll = np.arctan2(rotations[:, 1, 0], rotations[:, 1, 1])
    return np.stack([yaw, pitch, roll], axis=1)


def eye_angles(gaze: F64) -> F64:
    """The file's eye angles (T,2,3) of gaze (T,2,2): yaw to the subject's left and pitch upwards, radians."""
    return np.concatenate([-gaze, np.zeros((*gaze.shape[:2], 1))], axis=2)


def gaze_of(eyes: F64) -> F64:
    """Gaze (T,2,2), yaw to the subject's left and pitch upwards, of the file's eye angles (T,2,3)."""
    return -eyes[:, :, :2]


def to_csv(recording: Recording) -> bytes:
    """A recording as the app writes it: all 61 columns, zero where nothing is known, a timecode in frames of 1/60 s."""
    count = len(recording.times)
    head = recording.head if recording.head is not None else np.zeros((count, 3))
    eyes = recording.eyes if recording.eyes is not None else np.zeros((count, 2, 3))
    columns = [recording.weights.get(action, np.zeros(count)) for action in ACTIONS]
    numbers = np.concatenate([np.reshape(columns, (len(ACTIONS), count)).T, head, eyes.reshape(count, 6)], axis=1)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([TIMECODE, COUNT, *COLUMNS])
    for time, row in zip(recording.times, np.round(numbers, 8) + 0.0, strict=True):
        writer.writerow([timecode(recording.start + float(time)), len(COLUMNS), *(f"{value:.8f}" for value in row)])
    return text.getvalue().encode()


def timecode(seconds: float) -> str:
    """``HH:MM:SS:FF.mmm`` of a time of day, in frames of 1/60 s."""
    thousandths = round(seconds % DAY * RATE * 1000) % round(DAY * RATE * 1000)
    whole, rest = divmod(thousandths, round(RATE) * 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
