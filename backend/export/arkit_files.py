"""ARKit's 52 weights of a take and nothing else, for whoever drives a face of their own with them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np

from backend.export.arkit_weights import arkit_weights
from backend.head_model.model import HeadModel
from backend.track.types import Track
from protocol.face_actions import ARKIT_ACTIONS

DECIMALS = 6


def arkit_csv(track: Track, head: HeadModel) -> bytes:
    """A CSV file, UTF-8: a heading, then for each frame its number, its time in seconds and the 52 weights, 0…1."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "time", *ARKIT_ACTIONS])
    for frame, time, row in zip(track.frames, track.times, arkit_weights(track, head).tolist(), strict=True):
        writer.writerow([int(frame), f"{time:.{DECIMALS}f}", *(f"{value:.{DECIMALS}f}" for value in row)])
    return text.getvalue().encode()


def arkit_json(track: Track, head: HeadModel) -> bytes:
    """One object, UTF-8: ``frame_rate``, ``names`` (52), and ``frames``, each with number, time and ``weights`` (52).

    ``frame`` is the footage's number, ``time`` in seconds; weights are 0…1 in the order of ``names``.
    """
    weights = (np.round(arkit_weights(track, head), DECIMALS) + 0.0).tolist()
    numbers = zip(track.frames.tolist(), track.times.tolist(), weights, strict=True)
    document = {
        "frame_rate": float(track.frame_rate),
        "names": list(ARKIT_ACTIONS),
        "frames": [{"frame": frame, "time": round(time, DECIMALS), "weights": row} for frame, time, row in numbers],
    }
    return json.dumps(document, allow_nan=False).encode() + b"\n"
