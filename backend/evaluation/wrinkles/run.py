"""One rendered person filmed, and their wrinkles found with the true track and with a fitted one, hair or none."""

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
from backend.evaluation.wrinkles.hair import beside_hair, brow_hair
from backend.evaluation.wrinkles.measure import Figures, depth_where, measure
from backend.evaluation.wrinkles.sculpt import sculpt
from backend.files import write_atomic
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.track.types import Track

SIDE = 512
DEEP_M = (5e-4, 5e-3, 5e-3)
"""Displacement that is drawn black or white: of the base, and of what a tension of 1 adds."""


@dataclass(frozen=True)
class Found:
    """What was found of a person by a ``track``, "true" or "fitted"; ``told`` as the job's report has it.

    ``hair_mm`` is the displacement, RMS millimetres, that smooth skin got from brow hair in a second film that has it,
    and ``hair_normals`` the forehead's ``normals`` in that film.
    """

    number: int
    track: str
    figures: Figures
    hair_mm: float
    hair_normals: float
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
    """Film a person of ICT's even modes without and with brow hair, and find the wrinkles by two tracks of either.

    Pictures of the maps and of the films go to ``out``.

    Raises UserError ``ict_missing``, and OSError where ``out`` cannot be written.
    """
    person, head, studio = registered_ict(ict), load_head("open"), Studio()
    sculpture = sculpt(person, 2 * SIDE)
    track = act(person, studio, frames, turn=np.radians(turn), seed=number)
    film, hair = Film(track, person, sculpture.wrinkles, studio), brow_hair(person, 2 * SIDE)
    shown = []
    for frame in range(frames):
        on_progress(0.5 * frame / frames, "filming")
        shown.append(film.with_hair(frame, hair))
    on_progress(0.5, "fitting")
    fitted = fitted_track(track, person, head, noise_px=noise)
    near = beside_hair(hair, film.texel_mm)
    results, drawn = [], [_drawn(sculpture.wrinkles)]
    for begins, name, own, of in ((0.5, "true", track, person), (0.75, "fitted", fitted, head)):
        wrinkles = []
        for hairy in (0, 1):
            begin = begins + 0.125 * hairy

            def report(done: float, begin: float = begin) -> None:
                on_progress(begin + 0.125 * done, "finding wrinkles")

            pictures = [pair[hairy] for pair in shown]
            wrinkles.append(_found(own, of, pictures, report))
        (bare, told), (haired, _) = wrinkles
        figures, other = (measure(one, sculpture, track, person, (own, of)) for one in (bare, haired))
        hair_mm = depth_where(haired, near, sculpture, track, (own, of))
        results.append(Found(number, name, figures, hair_mm, other.normals, told))
        drawn += [_drawn(bare), _drawn(haired)]
    _write(out / f"person_{number}_maps.png", np.vstack(drawn))
    both = [np.vstack(shown[frames * k // 8]) for k in (0, 1, 3)]
    _write(out / f"person_{number}_film.png", np.hstack(both)[..., ::-1])
    return results


def _found(
    track: Track, head: HeadModel, shown: Sequence[NDArray[np.uint8]], on_progress: Callable[[float], None]
) -> tuple[Wrinkles, dict[str, Any]]:
    """The wrinkles of a film, flat where there are none, and what the job's report says of them."""

    def pictures(view: int, wanted: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        return ((frame, shown[frame]) for frame in wanted if view == 0)

    found, told = make_wrinkles(track, head, pictures, side=SIDE, on_progress=on_progress)
    flat = np.zeros((SIDE, SIDE), np.float32)
    return found or Wrinkles(flat, flat, flat, flat), told.to_plain()


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
