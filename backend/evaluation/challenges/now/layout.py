"""NoW's data as they are downloaded, and the picked points of its scans.

::

    FOLDER/imagepathsvalidation.txt, imagepathstest.txt     lines PERSON/CATEGORY/NAME.jpg
    FOLDER/NoW_Dataset/final_release_version/iphone_pictures/PERSON/CATEGORY/NAME.jpg
    FOLDER/scans/PERSON/*.obj                               millimetres; of the validation set's people alone
    FOLDER/scans_lmks_onlypp/PERSON/*.pp                    MeshLab's picked points, seven of each scan

``final_release_version`` may also lie in FOLDER itself, and the lists inside it. Source: the README and
``compute_error.py`` of github.com/soubhiksanyal/now_evaluation. ``detected_face`` is not needed: faces are found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.layout import refuse_missing, require_folder
from backend.reading import is_file, is_folder, read_bounded, shown

F64 = NDArray[np.float64]

LISTS = {"val": "imagepathsvalidation.txt", "test": "imagepathstest.txt"}
CATEGORIES = ("multiview_neutral", "multiview_expressions", "multiview_occlusions", "selfie")
PICTURES = "iphone_pictures"
SCANS, SCAN_POINTS = "scans", "scans_lmks_onlypp"
MAX_LIST_BYTES, MAX_POINTS_BYTES = 4 << 20, 1 << 20
HINT = "See backend/evaluation/challenges/now/layout.py for the layout; the parts come from https://now.is.tue.mpg.de."

_POINT = re.compile(r"<point\b([^<>]*)>")


@dataclass(frozen=True)
class NowPicture:
    """One picture: ``person``, ``category`` and ``name`` are the parts of its line in the list."""

    person: str
    category: str
    name: str
    path: Path

    @property
    def stem(self) -> str:
        """Its name without the ending, as predictions are called."""
        return Path(self.name).stem


@dataclass(frozen=True)
class NowScan:
    """A person's scan and the file of its picked points."""

    mesh: Path
    points: Path


@dataclass(frozen=True)
class NowFolder:
    """The pictures of a split in the list's order, and the scans by person; none where they are not downloaded."""

    pictures: Sequence[NowPicture]
    scans: Mapping[str, NowScan] = field(default_factory=dict)


def read_layout(folder: Path, split: str, category: str = "") -> NowFolder:
    """What there is of ``split`` ("val" or "test"), of one ``category`` where that is not "".

    Raises UserError: ``bad_split``; ``challenge_layout`` naming all files that are missing, or a list that is none.
    """
    if split not in LISTS:
        raise UserError(ErrorCode.BAD_SPLIT, f"There is no split “{split}” of NoW; there are {', '.join(LISTS)}.")
    if category not in ("", *CATEGORIES):
        raise UserError(ErrorCode.BAD_OPTION, f"“{category}” is no category of NoW; there are {', '.join(CATEGORIES)}.")
    require_folder(folder, "NoW")
    releases = [place for place in _releases(folder) if is_folder(place / PICTURES)]
    lists = [place / LISTS[split] for place in (folder, *_releases(folder)) if is_file(place / LISTS[split])]
    missing = [] if releases else [f"NoW_Dataset/final_release_version/{PICTURES}"]
    refuse_missing(folder, "NoW", missing if lists else [*missing, LISTS[split]], HINT)
    pictures = [p for p in _pictures(releases[0] / PICTURES, lists[0]) if category in ("", p.category)]
    people = list(dict.fromkeys(p.person for p in pictures)) if split == "val" else []  # the others' are not public
    scans, lost = _scans(folder, people)
    refuse_missing(folder, "NoW", [*(p.path for p in pictures if not is_file(p.path)), *lost], HINT)
    return NowFolder(pictures, scans)


def _releases(folder: Path) -> tuple[Path, ...]:
    release = "final_release_version"
    return folder / "NoW_Dataset" / release, folder / release, folder


def _pictures(root: Path, listed: Path) -> list[NowPicture]:
    text = read_bounded(listed, "list of pictures", MAX_LIST_BYTES).decode("utf-8", "replace")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.strip().replace("\\", "/").split("/")
        if parts == [""]:
            continue
        if len(parts) < 3 or any(part in ("", "..", ".") for part in parts[-3:]):
            raise UserError(
                ErrorCode.CHALLENGE_LAYOUT,
                f"Line {number} of {shown(listed)} is “{line.strip()[:80]}”; expected PERSON/CATEGORY/NAME.jpg.",
                HINT,
            )
        person, category, name = parts[-3:]
        found.append(NowPicture(person, category, name, root / person / category / name))
    if not found:
        raise UserError(ErrorCode.CHALLENGE_LAYOUT, f"{shown(listed)} lists no pictures.", HINT)
    return found


def _scans(folder: Path, people: Sequence[str]) -> tuple[dict[str, NowScan], list[str]]:
    """The scans there are, and what is missing of them; nothing is where none was downloaded."""
    found: dict[str, NowScan] = {}
    if not is_folder(folder / SCANS) and not is_folder(folder / SCAN_POINTS):
        return found, []
    lost = []
    for person in people:
        mesh = next(iter(sorted((folder / SCANS / person).glob("*.obj"))), None)
        points = next(iter(sorted((folder / SCAN_POINTS / person).glob("*.pp"))), None)
        lost += [f"{SCANS}/{person}/*.obj"] * (mesh is None) + [f"{SCAN_POINTS}/{person}/*.pp"] * (points is None)
        if mesh is not None and points is not None:
            found[person] = NowScan(mesh, points)
    return found, lost


def read_picked_points(path: Path) -> F64:
    """(7,3) in the scan's unit: outer and inner corner of the right eye, inner and outer one of the left, the nose's
    base, the mouth's right and left corner.

    Raises UserError ``bad_file`` where there are not seven points.
    """
    text = read_bounded(path, "picked points", MAX_POINTS_BYTES).decode("utf-8", "replace")
    points = [_coordinates(match[1]) for match in _POINT.finditer(text)]
    if len(points) != 7 or any(len(point) != 3 for point in points):
        raise UserError(
            ErrorCode.BAD_FILE,
            f"{shown(path)} holds {len(points)} picked points; seven, each with x, y and z, are expected.",
            "Download the scans' points again.",
        )
    return np.array(points)


def _coordinates(attributes: str) -> list[float]:
    values = []
    for axis in "xyz":
        match = re.search(rf'(?<!\w){axis}\s*=\s*"([-+\d.eE]{{1,40}})"', attributes)
        try:
            value = float(match[1]) if match else np.nan
        except ValueError:
            value = np.nan
        values += [value] if np.isfinite(value) else []
    return values
