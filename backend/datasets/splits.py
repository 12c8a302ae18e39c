"""The splits of the data, as ``splits.toml`` fixes them: what may be learnt from and what is only ever measured."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
People = Literal["ict", "makehuman"]
"""Whose identities and actions are rendered for a benchmark: ICT-FaceKit's, or MakeHuman's."""
PEOPLES: tuple[People, ...] = ("ict", "makehuman")
SPLITS_FILE = Path(__file__).with_name("splits.toml")

_PARITY = {"even": 0, "odd": 1}


def split_of_clip(name: str | PurePath) -> Split:
    """The split of a real clip, by its file name with or without folder and ending.

    Raises UserError ``no_split`` for a clip that ``splits.toml`` does not list.
    """
    stem = PurePath(name).stem
    for split, groups in _table()["clips"].items():
        if any(stem in group for group in groups):
            return split
    raise _unlisted(f"The clip {stem!r}")


def split_of_person(number: int) -> Split:
    """The split of a numbered person of the photograph sets, the same person in every set of theirs."""
    return "test" if number % _table()["photographs"]["test_divisor"] == 0 else "train"


def person_number(name: str | PurePath) -> int:
    """The person's number, which a photograph's file name starts with (``022_08.jpg``, ``045f.jpg``).

    Raises UserError ``no_split`` where there is none.
    """
    match = re.match(r"\d+", PurePath(name).stem)
    if match is None:
        raise _unlisted(f"The photograph {PurePath(name).name!r}, whose name starts with no person's number,")
    return int(match.group())


def split_of_photo(path: str | PurePath) -> Split:
    """The split of a photograph ``…/set/file.jpg``.

    Raises UserError ``no_split`` for a set that ``splits.toml`` does not list.
    """
    photographs, path = _table()["photographs"], PurePath(path)
    whole = photographs["whole_sets"].get(path.parent.name)
    if whole is not None:
        return whole
    if path.parent.name not in photographs["numbered_sets"]:
        raise _unlisted(f"The photograph set {path.parent.name!r}")
    return split_of_person(person_number(path))


def split_of_scan(name: str) -> Split:
    """The split of a head scan, by its folder's name; raises UserError ``no_split`` for one that is not listed."""
    found = _table()["scans"].get(name)
    if found is None:
        raise _unlisted(f"The scan {name!r}")
    return found


def identity_modes(split: Split, count: int = 100) -> NDArray[np.int64]:
    """0-based indices of the ICT-FaceKit identity modes, of ``count``, that rendered people of ``split`` may use."""
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    return np.arange(_PARITY[_table()["rendered"][split]], count, 2)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads(SPLITS_FILE.read_text(encoding="utf-8"))


def _unlisted(what: str) -> UserError:
    return UserError(ErrorCode.NO_SPLIT, f"{what} is in no split.", f"Add it to {SPLITS_FILE.name} before it is used.")
