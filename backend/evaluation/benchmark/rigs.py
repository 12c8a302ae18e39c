"""Rigs of the benchmark: one moment of a person, filmed by several cameras under lamps that stand still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.datasets.splits import PEOPLES, People, Split
from backend.evaluation.benchmark.head import EYES, BenchmarkHead, camera_vertices
from backend.evaluation.benchmark.make import TRUTH, benchmark_folder, whole_folder
from backend.evaluation.benchmark.motion import perform
from backend.evaluation.benchmark.scene import Scene, make_scene
from backend.evaluation.benchmark.specs import DEFAULT_SEED, SequenceSpec
from backend.evaluation.benchmark.studio import Studio
from backend.evaluation.benchmark.truth import save_truth
from backend.head_model.render import Light

F64 = NDArray[np.float64]

LAYOUTS: dict[int, tuple[tuple[float, float], ...]] = {
    3: ((0, 0), (-25, 4), (25, 4)),
    8: ((0, 0), (-30, 10), (30, -8), (-55, -6), (55, 8), (-80, 0), (80, 0), (8, 22)),
}
"""Where cameras stand, by their number: azimuth to the subject's left and elevation, degrees."""
SIDE = 768  # pixels; the face is as large as in a picture of a rig, 350 to 450 pixels
RIG_PEOPLE: dict[People, tuple[int, ...]] = {"ict": (2, 6), "makehuman": (0, 7)}
"""Who is filmed, of each split; MakeHuman's second wears glasses."""
MOMENT = 1.2  # seconds into the person's speech
_FOCAL_RANGE = (1.5, 3.0)  # over the image's width: lenses of rigs are not those of telephones
_SPREAD, _ROLL, _DISTANCE = 3.0, 4.0, 0.08
"""By how much cameras stand otherwise than planned: degrees to the side and up, degrees of roll, share of distance."""


@dataclass(frozen=True)
class RigSpec:
    """A rig before it is rendered: ``cameras`` is a key of ``LAYOUTS``. All else follows from who is filmed."""

    split: Split
    people: People
    person: int
    cameras: int
    side: int = SIDE
    seed: int = DEFAULT_SEED

    @property
    def sequence(self) -> SequenceSpec:
        """The sequence that the moment is of."""
        return SequenceSpec(self.split, self.seed, self.person, "speech", 60, side=self.side, people=self.people)

    @property
    def name(self) -> str:
        return f"rig_{self.people}_{self.split}_{self.person:02}_{self.cameras}_{self.side}px"


@dataclass(frozen=True, eq=False)
class RenderedRig:
    """A rendered rig: its stills (C), the truth that ``load_truth_full`` reads, of one frame in the first camera's
    space, ``world_to_camera (C,3,4)`` from there, metres, and ``focal_px``, of all cameras."""

    spec: RigSpec
    stills: tuple[Path, ...]
    truth: Path
    world_to_camera: F64
    focal_px: float


def benchmark_rigs(split: Split, quick: bool = False, peoples: Sequence[People] = PEOPLES) -> list[RigSpec]:
    """The rigs of a split: two people of each of ``peoples`` before three cameras and before eight.

    ``quick``: the first person of each before three.
    """
    count, layouts = (1, (3,)) if quick else (None, tuple(LAYOUTS))
    return [
        RigSpec(split, people, person, cameras)
        for cameras in layouts
        for people in peoples
        for person in RIG_PEOPLE[people][:count]
    ]


def render_rig(spec: RigSpec, head: BenchmarkHead, cache: Path | None = None) -> RenderedRig:
    """Render a rig of ``spec.people``, whose head is ``head``, or find it rendered.

    ``cache`` as in ``render_sequence``. Raises UserError as ``render_sequence`` does.
    """
    folder = benchmark_folder(spec.seed, spec.name, cache)
    scene = rig_scene(spec)
    stills = tuple(folder / f"view_{index:02}.png" for index in range(spec.cameras))
    rig = RenderedRig(spec, stills, folder / TRUTH, rig_cameras(spec, scene), scene.focal_px)
    if not all(path.is_file() for path in (*stills, rig.truth)):
        with whole_folder(folder) as unfinished:
            _render_into(unfinished, rig, head, scene)
    return rig


def rig_scene(spec: RigSpec) -> Scene:
    """The person's scene by a longer lens from further away."""
    scene = make_scene(spec.sequence)
    focal = spec.side * float(np.exp(spec.sequence.random("rig lens").uniform(*np.log(_FOCAL_RANGE))))
    aside, low, distance = scene.place
    return replace(scene, focal_px=focal, place=(aside, low, distance * focal / scene.focal_px))


def rig_cameras(spec: RigSpec, scene: Scene) -> F64:
    """[R | t] (C,3,4) from the first camera's space, metres; all see the face where it rests in the first."""
    random = spec.sequence.random(f"{spec.cameras} cameras")
    angles = np.array(LAYOUTS[spec.cameras], np.float64)
    turns = np.column_stack([angles, np.zeros(len(angles))])
    turns[1:] += random.uniform(-1, 1, turns[1:].shape) * (_SPREAD, _SPREAD, _ROLL)
    nearer = np.exp(random.uniform(-1, 1, len(angles)) * _DISTANCE)
    nearer[0] = 1
    azimuth, elevation, roll = turns.T
    rotation = Rotation.from_euler("ZXY", np.column_stack([roll, elevation, azimuth]), degrees=True).as_matrix()
    face = np.array(scene.place)
    shift = nearer[:, None] * face - rotation @ face
    return np.concatenate([rotation, shift[..., None]], axis=2)


def _render_into(folder: Path, rig: RenderedRig, head: BenchmarkHead, scene: Scene) -> None:
    spec = rig.spec.sequence
    neutral = head.neutral(spec.identity(len(head.identity_basis)))
    face = neutral[head.narrow_face].mean(axis=0).astype(np.float64)
    motion = perform(head, spec, face, np.array(scene.place), np.array([MOMENT]))
    left, right = (head.groups[name] for name in EYES)
    world = camera_vertices(neutral, head.expression_basis, (left, right), head.follows_head, motion)[0]
    with Studio(spec, head, scene, len(rig.stills)) as studio:
        for index, (still, camera) in enumerate(zip(rig.stills, rig.world_to_camera, strict=True)):
            there = (world @ camera[:, :3].T + camera[:, 3]).astype(np.float32)
            picture = studio.picture(there, lights=_seen_from(scene.lights, camera[:, :3]))
            data = cv2.imencode(".png", studio.grained(picture, index)[..., ::-1])[1].tobytes()
            (folder / still.name).write_bytes(data)
    save_truth(
        folder / TRUTH, head, neutral, motion, focal_px=scene.focal_px, side=spec.side, frame_rate=spec.frame_rate
    )


def _seen_from(lights: Sequence[Light], rotation: F64) -> tuple[Light, ...]:
    """Lights that stand still in the world, in the space of a camera turned by ``rotation (3,3)``: skin lit by lamps
    that move with the cameras has its shading match instead of its marks."""
    return tuple(
        Light((float(x), float(y), float(z)), light.color)
        for light in lights
        for x, y, z in (rotation @ np.array(light.direction),)
    )
