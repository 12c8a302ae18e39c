"""300-W's pictures as they are unpacked: folders of pictures with iBUG's ``.pts`` files beside them.

    01_Indoor/indoor_001.png, .pts … 300        the 300-W challenge's own test set
    02_Outdoor/outdoor_001.png, .pts … 300
    helen/testset/*.jpg, .pts   330             the "common" test set, with lfpw's
    lfpw/testset/*.png, .pts    224
    ibug/*.jpg, .pts            135             the "challenging" one
    helen/trainset, lfpw/trainset, afw          2000, 811, 337 for training

They may lie in the folder itself or one level below. Any other folder of pictures with ``.pts`` files is read, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.landmarks.pts import read_pts
from backend.evaluation.challenges.layout import MAX_NAMED, refuse_missing, require_folder
from backend.footage.kinds import IMAGE_SUFFIXES
from backend.reading import is_folder, read_bounded, shown

F64 = NDArray[np.float64]

TEST = {"01_Indoor": 300, "02_Outdoor": 300, "helen/testset": 330, "lfpw/testset": 224, "ibug": 135}
TRAINING = {"helen/trainset": 2000, "lfpw/trainset": 811, "afw": 337}
PICTURES = TEST | TRAINING
"""How many pictures each subset is published with."""
GROUPS = {
    "300-W test": ("01_Indoor", "02_Outdoor"),
    "common": ("helen/testset", "lfpw/testset"),
    "full": ("helen/testset", "lfpw/testset", "ibug"),
}
"""Sets that papers report, of several subsets; "challenging" is ibug alone."""
HINT = (
    "Expected are 01_Indoor, 02_Outdoor, helen/testset, lfpw/testset and ibug as they are unpacked, each picture with "
    "its .pts beside it; --partial measures what is there."
)
MAX_LIST_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class AnnotatedPicture:
    """A picture of a subset, its .pts file and the points (68,2) of that in pixels."""

    subset: str
    picture: Path
    annotation: Path
    points: F64

    @property
    def name(self) -> str:
        return f"{self.subset}/{self.picture.name}"


def read_300w(
    root: Path, subsets: Sequence[str] = (), *, listed: Path | None = None, partial: bool = False
) -> list[AnnotatedPicture]:
    """The annotated pictures of ``subsets``; of the test subsets that are there where none is named.

    ``listed`` names a text file with the pictures to take, a name a line. ``partial`` takes subsets that are not whole
    and leaves out pictures without points. Raises UserError ``challenge_layout`` naming all that is missing,
    ``bad_file`` naming all files that are damaged, ``bad_option`` for a subset that 300-W does not have.
    """
    require_folder(root, "300-W")
    found = _chosen(root, subsets, everything=listed is not None)
    missing: list[Path | str] = [name for name in subsets if name not in found]
    pairs: list[tuple[str, Path, Path]] = []
    for name, folder in found.items():
        pictures, annotated = _listed_by_stem(folder)
        missing += [annotated[stem].with_suffix(".png or .jpg") for stem in annotated if stem not in pictures]
        missing += [pictures[stem].with_suffix(".pts") for stem in pictures if stem not in annotated]
        both = [stem for stem in pictures if stem in annotated]
        pairs += [(name, pictures[stem], annotated[stem]) for stem in both]
        wanted = PICTURES.get(name, 0)
        if len(both) < wanted and listed is None:
            missing.append(f"{wanted - len(both)} of the {wanted} pictures of {name}")
    if listed is not None:
        pairs = _of_list(listed, pairs)
    elif not partial:
        refuse_missing(root, "300-W", missing, HINT)
    if not pairs:
        refuse_missing(root, "300-W", missing or ["pictures with .pts files"], HINT)
    return _read(pairs)


def _read(pairs: Sequence[tuple[str, Path, Path]]) -> list[AnnotatedPicture]:
    good, broken = [], []
    for subset, picture, annotation in pairs:
        try:
            good.append(AnnotatedPicture(subset, picture, annotation, read_pts(annotation)))
        except UserError as error:
            broken.append(error)
    refuse_broken(broken)
    return good


def refuse_broken(broken: Sequence[UserError]) -> None:
    """Raise one UserError with the sentences of all, if there are any."""
    if not broken:
        return
    more = f" And {len(broken) - MAX_NAMED} more." if len(broken) > MAX_NAMED else ""
    told = " ".join(error.message for error in broken[:MAX_NAMED])
    raise UserError(broken[0].code, told + more, broken[0].hint)


def _chosen(root: Path, subsets: Sequence[str], *, everything: bool) -> dict[str, Path]:
    """Folders by subset."""
    unknown = [name for name in subsets if name not in PICTURES]
    if unknown:
        sentence = f"300-W has no subset “{unknown[0][:60]}”; it has {', '.join(PICTURES)}."
        raise UserError(ErrorCode.BAD_OPTION, sentence, "See --subset.")
    there = {name: folder for name in PICTURES if (folder := _folder_of(root, name)) is not None}
    if subsets or everything:
        chosen = {name: folder for name, folder in there.items() if not subsets or name in subsets}
    else:
        chosen = {n: f for n, f in there.items() if n in TEST} or there
    return chosen if chosen or subsets else {root.resolve().name: root}


def _folder_of(root: Path, subset: str) -> Path | None:
    parts = tuple(subset.split("/"))
    own = root.resolve().parts
    for kept in range(len(parts), 0, -1):  # the root may be the subset's own folder, or helen of helen/testset
        if own[-kept:] == parts[:kept] and is_folder(folder := root.joinpath(*parts[kept:])):
            return folder
    candidates = (root, *sorted(entry for entry in root.iterdir() if is_folder(entry)))
    return next((folder for base in candidates if is_folder(folder := base / subset)), None)


def _listed_by_stem(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The folder's pictures and .pts files by their names without endings."""
    files = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    pictures = {file.stem: file for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
    return pictures, {file.stem: file for file in files if file.suffix.lower() == ".pts"}


def _of_list(path: Path, pairs: Sequence[tuple[str, Path, Path]]) -> list[tuple[str, Path, Path]]:
    """The pairs that a list names, in its order; raises UserError ``bad_list``."""
    by_name = {name: pair for pair in pairs for name in _names(pair)}
    taken, wrong = {}, []
    lines = read_bounded(path, "list", MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        text = line.strip().replace("\\", "/")
        if not text or text.startswith("#"):
            continue
        pair = by_name.get(text) or by_name.get("/".join(text.split("/")[-3:]))
        if pair is None:
            wrong.append(f"Line {number}: no annotated picture is called “{text[:80]}”.")
        else:
            taken[pair[1]] = pair
    if wrong:
        more = f" And {len(wrong) - MAX_NAMED} more." if len(wrong) > MAX_NAMED else ""
        sentence = f"The list {shown(path)} cannot be used. {' '.join(wrong[:MAX_NAMED])}{more}"
        raise UserError(ErrorCode.BAD_LIST, sentence, "Names are as in helen/testset/30427236_2.jpg.")
    return list(taken.values())


def _names(pair: tuple[str, Path, Path]) -> Iterator[str]:
    subset, picture, _ = pair
    for name in (picture.name, picture.stem):
        yield f"{subset}/{name}"
        yield name
