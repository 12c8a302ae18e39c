"""One challenge, item by item: each result is kept in a file of its own as it is made, and never made twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from backend.errors import ErrorCode, UserError
from backend.evaluation.progress_view import EvaluationView
from backend.evaluation.store import EVERYTHING, Store, plain
from backend.evaluation.tables import Sheet, to_markdown, to_rich
from backend.files import write_atomic

Record = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One thing to measure: a ``key`` of its own, unique in the challenge, and how its record is made.

    ``files`` are what ``make`` writes beside the record; where one of them is gone, the item is made again.
    """

    key: tuple[str, ...]
    make: Callable[[], Record]
    files: tuple[Path, ...] = ()


def open_store(out: Path, options: Mapping[str, Any]) -> Store:
    """Where finished items lie, ``out``/items: one JSON file each. ``options`` are what changes their figures.

    Raises UserError ``output_unwritable``.
    """
    try:
        return Store(out / "items", options)
    except OSError as error:
        sentence = f"Results cannot be written to {out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error


def run_items(
    name: str,
    items: Sequence[Item],
    store: Store,
    made_by: tuple[str, ...] = EVERYTHING,
    console: Console | None = None,
) -> list[Record]:
    """The record of every item, in order, with a bar under ``name``; those of an earlier run are read.

    An item in which no face is found has the record ``{"key": …, "lost": True}``, all others "lost" False unless their
    record says otherwise. ``made_by`` is the tracker's, as ``Tracker.made_by``. Ctrl-C leaves what is finished.
    """
    records = []
    with EvaluationView(console or Console(stderr=True)) as view:
        for number, item in enumerate(items):
            view.on_part(name, number, len(items))
            view.on_stage(" ".join(item.key))
            path = store.path(*item.key, parts=made_by)
            if not all(file.is_file() for file in item.files):
                path.unlink(missing_ok=True)
            records.append(store.get(item.key, partial(_made, item), made_by))
        view.on_part(name, len(items), len(items))
    return records


def _made(item: Item) -> Record:
    head: Record = {"key": list(item.key), "lost": False}
    try:
        return head | item.make()
    except UserError as error:
        if error.code != ErrorCode.NO_FACE:
            raise
        return head | {"lost": True}


def publish(out: Path, heading: str, sheets: Sequence[Sheet], results: Mapping[str, Any]) -> None:
    """Write ``results.json`` and ``tables.md`` into ``out`` and print the tables."""
    write_atomic(out / "results.json", json.dumps(plain(results), indent=1, allow_nan=False).encode(), public=True)
    write_atomic(out / "tables.md", to_markdown(sheets, heading, _foreword(results)).encode(), public=True)
    shown = Console()
    for sheet in sheets:
        shown.print(to_rich(sheet))
    shown.print(f"tables.md and results.json are in {out}", markup=False, highlight=False)


def _foreword(results: Mapping[str, Any]) -> str:
    command = results.get("command")
    return f"Made by `{command}`." if command else ""


def with_paper(ours: Sequence[tuple[str, ...]], paper: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """The paper's rows, as it prints them, above ours."""
    return (*((f"{row[0]} (paper)", *row[1:]) for row in paper), *ours)
