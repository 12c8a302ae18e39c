"""``python -m backend.point_calibration.annotation PHOTOS OUT.npz``: iBUG-68 as annotators put it on the open head.

MediaPipe's closest points (``IBUG68_FROM_MEDIAPIPE``) lie up to a few millimetres beside the points that annotators
mean. The mean misfit over fitted portraits of training people is an input of the head's builder,
``ibug68_calibration.npz``: run this, then ``flowface head build``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.evaluation.metrics.landmarks import OUTER_EYE_CORNERS
from backend.evaluation.real_data import Annotation, read_annotation
from backend.fitting import FitResult, View, fit_take
from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE, apply_ibug68_calibration, ibug68_chosen_from
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.point_calibration.embedding import fitted_points, head_space_misfit, mean_offset, observe
from backend.point_calibration.photos import NEUTRAL_SETS, AlignedPortrait, align_portraits, halves, portraits

F64 = NDArray[np.float64]

SAME_POINT = (31, 35, 49, 53, 55, 56, 58, 59)
"""Of the points that the annotation has only approximately, those that it means as iBUG-68 does: the lips' outline
(seven points above and five below, as in iBUG-68) and the outer nostrils. ICT-FaceKit's own iBUG-68 vertices say so:
moved to where the annotation has these, the open head's points come to lie 1.6 instead of 4.6 mm from them. Brows (from
3 to 9 mm), the lids towards the nose and the inner lips (from 1 to 3 mm) go the other way: the annotation divides them
differently."""

ROUNDS = 4  # a point that slides along a curved surface is there after three; the fits stay as they are


@dataclass(frozen=True, eq=False)
class AnnotatedFit:
    """One portrait fitted as the tracker fits it, and its annotation ``points (68,2)`` in pixels, NaN where unknown."""

    person: str
    fit: FitResult
    points: F64


def measure(
    photos: Annotated[Path, typer.Argument(help="Folder with london_neutral/, canada/ and the annotation.")],
    out: Annotated[Path, typer.Argument(help="Where to write the offsets (.npz).")],
) -> None:
    """Fit annotated portraits of training people and take the mean misfit out; says what it does for unseen halves."""
    head, annotation = load_head("open"), read_annotation(photos)
    chosen = [portrait for portrait in portraits(photos, NEUTRAL_SETS) if not portrait.held_out]
    fits = fit_annotated(head, annotation, align_portraits(track(chosen, "aligning")))
    learnt = np.array(sorted({*annotation.strict, *SAME_POINT}))
    strict, half = np.array(annotation.strict), halves([fit.person for fit in fits])
    plain = with_ibug68(head, np.zeros((68, 3)))
    before, after = [], []
    for part in (0, 1):
        teach = [fit for fit, own in zip(fits, half, strict=True) if own != part]
        test = [fit for fit, own in zip(fits, half, strict=True) if own == part]
        taught = with_ibug68(head, calibrate_ibug68(head, teach, learnt))
        before.append([error_percent(plain, test, points) for points in (strict, learnt)])
        after.append([error_percent(taught, test, points) for points in (strict, learnt)])
    for name, one, other in zip(
        ("strict", "all measured"), np.mean(before, axis=0), np.mean(after, axis=0), strict=True
    ):
        print(f"{name}: {one:.3f} % of the inter-ocular distance, {other:.3f} % with what the other half teaches")
    np.savez_compressed(out, displacement=calibrate_ibug68(head, fits, learnt).astype(np.float32))


def fit_annotated(head: HeadModel, annotation: Annotation, aligned: Sequence[AlignedPortrait]) -> list[AnnotatedFit]:
    """Fit each portrait as a clip of one frame. Portraits without annotation are left out."""
    fits = []
    for one in aligned:
        path = one.portrait.path
        marked = annotation.points.get(f"{path.parent.name}/{path.name}")
        if marked is None:
            continue
        points = np.full((68, 2), np.nan)
        points[list(annotation.approximate)] = marked[list(annotation.approximate.values())]
        fit = fit_take(head, [View(observe(one.alignment, one.image_size))])
        fits.append(AnnotatedFit(one.portrait.person, fit, points))
    return fits


def with_ibug68(head: HeadModel, displacement: NDArray[np.floating[Any]]) -> HeadModel:
    """The head with ``ibug68`` at ``displacement (68,3)`` metres in head space from MediaPipe's closest points."""
    plain = ibug68_chosen_from(head.landmarks["mediapipe478"])
    return replace(head, landmarks={**head.landmarks, "ibug68": apply_ibug68_calibration(head, plain, displacement)})


def calibrate_ibug68(head: HeadModel, fits: Sequence[AnnotatedFit], points: NDArray[np.integer[Any]]) -> F64:
    """(68,3) metres in head space from MediaPipe's closest points to the annotated ones, mirror-symmetric.

    Of the ``points`` (n,) among the 68; zero for the others, which stay MediaPipe's.
    """
    total, mirror = np.zeros((68, 3)), ibug68_mirror()
    home = _ibug68(with_ibug68(head, total))
    for _ in range(ROUNDS):
        now = with_ibug68(head, total)
        misfit = np.stack([head_space_misfit(now, "ibug68", one.fit, one.points[None])[0] for one in fits])
        offset = np.zeros_like(misfit)
        offset[:, points] = misfit[:, points]
        # from where the point came to lie, or a step that leads off the surface would be taken over and over
        total = mean_offset((_ibug68(now) - home)[None], mirror) + mean_offset(offset, mirror)
    return total


def ibug68_mirror() -> NDArray[np.intp]:
    """(68,) each point's partner on the other side, itself on the midline."""
    places = {mediapipe: place for place, mediapipe in enumerate(IBUG68_FROM_MEDIAPIPE)}
    mirror = load_point_sigma().mirror
    return np.array([places[int(mirror[mediapipe])] for mediapipe in IBUG68_FROM_MEDIAPIPE], np.intp)


def error_percent(head: HeadModel, fits: Sequence[AnnotatedFit], points: NDArray[np.integer[Any]]) -> float:
    """Mean distance of ``points`` from the annotation, per cent of the annotated outer eye corners' distance."""
    errors = []
    for one in fits:
        image, _ = fitted_points(head, "ibug68", one.fit)
        corners = one.points[list(OUTER_EYE_CORNERS)]
        distance = np.linalg.norm(image[0, points] - one.points[points], axis=-1).mean()
        errors.append(100 * distance / np.linalg.norm(corners[0] - corners[1]))
    return float(np.mean(errors))


def _ibug68(head: HeadModel) -> F64:
    return surface_positions(head.landmarks["ibug68"], head.triangles, head.template).astype(np.float64)


if __name__ == "__main__":
    typer.run(measure)
