"""Photographs of the benchmark: stills of one person at different moments, from different sides, by different lenses.

What a rig is not: no two are of one moment, and lens, picture size, light and background of each are its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.datasets.splits import People, Split
from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark.head import EYES, BenchmarkHead, FaceMotion, camera_vertices
from backend.evaluation.benchmark.make import TRUTH, benchmark_folder, whole_folder
from backend.evaluation.benchmark.motion import perform
from backend.evaluation.benchmark.regions import region_masks
from backend.evaluation.benchmark.scene import FACE_HEIGHT, make_scene
from backend.evaluation.benchmark.specs import DEFAULT_SEED, SequenceSpec
from backend.evaluation.benchmark.studio import Studio
from backend.files import read_npz, write_npz

F64 = NDArray[np.float64]

SIDES_OF_FACE: tuple[tuple[float, float], ...] = (
    (0, 0),
    (-30, 5),
    (35, -4),
    (-60, 0),
    (15, 18),
    (60, 6),
    (-15, -15),
    (0, 4),
    (-45, 10),
    (25, 12),
)
"""Azimuth to the subject's left and elevation of the stills, degrees, in this order."""
PICTURE_SIDES = (640, 900, 768, 1100)  # pixels
FOCAL_RANGE = (0.8, 3.5)  # over the picture's side: a telephone's to a portrait lens
SHARE = (0.4, 0.6)  # of the picture's height that the face takes up
_SPREAD, _ROLL = 4.0, 8.0  # degrees by which heads are turned otherwise than planned
MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class PhotographsSpec:
    """Photographs before they are rendered; all else follows from who is photographed.

    ``loudness`` is how strong their expressions are, 0 neutral; every third still is neutral in any case.
    """

    split: Split
    people: People
    person: int
    count: int = 10
    loudness: float = 1.0
    scale: float = 1.0
    seed: int = DEFAULT_SEED

    @property
    def sequence(self) -> SequenceSpec:
        """The sequence whose person it is."""
        return SequenceSpec(self.split, self.seed, self.person, "speech", 60, people=self.people)

    @property
    def name(self) -> str:
        return f"photographs_{self.people}_{self.split}_{self.person:02}_{self.count}_{self.loudness:g}_{self.scale:g}"


@dataclass(frozen=True, eq=False)
class RenderedPhotographs:
    """Rendered photographs: their files (C), ``focal_px (C,)``, ``head_to_camera (C,3,4)`` = [R | t] metres, and the
    person's neutral head ``neutral (V,3)``, metres, with its ``triangles``, its ``face (V,)`` and its iBUG-68 points
    ``landmarks (68,3)``; ``expression (C,K)`` is how strong each still's are."""

    spec: PhotographsSpec
    stills: tuple[Path, ...]
    focal_px: F64
    head_to_camera: F64
    expression: F64
    neutral: F64
    triangles: NDArray[np.int32]
    face: NDArray[np.bool_]
    landmarks: F64


def render_photographs(spec: PhotographsSpec, head: BenchmarkHead, cache: Path | None = None) -> RenderedPhotographs:
    """Render photographs of a person whose head is ``head``, or find them rendered.

    Raises UserError as ``render_sequence`` does, and ``bad_file`` for a damaged truth.
    """
    folder = benchmark_folder(spec.seed, spec.name, cache)
    stills = tuple(folder / f"still_{index:02}.png" for index in range(spec.count))
    if not all(path.is_file() for path in (*stills, folder / TRUTH)):
        with whole_folder(folder) as unfinished:
            _render_into(unfinished, spec, head, [still.name for still in stills])
    arrays = read_npz(folder / TRUTH, "benchmark truth", MAX_BYTES)
    try:
        return RenderedPhotographs(spec, stills, **arrays)
    except TypeError as error:
        sentence = f"{folder / TRUTH} is not the truth of photographs: {error}."
        raise UserError(ErrorCode.BAD_FILE, sentence, "Delete its folder; it is made anew.") from error


def _render_into(folder: Path, spec: PhotographsSpec, head: BenchmarkHead, names: list[str]) -> None:
    neutral = head.neutral(spec.sequence.identity(len(head.identity_basis)))
    focal, posed, expressions = [], [], []
    for index, name in enumerate(names):
        motion, focal_px, side, random = _still(spec, head, neutral, index)
        left, right = (head.groups[eye] for eye in EYES)
        there = camera_vertices(neutral, head.expression_basis, (left, right), head.follows_head, motion)[0]
        sequence = replace(spec.sequence, side=side)
        lit = make_scene(replace(sequence, seed=spec.seed + 1 + index))
        with Studio(sequence, head, replace(lit, focal_px=focal_px), 1) as studio:
            picture = studio.grained(studio.picture(there), 0)
        exposed = np.clip(picture * float(np.exp(random.uniform(-0.2, 0.2))), 0, 255).astype(np.uint8)
        (folder / name).write_bytes(cv2.imencode(".png", exposed[..., ::-1])[1].tobytes())
        focal.append(focal_px)
        posed.append(np.concatenate([motion.rotation[0], motion.translation[0][:, None]], axis=1))
        expressions.append(motion.expression[0])
    marks = head.landmarks68
    points = np.einsum("nk,nkc->nc", marks.barycentric, neutral[head.triangles[marks.triangle]])
    arrays: dict[str, NDArray[Any]] = {
        "focal_px": np.array(focal),
        "head_to_camera": np.stack(posed),
        "expression": np.stack(expressions).astype(np.float64),
        "neutral": neutral.astype(np.float64),
        "triangles": head.triangles,
        "face": region_masks(head)["face"],
        "landmarks": points.astype(np.float64),
    }
    write_npz(folder / TRUTH, arrays)


def _still(
    spec: PhotographsSpec, head: BenchmarkHead, neutral: NDArray[np.float32], index: int
) -> tuple[FaceMotion, float, int, np.random.Generator]:
    """What the head does in a still, before which lens, in how large a picture, and what else is drawn."""
    random = spec.sequence.random(f"photograph {index}")
    side = round(spec.scale * PICTURE_SIDES[index % len(PICTURE_SIDES)])
    focal = side * float(np.exp(random.uniform(*np.log(FOCAL_RANGE))))
    distance = focal * FACE_HEIGHT / (random.uniform(*SHARE) * side)
    face = neutral[head.narrow_face].mean(axis=0).astype(np.float64)
    aside, low = random.uniform(-0.1, 0.1), random.uniform(-0.05, 0.1)
    place = distance * np.array([aside * side / focal, low * side / focal, 1.0])
    acting = replace(spec.sequence, performance="extreme" if index % 3 == 1 else "speech")
    motion = perform(head, acting, face, place, np.array([random.uniform(0.2, 2.0)]))
    loudness = 0.0 if index % 3 == 0 else spec.loudness
    azimuth, elevation = SIDES_OF_FACE[index % len(SIDES_OF_FACE)]
    drawn = random.uniform(-1, 1, 3) * (_SPREAD, _SPREAD, _ROLL)
    angles = np.array([azimuth + drawn[0], elevation + drawn[1], drawn[2]])
    turn = Rotation.from_euler("ZXY", angles[[2, 1, 0]], degrees=True).as_matrix()
    rotation = turn @ motion.trunk_rotation
    shift = place - rotation @ face
    return (
        replace(
            motion,
            expression=(motion.expression * np.float32(loudness)),
            rotation=rotation[None],
            translation=shift[None],
            trunk_rotation=rotation,
            trunk_translation=shift,
        ),
        focal,
        side,
        random,
    )
