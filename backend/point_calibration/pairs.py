"""Measure the σ of pairs of MediaPipe's points: ``python -m backend.point_calibration.pairs PHOTOS ICT [--out FILE]``.

PHOTOS and ICT as in ``backend.point_calibration.sigma``. Rendered people of the dev split (``rendered_heads``) open the
mouth, close and widen the eyes, raise and lower the brows, smile, frown, pucker. A point is lifted onto the skin where
it lies in the first picture, whatever surface point that is; where a pair's difference lies from its surface points' in
the other pictures is its error. Its variance, the largest tenth of the squares counting as the 90 % quantile (the fit's
kernel fades them, too), over its points' σ² is the pair's ``share`` (``PairTable``); mirrored pairs share theirs.

Photographs only check: repeatability and disagreement with the mirror image on portraits of training people, of the
difference, must not be more than what is measured. Annotations of photographs do not tell it: annotators outline brows
as they are haired, and closed lips at rest say nothing of open ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.point_sigma import PointSigma, load_point_sigma
from backend.evaluation.benchmark import load_ict_head
from backend.observations.point_pairs import TABLE, PairTable
from backend.point_calibration.rendered_heads import Lifted, dev_person, lift, pictures
from backend.point_calibration.sigma import Instrument, Portrait, iod, load_portraits, perturbed
from backend.point_calibration.yaw import LookedUp

F64 = NDArray[np.float64]
PEOPLE = 16

_LIPS = ((81, 178), (311, 402), (0, 17), (37, 84), (267, 314), (39, 181), (269, 405))
_MOUTH_CORNERS = ((61, 291), (61, 0), (291, 0), (61, 17), (291, 17), (61, 13), (291, 13))
_INNER_LIPS = ((13, 14), (82, 87), (312, 317))
_LIDS = tuple(
    pair
    for side in (
        ((159, 145), (158, 153), (160, 144), (161, 163), (157, 154)),
        ((386, 374), (385, 380), (387, 373), (388, 390), (384, 381)),
    )
    for pair in side
)
_BROWS = (
    *((55, 133), (107, 133), (52, 133), (105, 33), (46, 33), (70, 33)),
    *((285, 362), (336, 362), (282, 362), (334, 263), (276, 263), (300, 263)),
)
PAIRS = (*_INNER_LIPS, *_LIPS, *_MOUTH_CORNERS, *_LIDS, *_BROWS)
"""Lips and lids, upper against lower; corners of the mouth against each other and against its middle; brows against the
corner of the eye below."""
LEAST_GAIN = 0.9  # a share above this tells a fit nothing that the points do not

_SKIN = ("face", "head_and_neck")
_TAIL = 0.9


def _both(**strengths: float) -> dict[str, float]:
    """The actions of both sides by their name without one."""
    middle = ("jawOpen", "mouthPucker", "mouthFunnel", "mouthRollLower", "mouthRollUpper")
    return {
        full: value
        for name, value in strengths.items()
        for full in ((name,) if name in middle else (f"{name}_L", f"{name}_R"))
    }


PERFORMED: tuple[Mapping[str, float], ...] = (
    _both(jawOpen=0.35, mouthUpperUp=0.3),  # lips apart: there points are lifted
    {},
    *(_both(jawOpen=value) for value in (0.2, 0.5, 0.8)),
    *(_both(eyeBlink=value) for value in (0.25, 0.5, 0.75, 1.0)),
    _both(eyeWide=0.8),
    *(_both(**{name: 0.8}) for name in ("browDown", "browInnerUp", "browOuterUp")),
    _both(browInnerUp=0.7, browOuterUp=0.7),
    _both(mouthSmile=0.8, cheekSquint=0.5),
    _both(mouthPucker=0.8),
    _both(mouthFunnel=0.8, jawOpen=0.4),
    _both(mouthStretch=0.8),
    _both(mouthRollLower=0.5, mouthRollUpper=0.5),
    _both(mouthUpperUp=0.8, mouthLowerDown=0.8),
    _both(mouthFrown=0.8),
)


def point_errors(archive: Path, mirror: NDArray[np.int64], people: int, yaw: float = 0.0) -> Iterator[F64]:
    """Errors (478,2) of the aligner's points in each picture of ``PERFORMED`` but the first, in inter-ocular distances.

    ``archive`` is ``ict_facekit.npz``; heads are turned by ``yaw`` radians. NaN for points that were lifted to teeth or
    background. Raises UserError where nothing can be rendered.
    """
    ict, table = load_ict_head(archive), LookedUp.of(mirror)
    skin = np.any([ict.groups[name] for name in _SKIN], axis=0)
    aligner, finder = LandmarkAligner(table), BlazeFaceFinder()
    turns = np.tile((yaw, 0.0), (len(PERFORMED), 1))
    for person in range(people):
        spec = dev_person(person, len(PERFORMED))
        lifted: Lifted | None = None
        for vertices, picture in pictures(ict, spec, PERFORMED, turns):
            found = aligner.align([picture], finder.find(picture)[:1] or [None])[0]
            if found is None:
                continue
            points, (_, unit) = found.mu.astype(np.float64), table.asked[-1]
            if lifted is None:
                lifted = lift(ict, spec, vertices, points)
                lifted.weights[~skin[lifted.corners].all(axis=1)] = np.nan
            else:
                yield (points - lifted.seen(vertices)) / unit
    aligner.close()
    finder.close()


def pair_variance(errors: F64, first: NDArray[np.int64], second: NDArray[np.int64]) -> F64:
    """(P,) variance per axis of the pairs' differences, of point errors (n,478,2); NaN pictures do not count."""
    squares = np.square(errors[:, first] - errors[:, second]).sum(axis=-1) / 2
    return np.asarray(np.nanmean(np.minimum(squares, np.nanquantile(squares, _TAIL, axis=0)), axis=0))


