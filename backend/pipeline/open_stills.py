"""The photographs of a job, opened: stills only, each once, and the face found in each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.footage import open_footage
from backend.footage.exif import exif_lens
from backend.footage.kinds import MAX_FILE_BYTES, read_file
from backend.pipeline.align_views import AlignedView, Looking, align_view, keeper_of, views_to_fit
from backend.pipeline.open_views import OpenView, open_views
from backend.pipeline.result import Timeline
from backend.progress import ShouldCancel

if TYPE_CHECKING:
    from backend.alignment.types import Aligner, FaceFinder
    from backend.fitting import View
    from backend.pipeline.align_views import OnAligned
    from protocol.photographs import PhotographsJob

SECONDS = 1.0
"""From a photograph to the next on the take's timeline: expressions a second apart have nothing to do with each other,
by what the fit knows of how fast faces move."""
FIRST = 2
"""The frame of the first photograph: before it, the head is at rest."""


@dataclass(frozen=True, eq=False)
class FoundStills:
    """The stills that show a face, on the take's timeline, and sentences about the others."""

    views: tuple[AlignedView, ...]
    warnings: tuple[str, ...]

    @property
    def timeline(self) -> Timeline:
        """A frame at rest, and one for each still."""
        frames = np.arange(1, len(self.views) + FIRST)
        return Timeline(frames, frames.astype(np.float64), SECONDS * (frames - 1.0), 1.0 / SECONDS)


def open_stills(spec: PhotographsJob) -> tuple[list[OpenView], list[str]]:
    """Open the photographs of a job; of two that are the same the second is left out, which a sentence says.

    Raises:
        UserError: what opening footage raises; ``image_unreadable`` for footage that is no still.
    """
    kept, said, known = [], [], dict[str, str]()
    for view in spec.views:
        info = open_footage(view.footage, alone=True).info
        if info.kind != "still":
            raise UserError(
                ErrorCode.IMAGE_UNREADABLE,
                f"{view.footage} is no photograph: it holds several pictures.",
                "Name stills, or track it as footage: flowface track.",
            )
        digest = hashlib.sha256(read_file(info.path, MAX_FILE_BYTES)).hexdigest()
        if digest in known:
            said.append(f"“{info.path.name}” is the same picture as “{known[digest]}”: it was left out.")
            continue
        known[digest] = info.path.name
        kept.append(view)
    return open_views(replace(spec, views=tuple(kept))), said


def find_in_stills(
    opened: Sequence[OpenView],
    aligner: Aligner,
    finder: FaceFinder,
    spec: PhotographsJob,
    folder: Path,
    key: str,
    *,
    on_progress: OnAligned,
    should_cancel: ShouldCancel,
) -> FoundStills:
    """Find the face in each photograph, the largest where none is chosen; those without one are left out.

    ``folder`` keeps what is found as ``align_views`` does. Raises UserError ``no_face`` where none shows one, and
    ``face_not_chosen``; Cancelled.
    """
    seen, said = [], []
    for number, view in enumerate(opened):
        on_progress(f"finding the face in “{view.spec.name}”", number, len(opened))
        looking = Looking(aligner, finder, view.spec.face or spec.face, needs_face=False)
        kept = keeper_of(view, aligner, folder / str(number), key)
        found = align_view(view, looking, kept, lambda _done, _total: None, should_cancel, None)
        if not found.tells_pose.any():
            said.append(f"No face was found in “{view.spec.name}” ({view.spec.footage}): it was left out.")
            continue
        if found.most_faces > 1 and looking.face.kind == "largest":
            said.append(f"“{view.spec.name}” shows {found.most_faces} faces: the largest was taken.")
        seen.append((view, found))
    if not seen:
        raise UserError(
            ErrorCode.NO_FACE,
            "No face was found in the photograph." if len(opened) == 1 else "No face was found in any photograph.",
            "Choose photographs that show the face larger, or less from behind.",
        )
    frames = len(seen) + 1
    views = [AlignedView(view, found, _at_frame(index + 1, frames)) for index, (view, found) in enumerate(seen)]
    return FoundStills(tuple(views), tuple(said))


def stills_to_fit(stills: Sequence[AlignedView], focal_px: float | None) -> list[View]:
    """The fit's input of each still, of one frame; those of one lens and setting by their EXIF share a focal length."""
    alone = [replace(still, index=np.zeros(1, np.int64)) for still in stills]
    views = views_to_fit(alone, focal_px, np.zeros(1))
    lenses = [_lens(still, index) for index, still in enumerate(stills)]
    return [replace(v, camera=replace(v.camera, lens=lens)) for v, lens in zip(views, lenses, strict=True)]


def _lens(still: AlignedView, index: int) -> str:
    info = still.opened.info
    return exif_lens(info.files[0] if info.files else info.path) or f"unknown, still {index}"


def _at_frame(frame: int, frames: int) -> NDArray[np.int64]:
    return np.where(np.arange(frames) == frame, 0, -1)
