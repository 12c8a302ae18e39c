"""Pictures of film and of renders: OpenEXR and DPX through FFmpeg, Radiance HDR and PFM through OpenCV.

Their sizes are read from their headers here, before anybody allocates a picture.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from backend.footage.kinds import MAX_FILE_BYTES, FileKind, open_file, read_file
from backend.footage.light import linear_from_density, srgb_from_linear
from backend.footage.types import MAX_PIXELS

FILM_KINDS = frozenset({FileKind.EXR, FileKind.DPX, FileKind.HDR, FileKind.PFM})

_MAX_HEADER = 1 << 20  # bytes
_LOGARITHMIC = {1: "printing density", 3: "logarithmic"}  # SMPTE 268M, transfer characteristic
LOG_NOTE = (
    "The DPX pictures hold film densities ({}): they were brought to sRGB by Cineon's curve (white 685, black 95)."
)


class FilmHeader(NamedTuple):
    """Picture size in pixels; ``layer`` of an EXR that has no plain RGB, ``transfer`` as a DPX says it."""

    width: int
    height: int
    layer: str = ""
    transfer: int = 0

    @property
    def note(self) -> str:
        """A sentence for the user; "" where there is nothing to say."""
        if self.transfer in _LOGARITHMIC:
            return LOG_NOTE.format(_LOGARITHMIC[self.transfer])
        return f"The EXR pictures' layer “{self.layer}” was read." if self.layer else ""


def film_header(path: Path, kind: FileKind) -> FilmHeader:
    """The size that a file says it has. Raises ValueError, struct.error and OSError for what it does not say well."""
    readers = {FileKind.EXR: _exr_header, FileKind.DPX: _dpx_header, FileKind.HDR: _hdr_header}
    with open_file(path) as file:
        return readers.get(kind, _pfm_header)(file)


def read_film(path: Path, kind: FileKind, header: FilmHeader) -> NDArray[np.uint8]:
    """The picture (H,W,3), with the sRGB curve. Raises FFmpegError, cv2.error, OSError and ValueError."""
    if kind in (FileKind.HDR, FileKind.PFM):
        # OpenCV's own file access knows no non-ASCII names on Windows.
        light = cv2.imdecode(
            np.frombuffer(read_file(path, MAX_FILE_BYTES), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        )
        if light is None or light.dtype != np.float32:
            raise ValueError("no floating-point picture")
        return srgb_from_linear(light[..., ::-1] if light.ndim == 3 else np.repeat(light[..., None], 3, axis=-1))
    if kind is FileKind.EXR:
        # EXR is linear light.
        options = {"apply_trc": "iec61966_2_1"} | ({"layer": header.layer} if header.layer else {})
        return _bytes(_first_frame(path, "exr_pipe", options).to_ndarray(format="rgb24"))
    frame = _first_frame(path, "dpx_pipe", {})
    if header.transfer not in _LOGARITHMIC:
        return _bytes(frame.to_ndarray(format="rgb24"))
    density = frame.to_ndarray(format="rgb48le").astype(np.float32) / np.float32(65535)
    return srgb_from_linear(linear_from_density(density))


def _bytes(picture: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(picture, np.uint8)


def _first_frame(path: Path, demuxer: str, options: dict[str, str]) -> VideoFrame:
    """The picture of a file that is one image; the demuxer's name keeps FFmpeg from guessing, and from patterns."""
    with open_file(path) as file, av.open(file, format=demuxer) as container:
        assert isinstance(container, InputContainer)
        context = container.streams.video[0].codec_context
        context.options = {**options, "max_pixels": str(MAX_PIXELS)}
        for frame in container.decode(video=0):
            return frame
    raise ValueError("no picture")


def _exr_header(file: IO[bytes]) -> FilmHeader:
    head = file.read(_MAX_HEADER)
    if len(head) < 8:
        raise ValueError("no header")
    at, window, channels = 8, None, b""
    while head[at : at + 1] not in (b"\0", b""):
        name_end = head.index(b"\0", at)
        kind_end = head.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", head, kind_end + 1)
        if size < 0:
            raise ValueError("an attribute of negative size")
        start, name = kind_end + 5, head[at:name_end]
        if name == b"displayWindow":
            window = struct.unpack_from("<4i", head, start)
        elif name == b"dataWindow":
            left, top, right, bottom = struct.unpack_from("<4i", head, start)
            if (right - left + 1) * (bottom - top + 1) > MAX_PIXELS:
                raise ValueError("more pixels than are read")
        elif name == b"channels":
            channels = head[start : start + size]
        at = start + size
    if window is None:
        raise ValueError("no display window")
    left, top, right, bottom = window
    return FilmHeader(right - left + 1, bottom - top + 1, _layer(channels))


def _layer(channels: bytes) -> str:
    """The layer to read of an EXR's channel list; "" where it has plain R, G, B or luminance."""
    names, at = [], 0
    while at < len(channels) and channels[at] != 0:
        end = channels.index(b"\0", at)
        names.append(channels[at:end].decode("utf-8", "replace"))
        at = end + 17
    if not names or {"R", "Y"} & set(names):
        return ""
    layers = [name[:-2] for name in names if name.endswith(".R") and f"{name[:-2]}.G" in names]
    whole = [layer for layer in layers if re.search(r"combined|composite|beauty|rgba?$", layer, re.IGNORECASE)]
    return min(whole or layers, key=len, default="")


def _dpx_header(file: IO[bytes]) -> FilmHeader:
    head = file.read(2048)
    order = ">" if head[:4] == b"SDPX" else "<"
    width, height = struct.unpack_from(f"{order}2I", head, 772)
    return FilmHeader(width, height, transfer=head[801])


def _hdr_header(file: IO[bytes]) -> FilmHeader:
    lines = file.read(1 << 16).split(b"\n")
    blank = lines.index(b"")
    found = re.fullmatch(rb"-Y (\d{1,9}) \+X (\d{1,9})\s*", lines[blank + 1])
    if found is None:
        raise ValueError("a picture that is turned, or no size")
    return FilmHeader(int(found[2]), int(found[1]))


def _pfm_header(file: IO[bytes]) -> FilmHeader:
    found = re.match(rb"P[Ff]\s+(\d{1,9})\s+(\d{1,9})\s", file.read(64))
    if found is None:
        raise ValueError("no size")
    return FilmHeader(int(found[1]), int(found[2]))
