"""300-VW's videos as they are unpacked, and which of them make its three categories.

    300VW_Dataset_2015_12_14/NNN/vid.avi                the video
                             NNN/annot/000001.pts …     iBUG's points of its frame 1 …

Of its 114 videos 64 are for tests: category 1 in naturalistic, well-lit conditions, 2 in unconstrained illumination,
3 in arbitrary conditions (the lists are public facts; OpenFace's and others' evaluations hold the same).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.landmarks.pts import read_pts
from backend.evaluation.challenges.landmarks.w300_layout import refuse_broken
from backend.evaluation.challenges.layout import refuse_missing, require_folder
from backend.reading import is_file, is_folder, shown

CATEGORIES: dict[str, tuple[int, ...]] = {
    "1": (
        *(114, 124, 125, 126, 150, 158, 401, 402, 505, 506, 507, 508, 509, 510, 511, 514),
        *(515, 518, 519, 520, 521, 522, 524, 525, 537, 538, 540, 541, 546, 547, 548),
    ),
    "2": (203, 208, 211, 212, 213, 214, 218, 224, 403, 404, 405, 406, 407, 408, 409, 412, 550, 551, 553),
    "3": (410, 411, 516, 517, 526, 528, 529, 530, 531, 533, 557, 558, 559, 562),
}
HINT = (
    "Expected are folders NNN with vid.avi and annot/000001.pts … as they are unpacked; --partial measures what is "
    "there, --category a part."
)


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video of a category and its .pts files with the frames, from 1, that they are of, ascending."""

    name: str
    category: str
    video: Path
    annotation: tuple[Path, ...]
    frames: tuple[int, ...]

    def read(self) -> NDArray[np.float64]:
        """The points (N,68,2) in pixels; raises UserError ``bad_file`` naming all files that are damaged."""
        points, broken = [], []
        for path in self.annotation:
            try:
                points.append(read_pts(path))
            except UserError as error:
                broken.append(error)
        refuse_broken(broken)
        return np.stack(points)


def read_300vw(root: Path, categories: Sequence[str] = (), *, partial: bool = False) -> list[AnnotatedVideo]:
    """The videos of ``categories`` (of all three where none is named), by their numbers.

    ``partial`` leaves out videos that are not there. Raises UserError ``challenge_layout`` naming all that is missing,
    ``bad_option`` for a category that there is not, ``bad_file`` for .pts files that are not called by a frame.
    """
    require_folder(root, "300-VW")
    unknown = [name for name in categories if name not in CATEGORIES]
    if unknown:
        sentence = f"300-VW has no category “{unknown[0][:60]}”; it has {', '.join(CATEGORIES)}."
        raise UserError(ErrorCode.BAD_OPTION, sentence, "See --category.")
    wanted = [(f"{n:03d}", name) for name in categories or CATEGORIES for n in CATEGORIES[name]]
    base = _base(root, [name for name, _ in wanted])
    missing: list[Path | str] = []
    videos = []
    for name, category in wanted:
        folder = base / name
        if not is_folder(folder):
            missing.append(folder)
            continue
        frames = _annotated_frames(folder / "annot")
        if not is_file(folder / "vid.avi"):
            missing.append(folder / "vid.avi")
        elif not frames:
            missing.append(folder / "annot" / "000001.pts")
        else:
            files = tuple(frames[number] for number in sorted(frames))
            videos.append(AnnotatedVideo(name, category, folder / "vid.avi", files, tuple(sorted(frames))))
    if not partial or not videos:
        refuse_missing(root, "300-VW", missing, HINT)
    return videos


def _base(root: Path, names: Sequence[str]) -> Path:
    """The folder that holds the videos: the root or one in it."""
    inside = (root, *sorted(entry for entry in root.iterdir() if is_folder(entry)))
    return max(inside, key=lambda folder: sum(is_folder(folder / name) for name in names))


def _annotated_frames(folder: Path) -> dict[int, Path]:
    """The .pts files by frame."""
    if not is_folder(folder):
        return {}
    files = [file for file in folder.iterdir() if file.suffix.lower() == ".pts" and not file.name.startswith(".")]
    wrong = [file for file in files if not (re.fullmatch(r"[0-9]{1,9}", file.stem) and int(file.stem))]
    if wrong:
        sentence = f"{shown(min(wrong))} is not called by a frame's number from 1, as 000001.pts is."
        raise UserError(ErrorCode.BAD_FILE, sentence, "Rename it, or take it out of the folder.")
    return {int(file.stem): file for file in files}
