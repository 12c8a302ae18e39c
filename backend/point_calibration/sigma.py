"""Measure the σ of MediaPipe's points: ``python -m backend.point_calibration.sigma PHOTOS ICT [--out FILE]``.

PHOTOS is a folder of frontal portraits with FRL-189 landmark templates (``landmarks_frl189.npz``; the Face Research Lab
London set and the Young Adult White Faces set of debruine/webmorphR.stim), ICT the archive of the head that the
benchmark renders (``ict_facekit.npz``). Only people of ``train`` and ``dev`` are measured on (``splits.toml``); the
photographed ones of ``test`` are left for the check at the end.

Four things are measured, each on the aligner as it is used, and each as a fraction of the inter-ocular distance:

1. repeatability: how far a point moves against the face when the picture is turned, scaled, shifted, blurred, darkened,
   brightened, made noisy or compressed, and when the box around the face is off;
2. disagreement of the network with itself on the mirrored crop, halved as the two answers are averaged;
3. meaning: how a point lies, from person to person, against the annotated points around it;
4. turned heads: how far points lifted from a rendered head's frontal picture land from the same points as it turns
   (``yaw.py``).

σ² = 1² + 2² + 3²; 4 gives the growth with yaw, and scaled-down photos the floor in pixels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from backend.alignment.crop import cut
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.face_mesh import (
    LEFT_OUTER_CANTHUS,
    POINTS,
    RIGHT_OUTER_CANTHUS,
    SIZE,
    box_around,
    crop_of,
)
from backend.alignment.landmarks.point_sigma import TABLE, PointSigma
from backend.datasets.splits import split_of_photo
from backend.footage import read_image
from backend.head_model.rigid import similarity_between
from backend.observations import FaceBox

F64 = NDArray[np.float64]
Picture = NDArray[np.uint8]

_PORTRAIT_SETS = ("london_neutral", "london_smiling", "canada")
TURNED_PEOPLE = 16
_PICTURE_IOD = 200.0  # px; photographs are measured at this size, which footage rarely exceeds
_SMALL_IODS = (15.0, 20.0, 30.0, 45.0, 70.0)
# Under hair, or on skin with nothing to see: their spread is the annotator's, not the aligner's.
_HIDDEN_OR_GUESSED = re.compile(r"hair|\bear\b|ear ?lobe|neck|cheekbone|smile line")
_KERNEL = 0.07  # of the inter-ocular distance: how far an annotated point speaks for the mesh around it
_YAW_KNOTS = np.radians([-90.0, -62.0, -50.0, -37.0, -25.0, -12.0, 0.0, 12.0, 25.0, 37.0, 50.0, 62.0, 90.0])


def iod(points: F64) -> float:
    """Distance of the outer eye corners in the image, of points (478,2)."""
    return float(np.linalg.norm(points[LEFT_OUTER_CANTHUS] - points[RIGHT_OUTER_CANTHUS]))


@dataclass(frozen=True, eq=False)
class Portrait:
    """A photograph scaled to a common face size, what the aligner says of it, and its annotated points."""

    file: Path
    image: Picture
    points: F64  # (478,2) px
    box: FaceBox
    annotated: F64 | None  # (189,2) px


class Instrument:
    """The aligner being measured."""

    def __init__(self, mirror: NDArray[np.int64] | None = None) -> None:
        neutral = np.zeros(POINTS)
        knots, factor = np.array([-np.pi / 2, np.pi / 2]), np.ones(2)
        index, nowhere = np.arange(POINTS) if mirror is None else mirror, np.zeros((POINTS, 2))
        self.aligner = LandmarkAligner(
            PointSigma(neutral, knots, factor, factor, neutral, 0.0, index, nowhere, nowhere, "")
        )
        self.finder = BlazeFaceFinder()

    def points(self, image: Picture, box: FaceBox | None = None) -> tuple[F64, FaceBox] | None:
        """Points (478,2) and their box; None where there is no face."""
        boxes = [box] if box is not None else self.finder.find(image)[:1]
        for box in boxes:
            found = self.aligner.align([image], [box])[0]
            if found is not None:
                return found.mu.astype(np.float64), found.box
        return None

    def straight(self, image: Picture) -> F64:
        """The network's own answer (478,2) in pixels, not averaged with the mirrored one."""
        box = self.finder.find(image)[0]
        crop = crop_of(box)
        for _ in range(3):
            points = crop.points_to_image(self.aligner._network([cut(image, crop)])[0][0, :, :2])
            crop = crop_of(box_around(points))
        return points

    def sides(self, image: Picture, points: F64) -> F64:
        """The network's answers (2,478,2) for a crop and its mirror image, not mirrored back."""
        crop = crop_of(box_around(points))
        straight = cut(image, crop)
        network = self.aligner._network
        return network([straight, np.ascontiguousarray(straight[:, ::-1])])[0][..., :2]


