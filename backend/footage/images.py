"""Stills and image sequences: which files belong together, and how one is read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from backend.errors import ErrorCode, UserError
from backend.footage.types import (
    DEFAULT_SEQUENCE_RATE,
    FootageFrame,
    FootageInfo,
    FootageKind,
    check_size,
    select_range,
)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".exr"})

_NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<digits>\d+)$")
_PLACEHOLDER = re.compile(r"%(?:0(?P<width>\d+))?d|(?P<hashes>#+)")
_EXIF_ORIENTATION = 0x0112
_EXIF_DEGREES = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}


@dataclass(frozen=True)
class ImageFiles:
    """Numbered images, ascending; a still is number 1 alone."""

    kind: FootageKind
    files: tuple[tuple[int, Path], ...]


def is_pattern(path: Path) -> bool:
    """True where the last part of the path speaks of several files: ``%04d``, ``####``, ``*`` or ``?``."""
    return bool(_PLACEHOLDER.search(path.name)) or any(sign in path.name for sign in "*?")


def find_images(path: Path) -> ImageFiles:
    """The images that a folder, a pattern, or one file of a numbered sequence stands for.

    A file is part of a sequence when its name ends in digits and a file with the number before or after it lies beside
    it. A folder gives its longest sequence. Raises UserError ``footage_no_images``.
    """
    if path.is_dir():
        return _in_folder(path)
    if path.exists() or not is_pattern(path):
        return _around(path)
    return _matching(path)


def _no_images(message: str) -> UserError:
    kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    return UserError(ErrorCode.FOOTAGE_NO_IMAGES, message, f"Images are read from {kinds} files.")


def _images_in(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(file for file in files if file.is_file() and not file.name.startswith("."))


def _sequences(files: list[Path]) -> dict[tuple[str, str], dict[int, Path]]:
    """Files grouped by what surrounds their number. Of two spellings of one number (1, 01) the first sorted stays."""
    groups: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for file in files:
        match = _NUMBERED.match(file.stem)
        if match:
            groups[match["prefix"], file.suffix].setdefault(int(match["digits"]), file)
    return groups


def _sequence(numbered: dict[int, Path]) -> ImageFiles:
    return ImageFiles("sequence", tuple(sorted(numbered.items())))


def _in_folder(folder: Path) -> ImageFiles:
    files = _images_in(folder)
    if not files:
        raise _no_images(f"The folder {folder} holds no images.")
    groups = _sequences(files)
    longest = max(groups.values(), key=len, default={})
    if len(longest) > 1:
        return _sequence(longest)
    if len(files) == 1:
        return ImageFiles("still", ((1, files[0]),))
    raise _no_images(f"The images in {folder} are not numbered.")


def _around(path: Path) -> ImageFiles:
    match = _NUMBERED.match(path.stem)
    if match:
        numbered = _sequences(_images_in(path.parent))[match["prefix"], path.suffix]
        number = int(match["digits"])
        if numbered.get(number) == path and (number - 1 in numbered or number + 1 in numbered):
            return _sequence(numbered)
    return ImageFiles("still", ((1, path),))


def _matching(path: Path) -> ImageFiles:
    placeholder = _PLACEHOLDER.search(path.name)
    if placeholder is None:
        files = [file for file in sorted(path.parent.glob(path.name)) if file.suffix.lower() in IMAGE_SUFFIXES]
        groups = _sequences(files)
        if not groups:
            raise _no_images(f"No numbered image matches {path}.")
        return _sequence(max(groups.values(), key=len))
    width = int(placeholder["width"] or 0) or len(placeholder["hashes"] or "")
    digits = rf"(\d{{{width},}})" if width > 1 else r"(\d+)"
    name = re.escape(path.name[: placeholder.start()]) + digits + re.escape(path.name[placeholder.end() :])
    found = {}
    if path.parent.is_dir():
        for file in _images_in(path.parent):
            match = re.fullmatch(name, file.name)
            if match:
                found[int(match[1])] = file
    if not found:
        raise _no_images(f"No image matches {path}.")
    return _sequence(found)


def _header(path: Path) -> tuple[int, int, int, str]:
    """Stored width and height, clockwise rotation for display and pixel mode, without decoding the picture."""
    if path.suffix.lower() == ".exr":
        picture = _decode_exr(path)
        return picture.width, picture.height, 0, picture.format.name
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
            return image.width, image.height, _EXIF_DEGREES.get(orientation, 0), image.mode
    except Image.DecompressionBombError as error:
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE, f"{path} claims more pixels than are read.", "Scale it down first."
        ) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> UserError:
    return UserError(
        ErrorCode.IMAGE_UNREADABLE,
        f"The image {path} cannot be read.",
        "It may be damaged or half written; export it again.",
    )


