"""The coarse regressor beside the solver's first guess and its fit of a single picture, on people held out.

The fit is of the picture's points alone, without the neutral that a solve learns from them, with the camera known: only
where it starts differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from backend.alignment.crop import Crop
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_mesh import box_around
from backend.fitting import FitOptions, Solution, View, fit_take
from backend.fitting.first_guess import initial_poses
from backend.fitting.prepare import prepare
from backend.fitting.types import FittedCamera, KnownCamera
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.observations import AlignedFrame, ViewAlignment
from backend.training.augmentation.sample import warp
from backend.training.coarse.config import CoarseConfig
from backend.training.coarse.framed import crop_turn, head_place
from backend.training.coarse.known import Known, rigid
from backend.training.coarse.loop import teller, whole_pool
from backend.training.coarse.network import CROP, CoarseNetwork, FrozenTrunk
from backend.training.coarse.surface import CoarseSurface, Coefficients, in_crop, special_pairs
from backend.training.coarse.weights import load_coarse
from backend.training.data.shards import Shard
from backend.training.data.sources import real_shard
from backend.training.samples import NOMINAL, Sample

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

KINDS = ("plain", "dark", "blurred", "half hidden")
WAYS = ("first guess", "coarse", "fit", "fit from coarse")
TURNED = 30.0  # degrees of yaw from which on a picture counts as turned, too
DARK, GRAIN = 0.13, 6.0  # factor and noise (grey levels) of a dark picture
FAR_AWAY = 100.0  # focal length over the side of a real picture, whose camera nobody knows: no perspective
SMEAR, DEFOCUS = 12, 2.5  # pixels of a picture of 288 by which it is smeared; sigma of what blurs it besides


@dataclass(frozen=True)
class Miss:
    """By how much one way misses one picture.

    ``shape_mm`` the mean distance of the face's skin once laid on the true one rigidly; ``turn_deg`` of the head's
    rotation; ``place_px`` of the skin in the picture, in pixels of a crop of 192; ``gaps_mm`` of lips and lids;
    ``actions`` the mean difference of strengths.
    """

    shape_mm: float
    turn_deg: float
    place_px: float
    gaps_mm: float
    actions: float


@dataclass(frozen=True)
class Looked:
    """A picture looked at in one ``kind`` of light: its ``yaw`` (degrees) and each way's ``Miss``.

    ``found`` is whether the aligner found a face; without, only the regressor answers. ``energies`` and ``iterations``
    are of the fit from the first guess and from the regressor's answer.
    """

    kind: str
    yaw: float
    found: bool
    misses: Mapping[str, Miss]
    energies: tuple[float, float] | None = None
    iterations: tuple[int, int] | None = None


@dataclass(frozen=True)
class RealMiss:
    """By how much a real picture's labels are missed, pixels of a crop of 192: the weighted mean over their points."""

    first_guess_px: float
    coarse_px: float