def load_portraits(photos: Path, instrument: Instrument, test: bool) -> Iterator[Portrait]:
    """The portraits of the people to measure on, or of those left for the check."""
    with np.load(photos / "landmarks_frl189.npz", allow_pickle=False) as data:
        annotations = dict(zip([str(name) for name in data["image"]], data["points"], strict=True))
    for folder in _PORTRAIT_SETS:
        for file in sorted((photos / folder).glob("*.jpg")):
            if (split_of_photo(file) == "test") != test:
                continue
            image = read_image(file)
            found = instrument.points(image)
            if found is None:
                continue
            scale = _PICTURE_IOD / iod(found[0])
            size = round(image.shape[1] * scale), round(image.shape[0] * scale)
            ratio = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            found = instrument.points(image)
            if found is None:
                continue
            annotated = annotations.get(f"{folder}/{file.name}")
            # Pixel indices of an annotation tool mean pixel centres.
            moved = None if annotated is None else (annotated + 0.5) * ratio
            yield Portrait(file, image, found[0], found[1], moved)


def mirror_index(shapes: F64) -> NDArray[np.int64]:
    """Index (478,) of each point's mirror image, from frontal shapes (P,478,2)."""
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    mean = (centred / np.array([iod(shape) for shape in shapes])[:, None, None]).mean(axis=0)
    cost = np.linalg.norm(mean[:, None] - (mean * (-1, 1))[None], axis=-1)
    index = np.asarray(linear_sum_assignment(np.minimum(cost, 0.3))[1], np.int64)
    if not np.array_equal(index[index], np.arange(POINTS)):
        raise RuntimeError("the mean face is not symmetric enough to pair its points")
    return index


def _similarity(image: Picture, degrees: float, scale: float, shift: tuple[float, float]) -> tuple[Picture, F64]:
    """The picture under a similarity about its centre, and the map (2,3) of corner-based pixel coordinates."""
    height, width = image.shape[:2]
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([width, height]) / 2
    affine = np.column_stack([turn, centre - turn @ centre + shift])
    by_centres = affine.copy()
    by_centres[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    warped = cv2.warpAffine(image, by_centres, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8), affine


def perturbed(image: Picture, rng: np.random.Generator) -> Iterator[tuple[Picture, F64]]:
    """The picture under every perturbation, with the map of its coordinates."""
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    for degrees, scale, shift in ((14, 1, (0, 0)), (-9, 1, (3.3, 0)), (0, 0.55, (0, 0)), (0, 0.8, (-5.7, 2.4))):
        yield _similarity(image, degrees, scale, shift)
    yield np.asarray(cv2.GaussianBlur(image, (0, 0), 0.02 * _PICTURE_IOD), np.uint8), still
    yield np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8), still
    for gamma in (0.5, 2.0):
        yield (255 * (image / 255.0) ** gamma + 0.5).astype(np.uint8), still
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    yield np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8), still


def _boxes(points: F64, rng: np.random.Generator) -> FaceBox:
    """The points' box, off by what a frame's motion or a detector's habit does to it."""
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    off = rng.normal(0, 0.06, 2) * size
    grown = size * rng.uniform(0.9, 1.2)
    left, top = low + off - (grown - size) / 2
    return FaceBox(float(left), float(top), float(grown[0]), float(grown[1]))


def repeatability(portraits: list[Portrait], instrument: Instrument) -> F64:
    """Root mean square displacement (478,) per image axis, as a fraction of the inter-ocular distance."""
    rng = np.random.default_rng(1)
    squares = []
    for portrait in portraits:
        for image, affine in perturbed(portrait.image, rng):
            expected = portrait.points @ affine[:, :2].T + affine[:, 2]
            found = instrument.points(image, _boxes(expected, rng))
            if found is not None:
                squares.append(((found[0] - expected) / iod(expected)) ** 2)
    return np.asarray(np.sqrt(np.mean(squares, axis=(0, 2))))


