"""A take as a table: a row for each frame, for spreadsheets, scripts and other tools' importers."""

from __future__ import annotations

import csv
import io

import numpy as np

from backend.export.arkit_weights import arkit_weights
from backend.head_model.model import HeadModel
from backend.track.types import Track
from protocol.face_actions import ARKIT_ACTIONS

POSE_COLUMNS = (
    *("frame", "time", "tracked"),
    *("head_rotation_x", "head_rotation_y", "head_rotation_z"),
    *("head_translation_x", "head_translation_y", "head_translation_z"),
    *("left_eye_yaw", "left_eye_pitch", "right_eye_yaw", "right_eye_pitch"),
)
"""Footage frame, seconds, 1 or 0; an axis-angle vector in radians and metres in the take's world; radians."""


def csv_table(track: Track, head: HeadModel) -> bytes:
    """A CSV file, UTF-8: a heading, then a row of ``POSE_COLUMNS`` and the ARKit weights (0…1) for each frame."""
    weights = arkit_weights(track, head)
    gaze = track.gaze.reshape(-1, 4)
    numbers = np.concatenate([track.head_rotation, track.head_translation, gaze, weights], axis=1)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*POSE_COLUMNS, *ARKIT_ACTIONS])
    for frame, time, tracked, row in zip(track.frames, track.times, track.tracked, numbers, strict=True):
        writer.writerow([int(frame), f"{time:.6f}", int(tracked), *(f"{value:.6f}" for value in row)])
    return text.getvalue().encode()
