"""A Track on disk: one npz without pickles, with a JSON header inside.

The header (UTF-8 bytes in the array ``header``) holds what is not an array: format, version, and the plain fields of
Track and, under ``cameras``, of each CameraTrack. Each other array is a field of Track or, as ``camera<i>_<field>``, of
a CameraTrack; their declarations say what they are and in which version they came. A proxy that lies in the file's
folder is named from there, so that the folder can be moved.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz
from backend.reading import parse_json
from backend.track.types import CameraTrack, Track
from protocol.arrays import newest
from protocol.codec import ProtocolError
from protocol.codes import ProtocolCode
from protocol.take_codec import Keys, read_performance, write_performance

FORMAT = "flowface-track"
VERSION = newest(Track, CameraTrack)
KEYS = Keys(own="", camera="camera{}_")


def save_track(track: Track, path: Path, *, public: bool = False) -> None:
    """Write a track, atomically.

    Raises:
        UserError: ``bad_track`` where the track contradicts itself: better no file than one that cannot be read.
    """
    try:
        fields, arrays = write_performance(_with_proxies(track, lambda proxy: _from_folder(proxy, path.parent)), KEYS)
    except ProtocolError as error:
        raise _bad(path, error) from error
    text = json.dumps({"format": FORMAT, "version": VERSION, **fields}, ensure_ascii=False).encode()
    write_npz(path, {"header": np.frombuffer(text, np.uint8), **arrays}, public=public)


def load_track(path: Path) -> Track:
    """Read a track.

    Raises:
        UserError: ``file_missing``, ``bad_file`` (not an npz, or one with lying sizes), ``bad_track`` (not a track, of
            another version, or one whose arrays do not fit each other), ``too_large``.
    """
    arrays = read_npz(path, "track")
    header = _read_header(arrays.pop("header", None), path)
    version = header["version"]
    if version < 2:
        header.pop("action_names", None)
    try:
        track = read_performance(Track, header, arrays, KEYS, version=version)
    except ProtocolError as error:
        raise _bad(path, error) from error
    if version < 2:  # which knew one view only
        first = replace(track.cameras[0], footage_frames=track.frames)
        track = replace(track, cameras=(first, *track.cameras[1:]))
    return _with_proxies(track, lambda proxy: str(path.parent.absolute() / proxy))


def _with_proxies(track: Track, named: Callable[[str], str]) -> Track:
    """The track with the paths of its proxies as ``named`` says."""
    cameras = (replace(camera, proxy=named(camera.proxy)) if camera.proxy else camera for camera in track.cameras)
    return replace(track, cameras=tuple(cameras))


def _from_folder(proxy: str, folder: Path) -> str:
    """A proxy's path, relative and with slashes where it lies within the folder."""
    location = folder.absolute()
    return Path(proxy).relative_to(location).as_posix() if Path(proxy).is_relative_to(location) else proxy


def _read_header(raw: NDArray[Any] | None, path: Path) -> dict[str, Any]:
    if raw is None or raw.dtype != np.uint8 or raw.ndim != 1:
        raise _bad(path, "it has no header")
    try:
        header = parse_json(raw.tobytes())
    except ValueError as error:
        raise _bad(path, "its header is damaged") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _bad(path, "its header is of something else")
    if header.get("version") not in range(1, VERSION + 1):
        sentence = (
            f"The track {path} has format version {header.get('version')}; this FlowFace reads up to version {VERSION}."
        )
        raise UserError(ErrorCode.BAD_TRACK, sentence, "Update FlowFace, or track the footage again.")
    return header


def _bad(path: Path, why: str | ProtocolError) -> UserError:
    if isinstance(why, ProtocolError):
        text = why.message.rstrip(".")
        text = text[:1].lower() + text[1:]
        why = f"its header is incomplete or wrong ({text})" if why.code == ProtocolCode.BAD_FIELD else text
    return UserError(ErrorCode.BAD_TRACK, f"{path} is not a whole track: {why}.", "Track the footage again.")
