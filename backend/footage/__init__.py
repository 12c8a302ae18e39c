"""Footage: videos, image sequences and stills as lazily decoded RGB frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.footage.animated import AnimatedFootage, moves
from backend.footage.images import ImageFootage
from backend.footage.kinds import IMAGE_SUFFIXES, FileKind, kind_of
from backend.footage.prefetch import prefetch
from backend.footage.sequences import LIST_SUFFIX, ImageFiles, find_images, is_pattern, listed_images, read_list, still
from backend.footage.stills import STILL_KINDS, not_an_image, read_image, still_kind
from backend.footage.types import DEFAULT_SEQUENCE_RATE, Footage, FootageFrame, FootageInfo
from backend.footage.video import VideoFootage
from backend.reading import fault_of, shown

__all__ = [
    "DEFAULT_SEQUENCE_RATE",
    "IMAGE_SUFFIXES",
    "Footage",
    "FootageFrame",
    "FootageInfo",
    "images_of",
    "open_footage",
    "prefetch",
    "probe",
    "read_image",
]

_DEMUXERS = {FileKind.GIF: "gif", FileKind.IMAGE_TRACK: "mov"}

AnyPath = str | os.PathLike[str]


def open_footage(
    path: AnyPath,
    frames: tuple[int, int] | None = None,
    sequence_rate: float = DEFAULT_SEQUENCE_RATE,
    *,
    alone: bool = False,
    files: Sequence[AnyPath] = (),
    numbers: Sequence[int] = (),
) -> Footage:
    """Open footage for lazy reading.

    ``path`` is a video, an image, a folder of numbered images, a pattern of them (``%04d``, ``####``, ``*``), or a text
    (``.txt``) with the name of one a line; what another file is, its content says, and a file that is there is never
    taken for a pattern. ``files`` names the images themselves, instead of ``path``; with their ``numbers`` they are
    what ``FootageInfo`` told earlier, and nothing is looked for. ``frames`` = (first, last), inclusive, in the
    footage's own numbers, keeps a part of it; what lies outside the footage is cut off. ``sequence_rate`` (frames per
    second) times images, which carry no rate of their own. ``alone`` reads an image as a still, even where its
    neighbours are numbered like a sequence.

    Raises UserError: ``footage_missing``, ``footage_empty``, ``footage_unreadable``, ``footage_no_video``,
    ``footage_no_images``, ``footage_too_large``, ``frames_out_of_range``, ``image_unreadable``; while iterating also
    ``footage_sizes_differ``. Frames of a damaged video that cannot be decoded are left out; ``skipped`` names them
    after a pass.
    """
    if files:
        images = [_absolute(file) for file in files]
        return ImageFootage(_known(images, numbers) if numbers else listed_images(images), frames, sequence_rate)
    location = _absolute(path)
    if location.is_dir() or (not location.exists() and is_pattern(location)):
        found = find_images(location)
        if found.kind == "still":
            return open_footage(found.files[0], frames, sequence_rate, alone=True)
        return ImageFootage(found, frames, sequence_rate)
    if location.suffix.lower() == LIST_SUFFIX:
        return ImageFootage(listed_images(read_list(location)), frames, sequence_rate)
    kind = kind_of(location)
    if kind is FileKind.UNREAD_PICTURE:
        raise not_an_image(location)
    if kind not in STILL_KINDS:
        return VideoFootage(location, frames, demuxer=_DEMUXERS.get(kind))
    still_kind(location)
    if not moves(location, kind):
        return ImageFootage(still(location) if alone else find_images(location), frames, sequence_rate)
    if kind in _DEMUXERS:
        return VideoFootage(location, frames, demuxer=_DEMUXERS[kind])
    return AnimatedFootage(location, kind, frames, sequence_rate)


def probe(path: AnyPath) -> FootageInfo:
    """Facts about footage, without decoding more than one picture. Raises UserError as ``open_footage`` does."""
    return open_footage(path).info


def images_of(path: AnyPath) -> ImageFiles | None:
    """The sequence that an image file is part of; None for any other path, and for a file that cannot be read."""
    try:
        location = _absolute(path)
        if kind_of(location) not in STILL_KINDS:
            return None
        found = find_images(location)
    except UserError:
        return None
    return found if found.kind == "sequence" else None


def _absolute(path: AnyPath) -> Path:
    """The path from the root. Raises UserError ``footage_missing`` for one that the system does not even look up."""
    location = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links and rename the footage)
    try:
        location.stat()
    except (OSError, ValueError) as error:
        fault = fault_of(error)
        if not fault.missing:
            what = f"{shown(location)} cannot be looked up: {fault.reason}."
            raise UserError(ErrorCode.FOOTAGE_MISSING, what, "Check the path.") from error
    return location


def _known(files: Sequence[Path], numbers: Sequence[int]) -> ImageFiles:
    if len(files) != len(numbers) or any(a >= b for a, b in pairwise(numbers)):
        raise UserError(
            ErrorCode.FOOTAGE_NO_IMAGES,
            f"{len(files)} images came with {len(numbers)} numbers; each needs its own, ascending.",
        )
    return ImageFiles("sequence" if len(files) > 1 else "still", tuple(files), tuple(numbers))