class Judge:
    """Looks at held-out pictures, rendered ones whose truth is known and real ones with labels."""

    def __init__(self, head: HeadModel, network: CoarseNetwork) -> None:
        self._head, self._network, self._trunk = head, network, FrozenTrunk()
        self._aligner = LandmarkAligner()
        self._face = np.flatnonzero(head.regions["face"] & head.regions["skin"])
        self._pairs = special_pairs()
        self._surface = CoarseSurface(head, network.sizes[0])

    def close(self) -> None:
        """Give back what is held."""
        self._aligner.close()

    def look(self, sample: Sample, known: Known, kind: str, rng: np.random.Generator) -> Looked:
        """At one picture; aligner and regressor are both shown where the face is."""
        picture = worsened(sample.image, kind, rng)
        coarse = self._coarse(picture, sample.crop, known)
        misses = {"coarse": self.miss(coarse, known)}
        yaw = float(np.degrees(np.arctan2(known.rotation[0, 2], -known.rotation[2, 2])))
        box = box_around(sample.mu[self._head.vertex_count :].astype(np.float64))
        seen = self._aligner.align([picture], [box])[0]
        if seen is None:
            return Looked(kind, yaw, False, misses)
        height, width = picture.shape[:2]
        observed = ViewAlignment.stacked(
            [AlignedFrame(1, 0.0, 1.0, seen)],
            self._aligner.point_sets,
            aligner="mediapipe",
            image_size=(width, height),
            frame_rate=30.0,
        )
        camera = known.camera
        views = [View(observed, KnownCamera(focal_px=camera.focal_px, principal_point=camera.principal_point))]
        fits = [fit_take(self._head, views, initial=start) for start in (None, coarse)]
        misses |= {
            "first guess": self.miss(self._first_guess(views, known), known),
            "fit": self.miss(fits[0], known),
            "fit from coarse": self.miss(fits[1], known),
        }
        energies = fits[0].energy[-1], fits[1].energy[-1]
        return Looked(kind, yaw, True, misses, energies, (fits[0].iterations, fits[1].iterations))

    def _first_guess(self, views: list[View], known: Known) -> Solution:
        take = prepare(self._head, views, FitOptions())
        start = take.start
        return self._solution(
            np.zeros(0),
            start.expression[0].numpy(),
            start.gaze[0].numpy().reshape(2, 2),
            start.rotation[0].numpy(),
            start.translation[0].numpy() + take.origin,
            known,
        )

    def _coarse(self, picture: Image, crop: Crop, known: Known) -> Solution:
        told = self._told(picture, crop)
        turn = crop_turn(crop, known.camera)
        place = head_place(float(told.scale), told.shift[0].double().numpy(), crop, known.camera, turn)
        numbers = (told.identity, told.expression, told.gaze)
        identity, expression, gaze = (part[0].double().numpy() for part in numbers)
        return self._solution(identity, expression, gaze, turn.T @ told.rotation[0].double().numpy(), place, known)

    def _told(self, picture: Image, crop: Crop) -> Coefficients:
        shown = warp(picture, replace(crop, size=CROP), cv2.BORDER_REPLICATE)
        with torch.no_grad():
            told: Coefficients = self._network(self._trunk(torch.from_numpy(shown).permute(2, 0, 1)[None]))
        return told

    def look_at_real(self, sample: Sample) -> RealMiss:
        """At a real picture. The first guess is the mean head, laid on the very labels that it is compared with."""
        labels = slice(self._head.vertex_count, None)
        mu, weight = sample.mu[labels].astype(np.float64), sample.weight[labels].astype(np.float64)
        side = sample.crop.side / NOMINAL
        told = self._told(sample.image, sample.crop)
        with torch.no_grad():
            units = in_crop(self._surface.landmarks(self._surface.posed(told)), told)[0, :, :2].double().numpy()
        crop = replace(sample.crop, size=NOMINAL)
        coarse = np.linalg.norm((units + 1) * NOMINAL / 2 - crop.points_from_image(mu), axis=1)
        head = self._head
        mean = surface_positions(head.landmarks["mediapipe478"], head.triangles, head.template).astype(np.float64)
        focal = FAR_AWAY * len(sample.image)
        turn, place = initial_poses(mean, mu[None], weight[None], focal, (0.0, 0.0))
        seen = mean @ turn[0].T + place[0]
        guess = np.linalg.norm(focal * seen[:, :2] / seen[:, 2:] - mu, axis=1) / side
        return RealMiss(float(np.average(guess, weights=weight)), float(np.average(coarse, weights=weight)))

    def _solution(self, identity: F64, expression: F64, gaze: F64, turn: F64, place: F64, known: Known) -> Solution:
        camera = FittedCamera(known.camera.focal_px, known.camera.principal_point, np.eye(3, 4))
        whole = np.zeros(len(self._head.shape_basis))
        whole[: len(identity)] = identity
        nothing = np.zeros((self._head.vertex_count, 3))
        return Solution(whole, nothing, expression[None], turn[None], place[None], gaze[None], (camera,))

    def miss(self, told: Solution, known: Known) -> Miss:
        """By how much a solution of one frame, in the camera's space, misses the truth."""
        head = self._head
        shape = head.neutral(told.identity) + np.einsum("k,kvc->vc", told.expression[0], head.expression_basis)
        shape = shape.astype(np.float64)
        skin = self._face[known.sure[self._face]]
        placed, true = shape[skin] @ told.head_rotation[0].T + told.head_translation[0], known.vertices[skin]
        turn, shift = rigid(placed, true)
        apart = np.linalg.norm(placed @ turn.T + shift - true, axis=1)
        between = told.head_rotation[0].T @ known.rotation
        camera = known.camera
        pixels = np.linalg.norm(camera.project(placed) - camera.project(true), axis=1)
        return Miss(
            shape_mm=float(1e3 * apart.mean()),
            turn_deg=float(np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))),
            place_px=float(pixels.mean()),
            gaps_mm=float(1e3 * np.abs(self._gaps(shape) - self._gaps(known.vertices)).mean()),
            actions=float(np.abs(told.expression[0] - known.expression).mean()),
        )

    def _gaps(self, vertices: F64) -> F64:
        points = surface_positions(self._head.landmarks["mediapipe478"], self._head.triangles, vertices)
        return np.asarray(np.linalg.norm(points[self._pairs[:, 0]] - points[self._pairs[:, 1]], axis=1))