def self_disagreement(portraits: list[Portrait], instrument: Instrument, mirror: NDArray[np.int64]) -> tuple[F64, F64]:
    """Half the difference between the answers for a mirror image and its crop, in inter-ocular distances.

    Its spread (478,) per axis, and its mean (478,2).
    """
    halves = []
    for portrait in portraits:
        straight, mirrored = instrument.sides(portrait.image, portrait.points)
        back = mirrored[mirror] * (-1, 1) + (SIZE, 0)
        halves.append((back - straight) / 2 / iod(straight))
    mean = np.mean(halves, axis=0)
    spread = np.asarray(halves) - mean
    return np.asarray(np.sqrt(np.mean(spread**2, axis=(0, 2)))), mean


@dataclass(frozen=True, eq=False)
class Meaning:
    """Annotated points expressed through the mesh points around them."""

    place: F64  # (M,2) on the mean face, in inter-ocular distances
    residual: F64  # (P,M,2) per person, about the mean over people, in inter-ocular distances

    def spread(self) -> F64:
        """Standard deviation (M,) per axis; an annotator's rare slip does not count (median absolute deviation)."""
        return np.asarray(1.4826 * np.median(np.abs(self.residual), axis=(0, 2)))


def meaning(portraits: list[Portrait], names: list[str], fitted_on: list[Portrait] | None = None) -> Meaning:
    """Compare the mesh with the annotated points, the mean offset (learnt on ``fitted_on``) taken out."""

    def residuals(people: list[Portrait], mean: F64) -> F64:
        rows = []
        for person in people:
            points, annotated = _on_face(person, mean)
            rows.append(annotated[keep] - mean_place - _local(points - mean))
        return np.asarray(rows)

    def _local(displacement: F64) -> F64:
        return np.asarray(np.einsum("mk,mkc->mc", weights, displacement[near]))

    people = [p for p in portraits if p.annotated is not None]
    learn = [p for p in (fitted_on or portraits) if p.annotated is not None]
    keep = np.array([i for i, name in enumerate(names) if not _HIDDEN_OR_GUESSED.search(name)])
    shapes = np.array([p.points / iod(p.points) for p in learn])
    mean = shapes.mean(axis=0)
    mean -= mean.mean(axis=0)
    mean /= iod(mean)
    posed = np.array([_on_face(p, mean)[1][keep] for p in learn])
    mean_place = np.median(posed, axis=0)
    distance, near = cKDTree(mean).query(mean_place, k=4)
    weights = 1 / (distance + 0.02)
    weights /= weights.sum(axis=1, keepdims=True)
    inside = distance[:, 0] < 0.15
    offset = np.median(residuals(learn, mean), axis=0)
    return Meaning(mean_place[inside], (residuals(people, mean) - offset)[:, inside])


def _on_face(person: Portrait, mean: F64) -> tuple[F64, F64]:
    """Mesh points and annotated points laid onto the mean face, so that place on the face, not in the image, counts."""
    assert person.annotated is not None
    to_face = similarity_between(person.points, mean)
    return to_face.apply(person.points), to_face.apply(person.annotated)


def spread_over_mesh(place: F64, value: F64, mean: F64) -> F64:
    """Root mean square of values at scattered places (M,2), Gaussian-weighted, at every mean face point (478,)."""
    square = ((mean[:, None] - place[None]) ** 2).sum(axis=-1)
    nearest = square.min(axis=1, keepdims=True)
    weights = np.exp(-(square - nearest) / (2 * _KERNEL**2))
    return np.asarray(np.sqrt((weights * value**2).sum(axis=1) / weights.sum(axis=1)))


def pixel_floor(portraits: list[Portrait], instrument: Instrument) -> tuple[float, dict[float, float]]:
    """Pixels added in quadrature on small faces, and the excess (fraction of the distance) at each size."""
    excess: dict[float, float] = {}
    for small in _SMALL_IODS:
        errors = []
        for portrait in portraits:
            scale = small / _PICTURE_IOD
            size = round(portrait.image.shape[1] * scale), round(portrait.image.shape[0] * scale)
            ratio = np.array([size[0] / portrait.image.shape[1], size[1] / portrait.image.shape[0]])
            tiny = np.asarray(cv2.resize(portrait.image, size, interpolation=cv2.INTER_AREA), np.uint8)
            expected = portrait.points * ratio
            low, extent = expected.min(axis=0), np.ptp(expected, axis=0)
            found = instrument.points(tiny, FaceBox(*map(float, (*low, *extent))))
            if found is not None:
                errors.append((found[0] - expected) / small)
        excess[small] = float(np.sqrt(np.mean(np.square(errors))))
    return float(np.median([size * value for size, value in excess.items()])), excess


