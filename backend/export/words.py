"""What a folder of exported files says of itself, in a README.txt."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from backend.export.takes import ExportTake

README = "README.txt"
Y_UP_WORDS = (
    "World: metres, right-handed, +x to the right and +y up in the first camera's picture, +z out of it (Maya's, "
    "Houdini's, Nuke's and glTF's axes); a first camera whose place nobody told stands at the origin and looks along "
    "-z. Of cameras with a calibration: the calibration's world, with y and z turned round."
)


def readme(take: ExportTake, paragraphs: Iterable[str]) -> bytes:
    """The text, UTF-8: the paragraphs, then what frames there are and which of them were bridged."""
    track = take.track
    frames = track.frames
    bridged = _runs(frames[~track.tracked])
    told = [
        *paragraphs,
        f"Frames: {len(frames)}, numbered as the footage's, {frames[0]} to {frames[-1]}, {track.frame_rate:.6g} a "
        f"second. Head: {track.head_id} ({track.head_hash}).",
        f"No face was found in, and the fit bridged: {bridged}." if bridged else "A face was found in every frame.",
    ]
    return ("\n\n".join(told) + "\n").encode()


def _runs(numbers: NDArray[np.int64]) -> str:
    """Ascending numbers in words, such as 3-7, 9."""
    if not len(numbers):
        return ""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
