"""``python -m backend.calibration PHOTOS OUT.npz``: measure MediaPipe's point offsets on the open head from portraits.

The result is an input of the head's builder (``flowface head build``): run this, then rebuild, then run it again with
``--check`` to see what is left on the people who were held out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track

from backend.alignment.face_finder import FaceFinder
from backend.alignment.mediapipe import MediaPipeAligner
from backend.alignment.point_sigma import load_point_sigma
from backend.alignment.types import Alignment
from backend.calibration.embedding import fit_portraits, mean_offset
from backend.calibration.photos import NEUTRAL_SETS, Portrait, portraits
from backend.head_model.builder.landmarks import CALIBRATION, apply_calibration
from backend.head_model.library import load_head

ROUNDS = 3  # the identity explains a little less of the offsets each time; the third round moves points < 0.1 mm


def _align(photos: list[Portrait]) -> list[tuple[Portrait, Alignment, tuple[int, int]]]:
    aligner, finder = MediaPipeAligner(), FaceFinder()
    found = []
    for portrait in track(photos, "aligning"):
        image = portrait.image()
        boxes = finder.find(image)
        largest = max(boxes, key=lambda box: box.area) if boxes else None
        alignment = aligner.align([image], [largest])[0]
        if alignment is not None:
            found.append((portrait, alignment, (image.shape[1], image.shape[0])))
    return found


def measure(
    photos: Annotated[Path, typer.Argument(help="Folder with london_neutral/ and canada/.")],
    out: Annotated[Path, typer.Argument(help="Where to write the offsets (.npz).")],
    check: Annotated[bool, typer.Option(help="Measure the head as it is and write nothing.")] = False,
) -> None:
    """Fit neutral portraits, take the mean misfit out, and say what is left on people who were held out."""
    head = load_head("open")
    aligned = _align(list(portraits(photos, NEUTRAL_SETS)))
    mirror = load_point_sigma().mirror
    total = np.zeros((len(head.landmarks["mediapipe478"]), 3))
    if CALIBRATION.is_file():  # the head's points include these offsets already: what is measured now adds to them
        with np.load(CALIBRATION, allow_pickle=False) as data:
            built_in = data["displacement"].astype(np.float64)
    else:
        built_in = np.zeros_like(total)
    for step in range(1 if check else ROUNDS + 1):
        fits = fit_portraits(head, ((p.person, a, size) for p, a, size in track(aligned, "fitting")))
        held = np.array([p.held_out for p, _, _ in aligned])
        errors = np.array([np.nanmean(fit.error_percent_iod) for fit in fits])
        print(
            f"round {step}: {errors[~held].mean():.3f} % of inter-ocular distance on {np.sum(~held)} portraits that "
            f"calibrate, {errors[held].mean():.3f} % on {held.sum()} held out"
        )
        if check or step == ROUNDS:
            break
        total += mean_offset([fit for fit, test in zip(fits, held, strict=True) if not test], mirror)
        landmarks = dict(load_head("open").landmarks)
        landmarks["mediapipe478"] = apply_calibration(load_head("open"), landmarks["mediapipe478"], total)
        head = replace(head, landmarks=landmarks)
    if not check:
        moved = np.linalg.norm(total, axis=1) * 1e3
        print(f"offsets: median {np.median(moved):.2f} mm, largest {moved.max():.2f} mm")
        np.savez_compressed(out, displacement=(built_in + total).astype(np.float32))


if __name__ == "__main__":
    typer.run(measure)