def load_annotation_names(photos: Path) -> list[str]:
    """The 189 names of the FRL template."""
    definition: dict[str, Any] = json.loads((photos / "frl189_definition.json").read_text(encoding="utf-8"))
    return list(definition["point_names"])


def main(
    photos: Annotated[Path, typer.Argument(help="Folder of portraits with FRL-189 templates.")],
    archive: Annotated[Path, typer.Argument(help="ict_facekit.npz, of which turned heads are rendered.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    every: Annotated[int, typer.Option(help="Measure on every n-th portrait only.")] = 1,
    people: Annotated[int, typer.Option(help="Rendered people whose heads are turned.")] = TURNED_PEOPLE,
) -> None:
    """Measure and write the table; prints what it found and how it holds on the people left out."""
    from backend.point_calibration.yaw import turned_heads, yaw_growth

    files = [file for file in sorted((photos / _PORTRAIT_SETS[0]).glob("*.jpg")) if split_of_photo(file) != "test"]
    unpaired = Instrument()
    mirror = mirror_index(np.array([unpaired.straight(read_image(file)) for file in files]))
    instrument = Instrument(mirror)
    portraits = list(load_portraits(photos, instrument, test=False))[::every]
    names = load_annotation_names(photos)
    repeat = repeatability(portraits, instrument)
    mirrored, apart = self_disagreement(portraits, instrument, mirror)
    meant = meaning(portraits, names)
    shapes = np.array([p.points / iod(p.points) for p in portraits])
    mean = shapes.mean(axis=0) - shapes.mean(axis=(0, 1))
    semantic = spread_over_mesh(meant.place, meant.spread(), mean)
    sigma = np.sqrt(repeat**2 + mirrored**2 + semantic**2)
    sigma = np.sqrt((sigma**2 + sigma[mirror] ** 2) / 2)
    lateral = (mean[:, 0] - mean[mirror, 0]) / 2
    lateral /= np.abs(lateral).max()
    floor, excess = pixel_floor(portraits[::4], instrument)
    turned = list(turned_heads(archive, mirror, people))
    side, middle = yaw_growth(turned, sigma, lateral, _YAW_KNOTS)
    about = (
        f"MediaPipe's 256² landmark network and its iris network; {len(portraits)} portraits of "
        f"{len({p.file.stem[:3] for p in portraits})} people "
        f"(webmorphR.stim, CC BY 4.0), {len(turned)} renderings of turned ICT-FaceKit heads (MIT); train and dev only"
    )
    PointSigma(
        sigma, _YAW_KNOTS, side, middle, lateral, floor, mirror, -(apart - apart[mirror] * (-1, 1)) / 2, mean, about
    ).save(out)

    held_out = meaning(list(load_portraits(photos, instrument, test=True)), names, portraits)
    predicted = spread_over_mesh(mean, sigma, held_out.place)
    ratio = held_out.spread() / predicted
    for label, value in (("repeatability", repeat), ("mirror", mirrored), ("meaning", semantic), ("sigma", sigma)):
        low, mid, high = 100 * np.percentile(value, [5, 50, 95])
        typer.echo(f"{label:14s} {low:.2f} / {mid:.2f} / {high:.2f} % of the inter-ocular distance (5, 50, 95 %)")
    typer.echo(
        f"small faces: {', '.join(f'{s:g} px {100 * e:.2f} %' for s, e in excess.items())}; floor {floor:.3f} px"
    )
    for label, factor in (("side", side), ("middle", middle)):
        steps = (f"{np.degrees(yaw):.0f}° × {value:.2f}" for yaw, value in zip(_YAW_KNOTS, factor, strict=True))
        typer.echo(f"yaw, {label}: {', '.join(steps)}")
    typer.echo(f"people left out: annotated spread / σ = {np.median(ratio):.2f} (median), {np.mean(ratio):.2f} (mean)")


if __name__ == "__main__":
    typer.run(main)
