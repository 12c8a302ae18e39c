"""Footage: videos, image sequences and stills as lazily decoded RGB frames."""

from __future__ import annotations

import os
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.footage.images import IMAGE_SUFFIXES, ImageFootage, find_images, is_pattern, read_image
from backend.footage.prefetch import prefetch
from backend.footage.types import DEFAULT_SEQUENCE_RATE, Footage, FootageFrame, FootageInfo
from backend.footage.video import VideoFootage

__all__ = [
    "DEFAULT_SEQUENCE_RATE",
    "IMAGE_SUFFIXES",
    "Footage",
    "FootageFrame",
    "FootageInfo",
    "find_images",
    "open_footage",
    "prefetch",
    "probe",
    "read_image",
]


def open_footage(
    path: str | os.PathLike[str],
    frames: tuple[int, int] | None = None,
    sequence_rate: float = DEFAULT_SEQUENCE_RATE,
    *,
    alone: bool = False,
) -> Footage:
    """Open footage for lazy reading.

    ``path`` is a video, an image, a folder of numbered images, or a pattern of them (``%04d``, ``####``, ``*``).
    ``frames`` = (first, last), inclusive, in the footage's own numbers, keeps a part of it; what lies outside the
    footage is cut off. ``sequence_rate`` (frames per second) times image sequences, which carry no rate of their own.
    ``alone`` reads an image as a still, even where its neighbours are numbered like a sequence.

    Raises UserError: ``footage_missing``, ``footage_empty``, ``footage_unreadable``, ``footage_no_video``,
    ``footage_no_images``, ``footage_too_large``, ``frames_out_of_range``; while iterating also ``image_unreadable``
    and ``footage_sizes_differ``. Frames of a damaged video that cannot be decoded are left out; ``skipped`` names them
    after a pass.
    """
    location = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links and rename the footage)
    if location.is_dir() or (not location.exists() and is_pattern(location)):
        return ImageFootage(location, frames, sequence_rate)
    if not location.exists():
        raise UserError(ErrorCode.FOOTAGE_MISSING, f"There is no file {location}.", "Check the path.")
    if location.stat().st_size == 0:
        raise UserError(ErrorCode.FOOTAGE_EMPTY, f"{location} is empty (0 bytes).", "Copy or export it again.")
    if location.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFootage(location, frames, sequence_rate, alone=alone)
    return VideoFootage(location, frames)


def probe(path: str | os.PathLike[str]) -> FootageInfo:
    """Facts about footage, without decoding more than one picture. Raises UserError as ``open_footage`` does."""
    return open_footage(path).info
