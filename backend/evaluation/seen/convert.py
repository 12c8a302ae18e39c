"""``python -m backend.evaluation.seen.convert FACE_LANDMARK``: make the file of the second landmark network.

FACE_LANDMARK (``face_landmark.tflite``, 192²) lies in the wheel of mediapipe 0.10.21. Weights are stored with 16 bits.
Prints the SHA-256 that ``second_mesh.py`` names.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from safetensors.numpy import save

from backend.alignment.landmarks.convert import with_half_weights
from backend.evaluation.seen.second_mesh import NAME, NETWORK
from backend.files import write_atomic

_ORIGIN = "MediaPipe, Copyright The MediaPipe Authors, Apache License 2.0; re-packed by backend.evaluation.seen.convert"


def convert(
    network: Annotated[Path, typer.Argument(help="face_landmark.tflite")],
    out: Annotated[Path, typer.Option(help="Where the network goes.")] = NETWORK,
) -> None:
    """Write the second landmark network as a file."""
    source = network.read_bytes()
    about = {"origin": _ORIGIN, "sources": {NAME: hashlib.sha256(source).hexdigest()}}
    content = save({NAME: np.frombuffer(with_half_weights(source), np.uint8)}, {"about": json.dumps(about)})
    write_atomic(out, content, public=True)
    print(f"{out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    typer.run(convert)
