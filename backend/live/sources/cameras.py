"""The cameras of this machine, by the names that their makers gave them."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from backend.errors import ErrorCode, UserError

VIDEO_FOR_LINUX = Path("/sys/class/video4linux")
FORMATS = {"darwin": "avfoundation", "win32": "dshow"}
"""FFmpeg's input devices by ``sys.platform``, which know cameras by name there."""
CONNECT = "Connect the camera, close other programs that use it, or play a video instead: `flowface live clip.mp4`."


@dataclass(frozen=True)
class Camera:
    """``name`` as users know it, one of several of a kind with its number behind it; ``device`` as it is opened."""

    name: str
    device: str


def cameras_here() -> tuple[Camera, ...]:
    """The cameras of this machine in the system's order.

    Raises UserError ``cameras_unknown`` where the system does not tell their names.
    """
    if sys.platform.startswith("linux"):
        return cameras_of_linux(VIDEO_FOR_LINUX)
    return _cameras_of_ffmpeg(FORMATS.get(sys.platform, ""))


def cameras_of_linux(folder: Path) -> tuple[Camera, ...]:
    """The cameras that the kernel lists in ``folder``; of a camera's several nodes the first gives its pictures."""
    found = []
    for node in sorted(folder.glob("video*"), key=_number):
        if _read(node / "index") not in ("", "0"):
            continue
        found.append((_read(node / "name") or node.name, f"/dev/{node.name}"))
    return _told_apart(found)


def find_camera(name: str, cameras: tuple[Camera, ...]) -> Camera:
    """The camera called ``name``, whatever its case, or the only one whose name has it within; "" is the first one.

    Raises UserError ``camera_missing``, which names those that are there.
    """
    wanted = name.strip().casefold()
    if not wanted and cameras:
        return cameras[0]
    same = [camera for camera in cameras if wanted and wanted in (camera.name.casefold(), camera.device.casefold())]
    alike = [camera for camera in cameras if wanted and wanted in camera.name.casefold()]
    for found in (same, alike):
        if len(found) == 1:
            return found[0]
    if not cameras:
        missing = f"The camera “{name}” is not here" if wanted else "No camera is here"
        raise UserError(ErrorCode.CAMERA_MISSING, f"{missing}: this machine has no camera.", CONNECT)
    there = ", ".join(f"“{camera.name}”" for camera in cameras)
    if alike:
        several = ", ".join(f"“{camera.name}”" for camera in alike)
        raise UserError(ErrorCode.CAMERA_MISSING, f"“{name}” may be any of {several}.", "Give the whole name.")
    raise UserError(ErrorCode.CAMERA_MISSING, f"The camera “{name}” is not here; there are {there}.", CONNECT)


def _cameras_of_ffmpeg(format_name: str) -> tuple[Camera, ...]:
    import av

    try:
        devices = av.enumerate_input_devices(format_name)
    except (ValueError, OSError) as error:  # FFmpegError is an OSError or a ValueError
        what = f"The names of this system's cameras are not known here ({error})."
        raise UserError(
            ErrorCode.CAMERAS_UNKNOWN, what, "Record a video with another program and play that instead."
        ) from error
    return _told_apart([(d.description or d.name, d.name) for d in devices if "video" in d.media_types])


def _told_apart(found: list[tuple[str, str]]) -> tuple[Camera, ...]:
    """Cameras of one name get numbers from the second on."""
    counts: dict[str, int] = {}
    cameras = []
    for name, device in found:
        counts[name] = counts.get(name, 0) + 1
        cameras.append(Camera(name if counts[name] == 1 else f"{name} ({counts[name]})", device))
    return tuple(cameras)


def _number(node: Path) -> int:
    digits = re.search(r"\d+$", node.name)
    return int(digits[0]) if digits else -1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
