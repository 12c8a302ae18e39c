"""A driver learnt from a tracked take, and measured on the part of it that was held out.

An interrupted run's looks at the take and its latest steps are kept until the driver is written: the same command goes
on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.adaptation.work import Work
from backend.appearance.driver import DriverModel
from backend.appearance.examples import Examples, gather
from backend.appearance.keep import kept_looks
from backend.appearance.measure import Comparison, compare
from backend.appearance.model import Observed, learn_appearance, parameters_of
from backend.appearance.person import Person
from backend.appearance.regressor import Learnt, fit_regressor
from backend.appearance.storage import save_driver
from backend.appearance.trust import fit_trust
from backend.appearance.tune import TuneOptions, Tuner
from backend.cameras.distortion import lens_of
from backend.errors import Cancelled, ErrorCode, UserError
from backend.pipeline.take_files import track_file
from backend.track.io import load_track
from backend.track.types import Track

OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]

HELD_OUT = 0.2
"""The take's last part, which nothing is learnt from."""
CHECKPOINT_EVERY = 25
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
    tuning: TuneOptions = field(default_factory=TuneOptions)


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
        Cancelled: ``should_cancel`` said so; nothing was written, and the same request goes on.
    """
    track = load_take(request.take, request.face)
    person = Person.of(track)
    learnt, held = split(track, request.whole)
    work = work_of(request)
    examples, observed = kept_looks(
        work.folder, lambda: gather(track, person, learnt, on_progress=on_progress, should_cancel=should_cancel)
    )
    on_progress("learning", 0, 1)
    model, codes = learn(track, person, learnt, examples, observed, request.take.name)
    model = _tuned(model, track, examples, codes, request.tuning, work, on_progress, should_cancel)
    comparison = compare(model, track, held, on_progress, should_cancel) if len(held) else None
    about = {**model.about, "held_out": None if comparison is None else asdict(comparison)}
    save_driver(replace(model, about=about), request.out)
    work.remove()
    return Outcome(len(np.unique(examples.frame)), comparison)


def work_of(request: TrainRequest) -> Work:
    """The folder in which the request's work is kept until it is done."""
    path = request.take / track_file(request.face)
    try:
        state = path.stat()
        stamp: tuple[int, ...] = (state.st_size, state.st_mtime_ns)
    except OSError:
        stamp = ()
    return Work(["driver", str(path.absolute()), stamp, request.whole, asdict(request.tuning)])


def _tuned(
    model: DriverModel,
    track: Track,
    examples: Examples,
    codes: NDArray[np.float64],
    options: TuneOptions,
    work: Work,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> DriverModel:
    """The model after all steps of eq. 1 that are left, with a checkpoint every few and where it is called off."""
    if not options.steps or any(not lens_of(camera).ideal for camera in track.cameras):
        return model  # the losses project without distortion, and the closed form is as good
    cameras = [track.cameras[view] for view in examples.view]
    focal = np.array([camera.focal_px[frame] for camera, frame in zip(cameras, examples.frame, strict=True)])
    centre = np.array([camera.principal_point for camera in cameras])
    tuner = Tuner(model, examples, codes, focal, centre, options)
    state = work.checkpoint()
    if state is not None:
        tuner.restore(state)
    while tuner.step < options.steps:
        if should_cancel():
            work.save(tuner.state())
            raise Cancelled
        tuner.train()
        on_progress("tuning", tuner.step, options.steps)
        if tuner.step % CHECKPOINT_EVERY == 0:
            work.save(tuner.state())
    return tuner.tuned()


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
) -> tuple[DriverModel, NDArray[np.float64]]:
    """A driver from looks at a take and its skin, and the codes (N,Z) that were wanted of the looks.

    Raises UserError ``no_face`` where its pictures show too little.
    """
    if not len(examples) or len(observed.frames) < 2:
        raise UserError(
            ErrorCode.NO_FACE, "The take's pictures do not show the face that was tracked.", "Track the footage again."
        )
    index = np.searchsorted(learnt, observed.frames)
    parameters = parameters_of(track.expression[learnt], track.gaze[learnt])
    seen = Observed(index.astype(np.intp), observed.color, observed.weight)
    appearance, codes = learn_appearance(person, parameters, seen)
    wanted = codes[np.searchsorted(learnt, examples.frame)]
    looks, off = Learnt.of(examples.features), (examples.wanted - examples.own).astype(np.float64)
    regressor = fit_regressor(looks, wanted, off)
    trust = fit_trust(looks, off, (examples.wanted_iris - examples.own_iris).astype(np.float64))
    camera = track.cameras[0]
    about: dict[str, object] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "footage": [Path(one.footage).name for one in track.cameras],
        "frames": len(np.unique(examples.frame)),
    }
    focal_ratio = float(camera.focal_px[0]) / max(camera.image_size)
    return DriverModel(person, appearance, regressor, trust, focal_ratio, name, about), wanted