def _decode_exr(path: Path) -> VideoFrame:
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            context = container.streams.video[0].codec_context
            check_size(context.width or 1, context.height or 1, path)
            # EXR is linear light; faces are looked for in pictures with the sRGB curve.
            context.options = {"apply_trc": "iec61966_2_1"}
            for picture in container.decode(video=0):
                return picture
    except (FFmpegError, OSError, ValueError, IndexError) as error:
        raise _unreadable(path) from error
    raise _unreadable(path)


def read_image(path: Path) -> NDArray[np.uint8]:
    """One image file as (H,W,3) uint8 RGB, as displayed.

    EXIF rotation is applied, 16-bit values are scaled to 8, grey becomes three equal channels, alpha is left out.
    Raises UserError ``image_unreadable`` or ``footage_too_large``.
    """
    if path.suffix.lower() == ".exr":
        return np.ascontiguousarray(_decode_exr(path).to_ndarray(format="rgb24"))
    width, height, _, _ = _header(path)
    check_size(width, height, path)
    # OpenCV's own file access knows no non-ASCII names on Windows.
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise _unreadable(path)
    return np.ascontiguousarray(cv2.cvtColor(_eight_bit(image), cv2.COLOR_BGR2RGB))


def _eight_bit(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    if image.dtype == np.uint16:
        return (image.astype(np.float32) / 257 + 0.5).astype(np.uint8)
    return (np.clip(image.astype(np.float32), 0, 1) * 255 + 0.5).astype(np.uint8)


class ImageFootage:
    """A still or an image sequence, ``alone`` always a still. ``frame_rate`` times a sequence. Raises UserError."""

    def __init__(
        self,
        path: Path,
        frames: tuple[int, int] | None = None,
        frame_rate: float = DEFAULT_SEQUENCE_RATE,
        *,
        alone: bool = False,
    ) -> None:
        found = ImageFiles("still", ((1, path),)) if alone else find_images(path)
        numbers = [number for number, _ in found.files]
        first_file = found.files[0][1]
        width, height, rotation, mode = _header(first_file)
        check_size(width, height, first_file)
        displayed = (height, width) if rotation % 180 else (width, height)
        self.info = FootageInfo(
            path=first_file,
            kind=found.kind,
            width=displayed[0],
            height=displayed[1],
            frame_count=len(numbers),
            first_frame=numbers[0],
            last_frame=numbers[-1],
            frame_rate=frame_rate,
            duration=(numbers[-1] - numbers[0]) / frame_rate,
            rotation=rotation,
            stored_width=width,
            stored_height=height,
            pixel_aspect=1.0,
            variable_rate=False,
            codec=first_file.suffix.lower().lstrip("."),
            pixel_format=mode,
            missing_frames=numbers[-1] - numbers[0] + 1 - len(numbers),
            files=tuple(file for _, file in found.files),
            numbers=tuple(numbers),
        )
        first, last = select_range(numbers[0], numbers[-1], frames, path)
        self._files = [(number, file) for number, file in found.files if first <= number <= last]
        if not self._files:
            select_range(0, -1, (first, last), path)

    @property
    def total(self) -> int:
        return len(self._files)

    @property
    def skipped(self) -> tuple[int, ...]:
        return ()

    def __iter__(self) -> Iterator[FootageFrame]:
        info = self.info
        for number, file in self._files:
            image = read_image(file)
            if image.shape[:2] != (info.height, info.width):
                raise UserError(
                    ErrorCode.FOOTAGE_SIZES_DIFFER,
                    f"{file} is {image.shape[1]} × {image.shape[0]} pixels, but {info.path.name} is "
                    f"{info.width} × {info.height}.",
                    "All images of a sequence need one size; choose frames A:A to track a single image.",
                )
            time = (number - info.first_frame) / info.frame_rate
            scene = 1.0 if info.kind == "still" else float(number)
            yield FootageFrame(number, time, scene, image)