def pair_table(variance: F64, pairs: NDArray[np.int64], sigma: PointSigma, about: str) -> PairTable:
    """The table of those of ``pairs (P,2)`` that tell more than their points do; mirrored pairs as one."""
    key = np.sort(np.stack([pairs, sigma.mirror[pairs]]).transpose(1, 0, 2), axis=2)
    names = ["|".join(sorted(map(str, own.tolist()))) for own in key]
    apart = (sigma.sigma_fraction[pairs] ** 2).sum(axis=1)
    share = np.array(
        [np.mean([v / a for v, a, n in zip(variance, apart, names, strict=True) if n == own]) for own in names]
    )
    kept = share < LEAST_GAIN
    return PairTable(pairs[kept, 0], pairs[kept, 1], share[kept], about)


def photographed_variance(portraits: list[Portrait], instrument: Instrument, pairs: NDArray[np.int64]) -> F64:
    """(P,) variance per axis by which pairs move when a portrait is turned, scaled, blurred, darkened, compressed."""
    rng, moved = np.random.default_rng(1), []
    for portrait in portraits:
        for image, affine in perturbed(portrait.image, rng):
            expected = portrait.points @ affine[:, :2].T + affine[:, 2]
            found = instrument.points(image)
            if found is not None:
                moved.append((found[0] - expected) / iod(expected))
    return pair_variance(np.array(moved), *pairs.T)


def main(
    photos: Annotated[Path, typer.Argument(help="Folder of portraits with FRL-189 templates.")],
    archive: Annotated[Path, typer.Argument(help="ict_facekit.npz, of which people are rendered.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    people: Annotated[int, typer.Option(help="Rendered people.")] = PEOPLE,
) -> None:
    """Measure and write the table; prints what it found beside the photographs."""
    sigma, pairs = load_point_sigma(), np.array(PAIRS)
    errors = np.array(list(point_errors(archive, sigma.mirror, people)))
    variance = pair_variance(errors, *pairs.T)
    about = (
        f"{len(errors)} renderings of {people} ICT-FaceKit heads (MIT), dev identities, with expressions; "
        "checked on portraits of training people (webmorphR.stim, CC BY 4.0)"
    )
    table = pair_table(variance, pairs, sigma, about)
    table.save(out)
    instrument = Instrument(sigma.mirror)
    shown = photographed_variance(list(load_portraits(photos, instrument, test=False))[::6], instrument, pairs)
    kept = {(a, b): s for a, b, s in zip(table.first.tolist(), table.second.tolist(), table.share, strict=True)}
    for (a, b), own, repeat in zip(PAIRS, variance, shown, strict=True):
        typer.echo(
            f"{a:3d}-{b:3d}: σ {100 * np.sqrt(own):.2f} %, on photographs at least {100 * np.sqrt(repeat):.2f} %, "
            + (f"share {kept[a, b]:.2f}" if (a, b) in kept else "left out")
        )


if __name__ == "__main__":
    typer.run(main)
