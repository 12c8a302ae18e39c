"""A driver learnt from a tracked take, and measured on the part of it that was held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.appearance.driver import DriverModel
from backend.appearance.examples import Examples, gather
from backend.appearance.measure import Comparison, compare
from backend.appearance.model import Observed, learn_appearance, parameters_of
from backend.appearance.person import Person
from backend.appearance.regressor import fit_regressor
from backend.appearance.storage import save_driver
from backend.errors import ErrorCode, UserError
from backend.pipeline.take_files import track_file
from backend.track.io import load_track
from backend.track.types import Track

OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]

HELD_OUT = 0.2
"""The take's last part, which nothing is learnt from."""
LEAST = 30
"""Frames to learn from at least: fewer tell more of single pictures than of a person."""


@dataclass(frozen=True)
class TrainRequest:
    """``take`` is the folder of a tracked take, ``face`` which of its heads, ``out`` the file to write; ``whole``
    learns from all of it and measures nothing."""

    take: Path
    out: Path
    face: int = 1
    whole: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a training came to: ``learnt`` frames, and the figures on those held out, None where there are none."""

    learnt: int
    comparison: Comparison | None


def train(request: TrainRequest, on_progress: OnProgress, should_cancel: ShouldCancel) -> Outcome:
    """Learn, measure and write.

    Raises:
        UserError: ``no_result``, ``too_few_frames``, ``other_head``, ``output_unwritable``, and what reading the track
            and its footage raise.
        Cancelled: ``should_cancel`` said so; nothing was written.
    """
    track = load_take(request.take, request.face)
    person = Person.of(track)
    learnt, held = split(track, request.whole)
    examples, observed = gather(track, person, learnt, on_progress=on_progress, should_cancel=should_cancel)
    on_progress("learning", 0, 1)
    model = learn(track, person, learnt, examples, observed, request.take.name)
    on_progress("learning", 1, 1)
    comparison = compare(model, track, held, on_progress, should_cancel) if len(held) else None
    about = {**model.about, "held_out": None if comparison is None else asdict(comparison)}
    save_driver(DriverModel(**{**vars(model), "about": about}), request.out)
    return Outcome(len(np.unique(examples.frame)), comparison)


def load_take(folder: Path, face: int) -> Track:
    """The track of a take's folder. Raises UserError ``no_result``, and as ``load_track``."""
    path = folder / track_file(face)
    if not path.is_file():
        what = "take" if face == 1 else f"head {face}"
        raise UserError(ErrorCode.NO_RESULT, f"There is no {what} in {folder}.", "Name the folder of a tracked take.")
    return load_track(path)


def split(track: Track, whole: bool = False) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The tracked frames to learn from, and all frames of the part held out.

    Raises UserError ``too_few_frames``.
    """
    count = len(track.tracked)
    border = count if whole else round(count * (1 - HELD_OUT))
    learnt = np.flatnonzero(track.tracked[:border])
    if len(learnt) < LEAST:
        raise UserError(
            ErrorCode.TOO_FEW_FRAMES,
            f"The take shows the face in {len(learnt)} frames to learn from, and {LEAST} are needed.",
            "Track a longer take; --whole learns from its last fifth, too.",
        )
    return learnt, np.arange(border, count)


def learn(
    track: Track, person: Person, learnt: NDArray[np.intp], examples: Examples, observed: Observed, name: str
) -> DriverModel:
    """A driver from looks at a take and its skin. Raises UserError ``no_face`` where its pictures show too little."""
    if not len(examples) or len(observed.frames) < 2:
        raise UserError(
            ErrorCode.NO_FACE, "The take's pictures do not show the face that was tracked.", "Track the footage again."
        )
    index = np.searchsorted(learnt, observed.frames)
    parameters = parameters_of(track.expression[learnt], track.gaze[learnt])
    seen = Observed(index.astype(np.intp), observed.color, observed.weight)
    appearance, codes = learn_appearance(person, parameters, seen)
    wanted = codes[np.searchsorted(learnt, examples.frame)]
    regressor = fit_regressor(examples.features, wanted, examples.wanted - examples.own)
    camera = track.cameras[0]
    about: dict[str, object] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "footage": [Path(one.footage).name for one in track.cameras],
        "frames": len(np.unique(examples.frame)),
    }
    return DriverModel(person, appearance, regressor, float(camera.focal_px[0]) / max(camera.image_size), name, about)
