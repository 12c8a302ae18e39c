"""The annotated and unannotated portrait sets that calibration reads, split by person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.datasets.splits import split_of_person
from backend.errors import ErrorCode, UserError
from backend.observations import Alignment

NEUTRAL_SETS = ("london_neutral", "canada")
SMILING_SETS = ("london_smiling",)


@dataclass(frozen=True)
class Portrait:
    """One photograph of one person; ``person`` is unique over all sets."""

    path: Path
    person: str

    @property
    def held_out(self) -> bool:
        """A third of the people only ever test what the others calibrated."""
        return split_of_person(int("".join(c for c in self.person if c.isdigit()))) == "test"

    def image(self) -> NDArray[np.uint8]:
        """RGB (H,W,3). Raises ``UserError`` "image_unreadable"."""
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(ErrorCode.IMAGE_UNREADABLE, f"{self.path} is not an image that can be read.")
        return np.ascontiguousarray(image[..., ::-1])


@dataclass(frozen=True, eq=False)
class AlignedPortrait:
    """A portrait, what the aligner sees in it, and its image's size (width, height)."""

    portrait: Portrait
    alignment: Alignment
    image_size: tuple[int, int]


def portraits(folder: Path, sets: tuple[str, ...]) -> Iterator[Portrait]:
    """The photographs of ``sets`` under ``folder`` (one subfolder per set, files named by the person's number)."""
    for name in sets:
        files = sorted((folder / name).glob("*.jpg"))
        if not files:
            raise UserError(
                ErrorCode.NO_PHOTOS, f"{folder / name} holds no .jpg photographs.", "Point at the photos folder."
            )
        for path in files:
            number = "".join(c for c in path.stem.split("_")[0] if c.isdigit())
            yield Portrait(path, f"{name.split('_')[0]}{number}")


def align_portraits(photos: Iterable[Portrait]) -> list[AlignedPortrait]:
    """The largest face of each photograph; those that show none are left out."""
    aligner, finder = LandmarkAligner(), BlazeFaceFinder()
    found = []
    for portrait in photos:
        image = portrait.image()
        boxes = finder.find(image)
        largest = max(boxes, key=lambda box: box.area) if boxes else None
        alignment = aligner.align([image], [largest])[0]
        if alignment is not None:
            found.append(AlignedPortrait(portrait, alignment, (image.shape[1], image.shape[0])))
    aligner.close()
    return found


def halves(people: list[str]) -> NDArray[np.intp]:
    """(n,) 0 or 1 for each of ``people``, a person always in the same half: what one half teaches the other tests."""
    order = {person: rank for rank, person in enumerate(sorted(set(people)))}
    return np.array([order[person] % 2 for person in people], np.intp)
