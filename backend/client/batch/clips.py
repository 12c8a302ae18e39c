"""The clips of a batch: what a folder holds, or what a list names. Every clip is a request as ``flowface track`` has.

A list is a text with the footage of a clip in each line, or a table (.csv) whose first line names its columns:
``footage`` (several views of one take are parted by ``|``), and any of ``name``, ``export`` and the options of
``flowface track``.
Paths are as seen from the list's folder.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.alignment.flowface.adapted import named_weights
from backend.client.batch.folder import find_footage
from backend.client.blender_exports import any_export
from backend.client.cli import parse_faces, parse_further_faces, parse_lenses, parse_offsets
from backend.client.request import TrackRequest
from backend.errors import ErrorCode, UserError
from backend.files import file_name
from backend.reading import is_file, read_bounded, shown
from backend.terminal.declared_options import read_options
from backend.terminal.options import parse_frames
from protocol.job import NEUTRAL_PREDICTORS
from protocol.option_fields import WEIGHTS, OptionField
from protocol.options import SolveOptions, option_fields

LIST = "list of clips"
MAX_LIST_BYTES = 16 << 20
MAX_CLIPS = 100_000
MOST_SHOWN = 10  # bad lines that one error names
MAX_NAME = 120  # bytes of a clip's name: file systems allow 255, and other files' names begin with it
SEVERAL = "|"  # parts a cell's values where an option may be repeated
WORDS = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}
RESULTS = "results.csv"
EXPORTS = "exports"  # of a clip, beside the fields of its request


@dataclass(frozen=True)
class Clip:
    """A clip of a batch; ``name`` is its folder's in that of the batch's results, ``request.out`` that folder.

    ``exports`` are the names of what it is written as besides.
    """

    name: str
    request: TrackRequest
    exports: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """A clip as it was found: ``where`` is the line of its list, "" in a folder.

    ``name`` is the one that a list gives, or the one of its place in the folder; "" for its file's.
    """

    where: str
    footage: tuple[Path, ...]
    name: str = ""
    fields: Mapping[str, Any] | None = None


def read_clips(source: Path, defaults: TrackRequest, exports: Sequence[str] = ()) -> tuple[Clip, ...]:
    """The clips of a folder or of a list, in order; ``defaults`` says what is asked of each, and ``out`` of all.

    ``exports`` are those of clips of which a list says nothing else.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``, ``no_clips``; ``bad_list`` with the numbers of the
            lines that name no clip, footage that is not there, or a name twice.
    """
    if os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises for a name too long to be one
        entries = [_Entry("", (path,), name) for name, path in find_footage(source, defaults.out)]
        wrong: list[str] = []
    else:
        lines = read_bounded(source, LIST, MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
        read = _table_rows if source.suffix.lower() == ".csv" else _text_lines
        entries, wrong = read(lines, source.parent, defaults)
    if len(entries) > MAX_CLIPS:
        raise UserError(ErrorCode.BAD_LIST, f"{source} names {len(entries)} clips; a batch has {MAX_CLIPS} at most.")
    wrong += _absent(entries)
    clips, taken = _named(entries, defaults, tuple(exports))
    _require_good(source, wrong + taken)
    if not clips:
        raise UserError(
            ErrorCode.NO_CLIPS,
            f"{source} holds no clips.",
            "A folder's are its videos and numbered sequences of images; stills are tracked by a list of them.",
        )
    return clips


def _require_good(source: Path, wrong: Sequence[str]) -> None:
    if not wrong:
        return
    more = f" and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
    raise UserError(
        ErrorCode.BAD_LIST, f"{source} cannot be tracked. {' '.join(wrong[:MOST_SHOWN])}{more}", "Mend these lines."
    )


def _text_lines(lines: Sequence[str], folder: Path, _: TrackRequest) -> tuple[list[_Entry], list[str]]:
    """A clip a line; lines that are empty or begin with # say nothing."""
    entries, wrong = [], []
    for number, line in enumerate(lines, start=1):
        text = line.strip().strip('"')
        if "\0" in text:
            wrong.append(f"Line {number}: this is no name of a file.")
        elif text and not text.startswith("#"):
            entries.append(_Entry(f"Line {number}", (folder / text,)))
    return entries, wrong


