"""One rendered person filmed, and their wrinkles found with the true track and with a fitted one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.detail.make import make_wrinkles
from backend.detail.types import F32, Wrinkles
from backend.evaluation.uncertainty import registered_ict
from backend.evaluation.wrinkles.film import Film, Studio, act
from backend.evaluation.wrinkles.fitted import fitted_track
from backend.evaluation.wrinkles.measure import Figures, measure
from backend.evaluation.wrinkles.sculpt import sculpt
from backend.files import write_atomic
from backend.head_model.library import load_head

SIDE = 512
DEEP_M = (5e-4, 5e-3, 5e-3)
"""Displacement that is drawn black or white: of the base, and of what a tension of 1 adds."""


@dataclass(frozen=True)
class Found:
    """What was found of a person by a ``track``, "true" or "fitted"; ``told`` as the job's report has it."""

    number: int
    track: str
    figures: Figures
    told: dict[str, Any]


def run_person(
    ict: Path,
    out: Path,
    number: int,
    *,
    frames: int,
    turn: float,
    noise: float,
    on_progress: Callable[[float, str], None],
) -> list[Found]:
    """Film a person of ICT's even modes and find the wrinkles twice; pictures of the maps go to ``out``.

    Raises UserError ``ict_missing``, and OSError where ``out`` cannot be written.
    """
    person, head, studio = registered_ict(ict), load_head("open"), Studio()
    sculpture = sculpt(person, 2 * SIDE)
    track = act(person, studio, frames, turn=np.radians(turn), seed=number)
    film = Film(track, person, sculpture.wrinkles, studio)
    shown = []
    for frame in range(frames):
        on_progress(0.6 * frame / frames, "filming")
        shown.append(film.picture(frame))

    def pictures(view: int, wanted: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        return ((frame, shown[frame]) for frame in wanted if view == 0)

    on_progress(0.6, "fitting")
    fitted = fitted_track(track, person, head, noise_px=noise)
    results, drawn = [], [_drawn(sculpture.wrinkles)]
    for begins, name, own, of in ((0.6, "true", track, person), (0.8, "fitted", fitted, head)):

        def report(done: float, begins: float = begins) -> None:
            on_progress(begins + 0.2 * done, "finding wrinkles")

        found, told = make_wrinkles(own, of, pictures, side=SIDE, on_progress=report)
        if found is None:
            nothing = np.zeros((SIDE, SIDE), np.float32)
            found = Wrinkles(nothing, nothing, nothing, nothing)
        results.append(Found(number, name, measure(found, sculpture, track, person, (own, of)), told.to_plain()))
        drawn.append(_drawn(found))
    _write(out / f"person_{number}_maps.png", np.vstack(drawn))
    _write(out / f"person_{number}_film.png", np.hstack([shown[frames * k // 8] for k in (0, 1, 3)])[..., ::-1])
    return results


def _drawn(wrinkles: Wrinkles) -> NDArray[np.uint8]:
    """The maps beside each other, grey where there is nothing."""

    def grey(depth: F32, deep: float) -> NDArray[np.uint8]:
        small = cv2.resize(depth, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return np.clip(128 + 127 * small / deep, 0, 255).astype(np.uint8)

    maps = (wrinkles.base, wrinkles.stretch, wrinkles.compression)
    return np.hstack([grey(depth, deep) for depth, deep in zip(maps, DEEP_M, strict=True)])


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".png", picture)
    if done:
        write_atomic(path, data.tobytes(), public=True)
