"""A driver adapted to footage of the person in another light; kept only where it is better on what was held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.adaptation.work import Work
from backend.alignment.crop import CROP, Crop
from backend.appearance.adapt import AdaptOptions, LightAdapter
from backend.appearance.driver import Driver, DriverModel
from backend.appearance.new_light import Looks, look_at
from backend.appearance.pose import project
from backend.appearance.storage import load_driver, save_driver
from backend.cameras.distortion import Lens
from backend.errors import Cancelled
from backend.evaluation.metrics.stability import temporal_stability
from backend.footage import open_footage
from backend.footage.prefetch import prefetch

OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]

HELD_OUT = 0.2
CHECKPOINT_EVERY = 25


@dataclass(frozen=True)
class LightRequest:
    """``footage`` of the person whose ``driver`` it is, by one camera, of it the ``frames`` (first, last) or all;
    ``out`` is the file to write if it is better."""

    footage: Path
    driver: Path
    out: Path
    frames: tuple[int, int] | None = None
    focal_px: float | None = None
    options: AdaptOptions = field(default_factory=AdaptOptions)


@dataclass(frozen=True)
class LightFigures:
    """Of a driver on unlabelled frames: ``landmarks`` is the mean distance of the head's points from the aligner's,
    percent of the crop's side; ``stability`` eq. 10's of the points in the head's own camera space, 1 is best."""

    landmarks: float
    stability: float


@dataclass(frozen=True)
class LightOutcome:
    """What an adaptation came to on ``frames`` held out; ``kept`` None where nothing is better."""

    frames: int
    learnt: int
    before: LightFigures
    after: LightFigures
    kept: Path | None


def adapt_footage(request: LightRequest, on_progress: OnProgress, should_cancel: ShouldCancel) -> LightOutcome:
    """Adapt; what an interrupted run of the same request has done is not done again.

    Raises:
        UserError: ``too_few_frames``, and what reading driver and footage and writing raise.
        Cancelled: ``should_cancel`` said so; nothing was written.
    """
    model = load_driver(request.driver)
    footage = open_footage(str(request.footage.absolute()), request.frames)
    driver = Driver(model, focal_px=request.focal_px)
    try:
        looks = look_at(driver, prefetch(footage, 3), footage.info.frame_count, on_progress, should_cancel)
    finally:
        driver.close()
    focal = request.focal_px or model.focal_ratio * float(looks.size.max())
    border = round(len(looks) * (1 - HELD_OUT))
    learnt, held = (looks.part(chosen) for chosen in _parts(len(looks), border))
    adapter = LightAdapter(model, learnt, focal, request.options)
    _train(adapter, _work_of(request), on_progress, should_cancel)
    adapted = adapter.adapted()
    before, after = (figures(one, held, focal) for one in (model, adapted))
    kept = None
    if after.landmarks < before.landmarks and after.stability <= before.stability:
        about = {**model.about, "adapted_to": request.footage.name}
        save_driver(replace(adapted, about=about), request.out)
        kept = request.out
    return LightOutcome(len(held), len(learnt), before, after, kept)


def figures(model: DriverModel, looks: Looks, focal_px: float) -> LightFigures:
    """How well a driver does on looks, three or more of them in a row."""
    width, height = (int(n) for n in looks.size)
    camera = Lens(focal_px, (width / 2, height / 2))
    apart, placed = [], []
    for features, own, detected, (x, y, side, roll) in zip(
        looks.features, looks.own, looks.detected, looks.crop, strict=True
    ):
        crop = Crop(float(x), float(y), float(side), float(roll))
        expected = model.expect(features, own.astype(np.float64))
        laid = model.lay(expected, crop.points_to_image(expected.points), crop.side / CROP, camera)
        placed.append(model.person.points.at(laid.expression) @ laid.rotation.T + laid.translation)
        apart.append(crop.points_from_image(project(placed[-1], focal_px, np.array(camera.principal_point))) - detected)
    # what is always off by the same is the landmarks' own, not the driver's
    off = np.array(apart)
    error = np.linalg.norm(off - off.mean(axis=0), axis=-1).mean() / looks.pictures.shape[1]
    return LightFigures(100 * float(error), temporal_stability(np.array(placed)).mean)


def _parts(count: int, border: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first = np.arange(count) < border
    return first, ~first


def _work_of(request: LightRequest) -> Work:
    facts: list[Any] = ["light", request.frames, request.focal_px, repr(request.options)]
    for path in (request.footage, request.driver):
        try:
            state = path.stat()
            facts.append((str(path.absolute()), state.st_size, state.st_mtime_ns))
        except OSError:  # a sequence by its pattern
            facts.append(str(path.absolute()))
    return Work(facts)


def _train(adapter: LightAdapter, work: Work, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """All steps that are left, with a checkpoint every few and where it is called off."""
    work.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = work.checkpoint()
    if state is not None:
        adapter.restore(state)
    steps = adapter.options.steps
    while adapter.step < steps:
        if should_cancel():
            work.save(adapter.state())
            raise Cancelled
        adapter.train()
        on_progress("adapting", adapter.step, steps)
        if adapter.step % CHECKPOINT_EVERY == 0:
            work.save(adapter.state())
    work.remove()
