"""Which image files belong together: a folder's, a pattern's, those of a list, and those around one file."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.footage.kinds import IMAGE_SUFFIXES, read_file, require_file
from backend.footage.numbering import Numbered, belong_together, on_timeline, sequences, split_name
from backend.footage.types import MAX_FRAMES, FootageKind
from backend.reading import fault_of, shown

_PLACEHOLDER = re.compile(r"%(?:0?(?P<width>\d{1,2}))?d|(?P<hashes>#+)")
_QUOTED = re.compile(r"""(?:file\s+)?(?P<mark>["'])(?P<name>.+)(?P=mark)""")
LIST_SUFFIX = ".txt"
MAX_LIST_BYTES = 16 << 20
MAX_ENTRIES = MAX_FRAMES + 100_000
"""Of a folder that is looked through: the longest sequence and much beside it."""
_MAX_PLACEHOLDERS = 8  # of a pattern, each of which may be the number
_MAX_STARS = 32  # of a pattern; what is between two is looked for once


@dataclass(frozen=True)
class ImageFiles:
    """Images in order, each with its frame number, ascending; a still is number 1 alone."""

    kind: FootageKind
    files: tuple[Path, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()


def is_pattern(path: Path) -> bool:
    """True where the last part of the path speaks of several files: ``%04d``, ``####``, ``*`` or ``?``."""
    return bool(_PLACEHOLDER.search(path.name)) or any(sign in path.name for sign in "*?")


def find_images(path: Path) -> ImageFiles:
    """The images that a folder, a pattern, or one file of a numbered sequence stands for.

    A file that is there is never taken for a pattern. A folder gives its longest sequence. Raises UserError
    ``footage_no_images``, and for one file what ``kinds.require_file`` raises.
    """
    if path.is_dir():
        return _in_folder(path)
    if path.exists() or not is_pattern(path):
        return _around(path)
    return _matching(path)


def listed_images(files: Sequence[Path]) -> ImageFiles:
    """The images of a list, in the order of their numbers; in the order given, from frame 1, where names have none.

    Raises UserError ``footage_missing`` and others of ``kinds.require_file``, naming the file; ``footage_no_images``.
    """
    if not files:
        raise _no_images("The list of images is empty.")
    if len(files) > MAX_FRAMES:
        raise _too_many(len(files))
    for file in files:
        require_file(file)
    if len(files) == 1:
        return still(files[0])
    found = sequences([_stem(file) for file in files])
    if len(found) == 1 and len(found[0].items) == len(files):
        return _numbered(files, found[0])
    return ImageFiles("sequence", tuple(files), tuple(range(1, len(files) + 1)))


def read_list(path: Path) -> list[Path]:
    """The images that a text file names, one a line, as seen from its folder; lines that begin with # say nothing.

    Raises UserError ``footage_unreadable`` for a text that names no image, ``footage_too_large``, and others of
    ``kinds.require_file``.
    """
    require_file(path)
    lines = read_file(path, MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
    names = [name for line in lines if (name := _listed_name(line))]
    if len(names) > MAX_FRAMES:
        raise _too_many(len(names))
    if not names or len(names[0]) > 1000 or not _is_there(path.parent / names[0]):
        raise UserError(
            ErrorCode.FOOTAGE_UNREADABLE,
            f"{path} is a text that names no image which is there{f': “{names[0][:80]}”' if names else ''}.",
            "Footage is a video, an image, a folder or a pattern of images, or a text with the name of one a line.",
        )
    return [path.parent / name for name in names]


def _listed_name(line: str) -> str:
    """The name in a line of a list, also in quotation marks or as FFmpeg's concat lists have it; "" without one."""
    line = line.strip()
    if line.startswith(("#", "ffconcat version", "duration ")) or "\0" in line:
        return ""
    quoted = _QUOTED.fullmatch(line)
    return line if quoted is None else quoted["name"]


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _too_many(count: int) -> UserError:
    return _no_images(f"There are {count} images; Blender's timeline has {MAX_FRAMES} frames.")


def still(path: Path) -> ImageFiles:
    """A picture alone."""
    return ImageFiles("still", (path,), (1,))


def _no_images(message: str) -> UserError:
    kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    return UserError(ErrorCode.FOOTAGE_NO_IMAGES, message, f"Images are read from {kinds} files.")


def _listing(folder: Path, wanted: Callable[[str], object]) -> list[Path]:
    """The ordinary files of a folder whose names are ``wanted``, sorted, those that are hidden left out.

    Raises UserError ``footage_unreadable``; ``footage_too_large`` for a folder of more than ``MAX_ENTRIES``.
    """
    names: list[str] = []
    looked_at = 0
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, MAX_ENTRIES + 1):
                looked_at += 1
                name = entry.name
                if not name.startswith(".") and wanted(name) and _is_ordinary(entry):
                    names.append(name)
    except OSError as error:
        raise UserError(
            ErrorCode.FOOTAGE_UNREADABLE,
            f"The folder {shown(folder)} cannot be read: {fault_of(error).reason}.",
            "Check its permissions.",
        ) from error
    if looked_at > MAX_ENTRIES:
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE,
            f"The folder {shown(folder)} holds more than {MAX_ENTRIES:,} files and folders.",
            "Put the images of the take into a folder of their own.",
        )
    return [folder / name for name in sorted(names)]


def _is_ordinary(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads back to itself, or to where nobody may look
        return False


def _suffix(file: Path) -> str:
    """The ending in small letters; "" where it is the picture's number (``plate.0001``)."""
    return "" if file.suffix[1:].isdecimal() else file.suffix.lower()


def _stem(file: Path) -> str:
    return file.stem if _suffix(file) else file.name


def _by_suffix(files: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(_suffix(file), []).append(file)
    return dict(sorted(found.items()))


def _numbered(files: Sequence[Path], found: Numbered, notes: tuple[str, ...] = ()) -> ImageFiles:
    numbers, said = on_timeline(found.numbers, stamps=found.stamps)
    ordered = tuple(files[index] for index in found.items)
    if len(ordered) > MAX_FRAMES:
        raise _too_many(len(ordered))
    return ImageFiles("sequence", ordered, numbers, notes + ((said,) if said else ()))


def _longest(files: Sequence[Path]) -> tuple[list[Path], Numbered] | None:
    """The longest sequence among files, of several as long the first by ending and name; None without any."""
    found = [
        (alike, sequence)
        for alike in _by_suffix(files).values()
        for sequence in sequences([_stem(file) for file in alike])
        if len(sequence.items) > 1
    ]
    return max(found, key=lambda one: len(one[1].items), default=None)


def _in_folder(folder: Path) -> ImageFiles:
    listing = _listing(folder, lambda name: _ending(name) in IMAGE_SUFFIXES or _ending(name)[1:].isdecimal())
    files = [file for file in listing if file.suffix.lower() in IMAGE_SUFFIXES]
    files = files or [file for file in listing if file.suffix[1:].isdecimal()]
    if not files:
        raise _no_images(f"The folder {folder} holds no images.")
    longest = _longest(files)
    if longest is not None:
        return _numbered(*longest, notes=_left_out(len(files) - len(longest[1].items), folder))
    if len(files) == 1:
        return still(files[0])
    raise _no_images(f"The images in {folder} are not numbered.")


def _left_out(count: int, folder: Path) -> tuple[str, ...]:
    if count <= 0:
        return ()
    images = "1 image" if count == 1 else f"{count} images"
    return (f"Outside its longest sequence the folder {folder.name} holds {images}, left out.",)


def _around(path: Path) -> ImageFiles:
    """The sequence that a file is part of, or the file alone."""
    require_file(path)
    around = split_name(_stem(path)).texts
    start, suffix = around[0], _suffix(path)

    def beside_it(name: str) -> bool:
        return name.startswith(start) and name.lower().endswith(suffix) and name != path.name

    beside = [file for file in _listing(path.parent, beside_it) if _suffix(file) == suffix] if len(around) > 1 else []
    # Of two spellings of one number the file that was given is meant, then those whose ending is spelt like its.
    files = [path, *sorted(beside, key=lambda file: file.suffix != path.suffix)]
    for found in sequences([_stem(file) for file in files]):
        if 0 in found.items:
            own = found.numbers[found.items.index(0)]
            if belong_together(found.numbers, own, stamps=found.stamps):
                return _numbered(files, found)
    return still(path)


def _matching(path: Path) -> ImageFiles:
    """The images that a pattern matches, by the first of its readings that matches any."""
    readings = list(_readings(path.name))
    files = _listing(path.parent, lambda name: any(r.fullmatch(name) for r in readings)) if path.parent.is_dir() else []
    for name in readings:
        matches = [(file, found) for file in files if (found := name.fullmatch(file.name))]
        if not matches:
            continue
        images = [file for file, _ in matches if file.suffix.lower() in IMAGE_SUFFIXES] or [file for file, _ in matches]
        if "number" not in name.groupindex:
            longest = _longest(images)
            if longest is not None:
                return _numbered(*longest, notes=_left_out(len(images) - len(longest[1].items), path.parent))
            if len(images) == 1:
                return still(images[0])
            raise _no_images(f"The images that match {path} are not numbered.")
        alike: dict[tuple[str, str], dict[int, Path]] = {}
        for file, found in matches:
            around = (file.name[: found.start("number")], file.name[found.end("number") :].lower())
            alike.setdefault(around, {}).setdefault(int(found["number"]), file)
        numbers = max(alike.values(), key=len)
        ordered = sorted(numbers.items())
        stamps = all(number >= 10**9 for number, _ in ordered)
        listed = Numbered(tuple(range(len(ordered))), tuple(number for number, _ in ordered), stamps)
        left_out = _left_out(len(matches) - len(ordered), path.parent) if len(alike) > 1 else ()
        return _numbered([file for _, file in ordered], listed, notes=left_out)
    raise _no_images(f"No image matches {path}.")


def _readings(name: str) -> Iterator[re.Pattern[str]]:
    """What a pattern may mean, the likeliest first, as signs of patterns may be parts of names, too.

    A ``%04d`` or a row of ``#`` (the longest one first) is the number and all else what it says; then ``*`` and ``?``
    beside such a number; then those alone; then a shell's ``[…]``.
    """
    found = list(_PLACEHOLDER.finditer(name))
    if len(found) > _MAX_PLACEHOLDERS or name.count("*") > _MAX_STARS:
        raise _no_images(f"The pattern {shown(name)} has more placeholders than a pattern may have.")
    found.sort(key=lambda match: (match["hashes"] is not None, -len(match["hashes"] or ""), -match.start()))
    for wild in (False, True):
        for match in found:
            before, after = name[: match.start()], name[match.end() :]
            yield re.compile(_text(before, wild) + _digits(match) + _text(after, wild))
    yield re.compile(_text(name, True))
    yield re.compile(fnmatch.translate(name))


def _digits(match: re.Match[str]) -> str:
    width = len(match["hashes"]) if match["hashes"] else int(match["width"] or 1)
    negative = rf"(?<![^._ ])-\d{{{max(1, width - 1)},}}"
    return rf"(?P<number>{negative}|\d{{{width},}})"


def _text(text: str, wild: bool) -> str:
    """The expression for a part of a pattern. What is between two stars is looked for once, where it comes first: that
    is enough for a match, and a name is gone through once instead of once for each way to divide it."""
    if not wild:
        return re.escape(text)
    first, *parts = ("".join("." if sign == "?" else re.escape(sign) for sign in part) for part in text.split("*"))
    between = "".join(f"(?>.*?{part})" for part in parts[:-1] if part)
    return first + between + (f".*{parts[-1]}" if parts else "")


def _ending(name: str) -> str:
    """A name's ending in small letters, from its last point."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of a million names takes seconds
