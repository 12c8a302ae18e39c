"""The footage that a folder and its subfolders hold: videos by their names' endings, and numbered sequences."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.footage.kinds import IMAGE_SUFFIXES
from backend.footage.numbering import sequences

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".mts", ".m2ts", ".ts", ".mxf"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".dv", ".mjpeg", ".mjpg"}
)
"""Endings of what is taken for a video where nobody names it."""
RESULTS = frozenset({"clip.json", "track.npz"})
"""Files of which each tells that a folder holds results: its overlays and proxies are no clips."""
MAX_ENTRIES = 1_000_000


def find_footage(root: Path, out: Path) -> list[tuple[str, Path]]:
    """A name and a path of each video and each sequence (its first image's), ordered by path.

    Names are their paths below ``root``, with _ for what parts folders; a sequence that is alone in its folder has the
    folder's. Hidden files and folders, links to folders, folders of results and all of ``out`` are left out.

    Raises:
        UserError: ``footage_unreadable`` where a folder cannot be read, ``too_large`` where there are too many files.
    """
    found: list[tuple[Path, str]] = []
    entries = 0
    skipped = os.path.abspath(out)  # noqa: PTH100 - resolve() would follow links

    def refuse(error: OSError) -> None:
        sentence = f"The folder {error.filename} cannot be read: {error.strerror}."
        raise UserError(ErrorCode.FOOTAGE_UNREADABLE, sentence, "Check its permissions.") from error

    for folder, subfolders, names in os.walk(root, onerror=refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        subfolders[:] = [name for name in subfolders if os.path.abspath(Path(folder, name)) != skipped]  # noqa: PTH100
        if RESULTS & {*names}:
            subfolders.clear()
            continue
        entries += len(names) + len(subfolders)
        if entries > MAX_ENTRIES:
            raise UserError(ErrorCode.TOO_LARGE, f"{root} holds more than {MAX_ENTRIES} files.", "Name a part of it.")
        found += _in_folder(root, Path(folder), sorted(name for name in names if not name.startswith(".")))
    return [(name, path) for path, name in sorted(found)]


def _in_folder(root: Path, folder: Path, names: Sequence[str]) -> Iterator[tuple[Path, str]]:
    inside = folder.relative_to(root).parts
    for name in names:
        if Path(name).suffix.lower() in VIDEO_SUFFIXES:
            yield folder / name, "_".join((*inside, Path(name).stem))
    images = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    for suffix in sorted({Path(name).suffix.lower() for name in images}):
        alike = [name for name in images if Path(name).suffix.lower() == suffix]
        runs = [run for run in sequences([Path(name).stem for name in alike]) if len(run.items) > 1]
        for run in runs:
            first = alike[run.items[0]]
            alone = len(runs) == 1 and len(run.items) == len(images)
            own = folder.name if not inside else ""
            yield folder / first, "_".join(part for part in (*inside, own if alone else Path(first).stem) if part)
