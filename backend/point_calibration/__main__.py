"""``python -m backend.point_calibration PHOTOS OUT.npz``: measure MediaPipe's point offsets from portraits.

They are offsets on the open head.

The result is an input of the head's builder (``flowface head build``): run this, then rebuild, then measure the
annotation again (``backend.point_calibration.annotation``), then run this with ``--check`` to see what is left on the
people who were held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.head_model.builder.landmarks import embed_landmarks
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.point_calibration.embedding import calibrate, fit_portraits, moved
from backend.point_calibration.photos import NEUTRAL_SETS, AlignedPortrait, align_portraits, halves, portraits


def measure(
    photos: Annotated[Path, typer.Argument(help="Folder with london_neutral/ and canada/.")],
    out: Annotated[Path, typer.Argument(help="Where to write the offsets (.npz).")],
    check: Annotated[
        bool, typer.Option(help="Measure the head as it is on the held-out people, write nothing.")
    ] = False,
) -> None:
    """Fit neutral portraits of training people and take the mean misfit out; says what it does for unseen halves."""
    head, mirror = load_head("open"), load_point_sigma().mirror
    if not check:
        head = embed_landmarks(head, calibrated=False)
    chosen = [portrait for portrait in portraits(photos, NEUTRAL_SETS) if portrait.held_out == check]
    aligned = align_portraits(track(chosen, "aligning"))
    print(f"{_error(head, aligned):.3f} % of the inter-ocular distance off on {len(aligned)} portraits")
    if check:
        return
    half = halves([one.portrait.person for one in aligned])
    parts = [[one for one, part in zip(aligned, half, strict=True) if part == k] for k in (0, 1)]
    left = [_error(moved(head, calibrate(head, parts[1 - k], mirror)), parts[k]) for k in (0, 1)]
    print(f"{np.mean(left):.3f} % with what the other half of the people teaches")
    total = calibrate(head, aligned, mirror)
    length = np.linalg.norm(total, axis=1) * 1e3
    print(f"offsets: median {np.median(length):.2f} mm, largest {length.max():.2f} mm")
    np.savez_compressed(out, displacement=total.astype(np.float32))


def _error(head: HeadModel, aligned: Sequence[AlignedPortrait]) -> float:
    return float(np.mean([np.nanmean(fit.error_percent_iod) for fit in fit_portraits(head, aligned)]))


if __name__ == "__main__":
    typer.run(measure)
