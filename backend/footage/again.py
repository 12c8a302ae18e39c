"""The footage of a track's camera, opened again."""

from __future__ import annotations

from pathlib import Path

from backend.footage import Footage, open_footage
from protocol.take import CameraTrack


def open_again(camera: CameraTrack) -> Footage:
    """The footage of a camera, from the first to the last of its frames that the take knows of.

    Raises UserError as ``open_footage`` does: ``footage_missing`` where it is not at its place any more.
    """
    used = camera.footage_frames[camera.footage_frames >= 0]
    return open_footage(
        camera.footage,
        (int(used.min()), int(used.max())) if len(used) else None,
        alone=camera.footage_kind == "still",
        files=[Path(camera.footage).parent / name for name in camera.footage_files],
        numbers=camera.footage_numbers,
    )