def _table_rows(lines: Sequence[str], folder: Path, defaults: TrackRequest) -> tuple[list[_Entry], list[str]]:
    """A clip a row; the columns' names are those of the options, with - or _."""
    reader = csv.reader(lines, strict=True)
    entries: list[_Entry] = []
    wrong: list[str] = []
    columns: list[str] = []
    try:
        for row in reader:
            where = f"Line {reader.line_num}"
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if not columns:
                columns = _columns(row)
                continue
            try:
                entries.append(_row(where, dict(zip(columns, row, strict=True)), folder, defaults))
            except UserError as error:
                wrong.append(f"{where}: {error.message}")
            except ValueError:
                wrong.append(f"{where}: it has {len(row)} cells, where the first line has {len(columns)}.")
    except csv.Error as error:
        wrong.append(f"Line {reader.line_num}: it cannot be read as a table ({error}).")
    return entries, wrong


def _columns(row: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower().replace("_", "-") for cell in row]
    known = {"name", "footage", *_READERS, *(item.flag for item in option_fields(SolveOptions))}
    unknown = [cell for cell in columns if cell not in known]
    if unknown or "footage" not in columns or len(set(columns)) < len(columns):
        sentence = f"“{unknown[0][:60]}” is no column of a list of clips" if unknown else "A column is there twice"
        if "footage" not in columns:
            sentence = "The first line of a list of clips names its columns, and “footage” is none of them"
        raise UserError(ErrorCode.BAD_LIST, f"{sentence}.", f"Columns may be: {', '.join(sorted(known))}.")
    return columns


def _row(where: str, cells: Mapping[str, str], folder: Path, defaults: TrackRequest) -> _Entry:
    texts = {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    if "\0" in "".join(texts.values()) or not texts.get("footage"):
        raise UserError(ErrorCode.BAD_LIST, "it names no footage.")
    fields: dict[str, Any] = {}
    for name, read in _READERS.items():
        if name in texts:
            fields |= read(texts[name], folder)
    declared = option_fields(SolveOptions)
    if any(item.flag in texts for item in declared):
        fields["options"] = _options(texts, folder, defaults.options)
    footage = tuple(folder / part.strip() for part in texts["footage"].split(SEVERAL))
    return _Entry(where, footage, texts.get("name", ""), fields)


def _options(texts: Mapping[str, str], folder: Path, defaults: SolveOptions) -> SolveOptions:
    """The options of a solve, those of the row's cells before the command line's."""
    values: dict[str, Any] = {}
    for item in option_fields(SolveOptions):
        value = getattr(defaults, item.name)
        text = texts.get(item.flag)
        if text is None:
            values[item.name] = item.name_of(value) if item.typed_by_name else value
        else:
            values[item.name] = _typed(item, text, folder)
    return read_options(SolveOptions, values)


def _typed(item: OptionField, text: str, folder: Path) -> Any:
    if item.typed_by_name:
        return text
    if item.about.path:
        beside = folder / text
        named = named_weights(Path(text)) if item.about.needs == WEIGHTS and not is_file(beside) else None
        return named or beside
    if item.type is bool:
        return _truth(text)
    try:
        return item.type(text)
    except ValueError:
        return text  # refused in the option's own words


def _truth(text: str) -> bool:
    try:
        return WORDS[text.lower()]
    except KeyError:
        raise UserError(ErrorCode.BAD_LIST, f"“{text[:40]}” was to be yes or no.") from None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(SEVERAL)]


