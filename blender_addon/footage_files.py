"""Which files a footage path stands for, for a backend that must be sent them. Knows nothing of bpy.

A simpler rule than the backend's own (``backend.footage.sequences``), which sees its own machine's folders only: images
belong together that differ in the last number of their names.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

STILLS = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib", ".heic", ".heif", ".exr", ".dpx"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf", ".hdr", ".rgbe", ".pic", ".tga", ".targa", ".icb", ".vda"}
    | {".vst", ".pnm", ".ppm", ".pgm", ".pbm", ".pfm", ".sgi", ".rgb", ".rgba", ".bw", ".pcx", ".psd", ".qoi"}
)
"""Endings of images that are one picture of a sequence, and no film themselves."""
IMAGES = STILLS | {".webp", ".avif", ".mpo", ".hif"}
LIST_SUFFIX = ".txt"
_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")


class CannotSend(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which there is nothing to send."""


def files_of(path: Path) -> list[Path]:
    """The files of a video, a still, or an image, folder or pattern of a sequence, in order.

    Raises:
        CannotSend: there are none, or they are only listed in a file.
        OSError: the folder cannot be read.
    """
    if path.is_dir():
        return _longest(path, "*")
    if not path.exists():
        return _longest(path.parent, re.sub(r"#+|%0?\d*d", "*", path.name.replace("[", "[[]")))
    if path.suffix.lower() == LIST_SUFFIX:
        raise CannotSend(f"The list of images {path} can be read on the backend's machine only: choose their folder.")
    if path.suffix.lower() not in STILLS:
        return [path]
    own = _split(path)
    if own is None:
        return [path]
    together = _sequences(file for file in path.parent.iterdir() if file.suffix == path.suffix)[own[0]]
    return list(together.values()) if _is_sequence(sorted(together), own[1]) else [path]


def files_of_views(paths: Sequence[Path]) -> list[list[Path]]:
    """The files of each view: where several name images of one sequence, each means its own image alone."""
    found = [files_of(path) for path in paths]
    return [
        [path] if len(files) > 1 and found.count(files) > 1 and path.is_file() else files
        for path, files in zip(paths, found, strict=True)
    ]


def _longest(folder: Path, pattern: str) -> list[Path]:
    files = [file for file in folder.iterdir() if fnmatch.fnmatch(file.name, pattern)] if folder.is_dir() else []
    images = [file for file in files if file.suffix.lower() in IMAGES and not file.name.startswith(".")]
    if len(images) == 1:
        return images
    found = max(_sequences(images).values(), key=len, default={})
    if not found:
        raise CannotSend(f"There are no numbered images in {folder}.")
    return [found[number] for number in sorted(found)]


def _sequences(files: Iterable[Path]) -> dict[tuple[str, str], dict[int, Path]]:
    found: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for file in sorted(files):
        parts = _split(file)
        if parts is not None and not file.name.startswith("."):
            found[parts[0]].setdefault(parts[1], file)
    return defaultdict(dict, {key: dict(sorted(numbered.items())) for key, numbered in found.items()})


def _split(file: Path) -> tuple[tuple[str, str], int] | None:
    """The text before the last number of a name and what follows it, and the number; None without one."""
    number = _LAST_NUMBER.search(file.stem)
    if number is None:
        return None
    return (file.stem[: number.start()], file.stem[number.end() :] + file.suffix.lower()), int(number.group())


def _is_sequence(numbers: Sequence[int], own: int) -> bool:
    """Where its neighbour is there, or of three or more pictures most steps are alike; else it is a photograph."""
    if own - 1 in numbers or own + 1 in numbers:
        return True
    steps = Counter(b - a for a, b in pairwise(numbers))
    return len(numbers) > 2 and 2 * max(steps.values()) >= len(numbers) - 1 and max(steps.values()) > 1