def worsened(picture: Image, kind: str, rng: np.random.Generator) -> Image:
    """A picture (S,S,3) as one of ``KINDS``."""
    size = len(picture)
    if kind == "dark":
        dark = picture * DARK + rng.normal(0, GRAIN, picture.shape)
        return np.asarray(np.clip(dark, 0, 255), np.uint8)
    if kind == "blurred":
        line = np.zeros((2 * SMEAR + 1, 2 * SMEAR + 1), np.float32)
        line[SMEAR] = 1
        turn = cv2.getRotationMatrix2D((SMEAR, SMEAR), rng.uniform(0, 180), 1)
        line = cv2.warpAffine(line, turn, line.shape)
        soft = cv2.GaussianBlur(picture, (0, 0), DEFOCUS)
        return np.asarray(cv2.filter2D(soft, -1, line / line.sum()), np.uint8)
    if kind == "half hidden":
        hidden, half, side = picture.copy(), size // 2, int(rng.integers(4))
        low, high, whole = slice(None, half), slice(half, None), slice(None)
        parts = [(low, whole), (high, whole), (whole, low), (whole, high)]
        part = parts[side]
        hidden[part] = np.clip(rng.integers(40, 200, 3) + rng.normal(0, 12, hidden[part].shape), 0, 255)
        return hidden
    return picture


def measure(
    weights: Path, data: Path, pool: Path, config: CoarseConfig, count: int = 0
) -> Iterator[tuple[int, Looked]]:
    """Held-out rendered pictures, ``count`` of them or all (0), in every one of ``KINDS``, and how many looks it takes.

    Raises UserError ``no_pool``, and as reading weights and pool does.
    """
    network = load_coarse(weights)
    held_out = whole_pool(pool, config, "dev")
    shard, path = held_out.shard(0), held_out.path(0)
    head = load_head("open")
    tell = teller(data, pool, config, head, held_out)
    judge = Judge(head, network)
    try:
        pictures = min(count or len(shard), len(shard))
        for index in range(pictures):
            sample = shard[index]
            known = tell(index, sample, path)
            for number, kind in enumerate(KINDS):
                looked = judge.look(sample, known, kind, np.random.default_rng([index, number]))
                yield pictures * len(KINDS), looked
    finally:
        judge.close()


def measure_real(weights: Path, pool: Path) -> list[RealMiss]:
    """The real pictures of people held out, none where the pool has none. Raises UserError as ``measure`` does."""
    path = real_shard(pool, "dev")
    if not path.is_dir():
        return []
    shard, judge = Shard(path), Judge(load_head("open"), load_coarse(weights))
    try:
        return [judge.look_at_real(shard[index]) for index in range(len(shard))]
    finally:
        judge.close()


def real_sentence(missed: list[RealMiss]) -> str:
    """What was found on real people, in words."""
    guess, coarse = (np.mean([getattr(m, name) for m in missed]) for name in ("first_guess_px", "coarse_px"))
    return (
        f"{len(missed)} real pictures of people held out, by how many pixels of a crop of {NOMINAL} MediaPipe's points "
        f"are missed: first guess {guess:.2f}, coarse {coarse:.2f}"
    )


def coarse_table(looked: Iterable[Looked]) -> Table:
    """Means by kind and way over pictures in which the aligner found a face, and the regressor's of the others."""
    rows = list(looked)
    table = Table(
        title="held-out rendered people, one picture at a time",
        title_justify="left",
        caption="shape: of the skin, laid on the truth; place: in pixels of a crop of 192; gaps: lips and lids; "
        "E: pictures whose fit from the regressor's answer ends more than 1 % lower : higher than from the first guess",
        caption_justify="left",
    )
    for column in ("pictures", "way"):
        table.add_column(column)
    for column in ("n", "shape mm", "turn °", "place px", "gaps mm", "actions", "iterations", "E"):
        table.add_column(column, justify="right")
    for kind in KINDS:
        own = [row for row in rows if row.kind == kind]
        turned = [row for row in own if abs(row.yaw) >= TURNED]
        for name, part in ((kind, own), (f"{kind}, turned {TURNED:.0f}°", turned)):
            found = [row for row in part if row.found]
            for way in WAYS if found else ():
                table.add_row(name, way, *_figures(found, way))
            if lost := [row for row in part if not row.found]:
                table.add_row(f"{name}, lost", "coarse", *_figures(lost, "coarse"))
    return table


def _figures(rows: list[Looked], way: str) -> list[str]:
    misses = [row.misses[way] for row in rows]
    names = {"shape_mm": 2, "turn_deg": 1, "place_px": 2, "gaps_mm": 2, "actions": 3}
    told = [str(len(rows)), *(f"{np.mean([getattr(m, name) for m in misses]):.{n}f}" for name, n in names.items())]
    if way in ("fit", "fit from coarse"):
        which = ("fit", "fit from coarse").index(way)
        told.append(f"{np.mean([row.iterations[which] for row in rows if row.iterations]):.1f}")
    if way == "fit from coarse":
        ratio = np.array([row.energies[1] / row.energies[0] for row in rows if row.energies])
        told.append(f"{int((ratio < 0.99).sum())} : {int((ratio > 1.01).sum())}")
    return told