_READERS: dict[str, Callable[[str, Path], Mapping[str, Any]]] = {
    "frames": lambda text, _: {"frames": parse_frames(text)},
    "face": lambda text, _: {
        "faces": parse_faces(_parts(text)),
        "further_faces": parse_further_faces(_parts(text)),
    },
    "all-faces": lambda text, _: {"all_faces": _truth(text)},
    "head": lambda text, _: {"head": text},
    "aligner": lambda text, _: {"aligner": text},
    "calibration": lambda text, folder: {"calibration": tuple(folder / part for part in _parts(text))},
    "calibration-unit": lambda text, _: {"calibration_unit": text},
    "offset": lambda text, _: {"offsets": parse_offsets(_parts(text))},
    "focal-mm": lambda text, _: {"focal_mm": parse_lenses(_parts(text), "focal-mm", "MM")},
    "sensor-mm": lambda text, _: {"sensor_mm": parse_lenses(_parts(text), "sensor-mm", "MM")},
    "principal-point": lambda text, _: {
        "principal_points": parse_lenses(_parts(text), "principal-point", "X,Y", 2),
    },
    "neutral": lambda text, folder: {"neutral": Path(text) if text in NEUTRAL_PREDICTORS else folder / text},
    "neutral-frames": lambda text, _: {"neutral_frames": parse_frames(text)},
    "export": lambda text, _: {EXPORTS: tuple(any_export(part).name for part in _parts(text))},
}
"""By a table's column: the fields of a request that its cell gives, and the clip's ``EXPORTS``."""


def _absent(entries: Sequence[_Entry]) -> list[str]:
    """Sentences on footage that is not there; a pattern's folder has to be."""
    return [
        f"{entry.where}: there is no {shown(path)}."
        for entry in entries
        for path in entry.footage
        if entry.where and not _is_there(path)
    ]


def _is_there(path: Path) -> bool:
    try:
        return path.exists() or (any(sign in path.name for sign in "*?%#") and path.parent.is_dir())
    except OSError:
        return False


def _named(
    entries: Sequence[_Entry], defaults: TrackRequest, exports: tuple[str, ...]
) -> tuple[tuple[Clip, ...], list[str]]:
    """The clips with a name each, and sentences on names that are given twice or can be none."""
    names = list(_own_names(entries))
    wrong = []
    seen: dict[str, str] = {RESULTS: "the table of results"}
    clips = []
    for entry, name in zip(entries, names, strict=True):
        folded = name.casefold()
        if entry.where and entry.name and entry.name != _clip_name(entry.name):
            wrong.append(f"{entry.where}: “{entry.name[:60]}” names no clip: letters, digits, ., - and _ may be in it.")
        elif folded in seen:
            wrong.append(f"{entry.where}: “{name}” is {seen[folded]}'s name already.")
        seen[folded] = entry.where or name
        fields = dict(entry.fields or {})
        own = fields.pop(EXPORTS, exports)
        request = replace(defaults, footage=entry.footage, out=defaults.out / name, **fields)
        clips.append(Clip(name, request, own))
    return tuple(clips), wrong


def _clip_name(text: str) -> str:
    return file_name(text).encode("utf-8", "replace")[:MAX_NAME].decode("utf-8", "ignore").rstrip("._")


def _own_names(entries: Sequence[_Entry]) -> Iterator[str]:
    """A name of each clip: the one it was given, else its file's, with a mark of its path where several would share it.

    The mark depends on nothing but the path, so that a clip has the same name in the next run.
    """
    plain = [
        entry.name if entry.where and entry.name else _clip_name(entry.name or entry.footage[0].stem)
        for entry in entries
    ]
    count = Counter(name.casefold() for name in plain)
    for entry, name in zip(entries, plain, strict=True):
        given = bool(entry.where and entry.name)
        if given or count[name.casefold()] == 1:
            yield name
        else:
            path = os.path.abspath(entry.footage[0])  # noqa: PTH100 - resolve() would follow links
            yield f"{name}_{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"
