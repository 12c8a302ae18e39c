"""Our tracker on Multiface's pictures: one camera of which nothing is told, or several calibrated ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.finder import face_finder
from backend.alignment.registry import find_aligner
from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.multiface.choose import Chosen
from backend.evaluation.challenges.multiface.layout import RATE, KrtCamera, Subject, steps
from backend.evaluation.challenges.multiface.topology import Topology, carried_over, view_angles
from backend.evaluation.challenges.multiface.truth import true_sequence
from backend.evaluation.metrics.chamfer import keypoints7
from backend.evaluation.trackers.flowface import FlowFace, fitted_mesh
from backend.evaluation.types import MeshSequence
from backend.files import file_name
from backend.fitting import KnownCamera, View
from backend.footage import open_footage, probe
from backend.head_model.library import load_head
from backend.observations import ViewAlignment
from backend.observations.io import load_alignment, save_alignment
from backend.solving import solve_take

F64 = NDArray[np.float64]

Protocol = Literal["single", "sequence", "views"]
"""Each frame by itself or all together (the halves of seeds/001 table 2), or all of several cameras."""

CAMERAS_TRIED = 12
"""Cameras, evenly chosen among a segment's, that are looked through for a frontal one."""
FRONTAL = 15.0
"""Degrees from the front that are frontal enough to stop looking."""


def image_size(chosen: Chosen) -> tuple[int, int]:
    """Width and height of a sequence's pictures. Raises UserError as reading pictures does."""
    info = probe(chosen.subject.pictures(chosen.segment, chosen.cameras[0])[chosen.frames[0]])
    return info.width, info.height


def track(chosen: Chosen, tracker: FlowFace, protocol: Protocol, kept: Path | None) -> MeshSequence:
    """The head in the first camera's space in every frame of a sequence; ``kept`` is a folder for alignments.

    Raises UserError ``no_face`` where no camera shows one.
    """
    head = load_head(tracker.head_name)
    if protocol == "views":
        return _track_views(chosen, tracker, kept)
    observed = observe(chosen, chosen.cameras[0], tracker, kept)
    if not observed.tells_pose.any():
        raise UserError(ErrorCode.NO_FACE, f"No face was found in {' '.join(chosen.key)}.")
    if protocol == "single":
        return tracker.each_alone(head, observed)
    return fitted_mesh(head, solve_take(head, [View(observed)]).fit, observed)


def _track_views(chosen: Chosen, tracker: FlowFace, kept: Path | None) -> MeshSequence:
    """All cameras with their calibration; the world is the first one's space."""
    head, first = load_head(tracker.head_name), chosen.subject.cameras[chosen.cameras[0]]
    seen = []
    for name in chosen.cameras:
        try:
            observed = observe(chosen, name, tracker, kept)
        except UserError as error:
            if error.code != ErrorCode.NO_FACE:
                raise
            continue
        if observed.tells_pose.any():
            seen.append(View(observed, known_camera(chosen.subject.cameras[name], first)))
    if not seen:
        raise UserError(ErrorCode.NO_FACE, f"No face was found in {' '.join(chosen.key)}.")
    found = fitted_mesh(head, solve_take(head, seen).fit, seen[0].alignment)
    return _as_seen_by(first, found, image_size(chosen))


def _as_seen_by(camera: KrtCamera, mesh: MeshSequence, size: tuple[int, int]) -> MeshSequence:
    """A mesh in a known camera's space, whichever view was fitted first."""
    return MeshSequence(
        vertices=mesh.vertices,
        triangles=mesh.triangles,
        focal_px=np.full(mesh.frame_count, camera.intrinsic[0, 0]),
        principal_point=camera.intrinsic[:2, 2].copy(),
        image_size=size,
        frame_rate=mesh.frame_rate,
        tracked=mesh.tracked,
        neutral=mesh.neutral,
        landmarks68=mesh.landmarks68,
    )


def known_camera(camera: KrtCamera, world: KrtCamera) -> KnownCamera:
    """A calibrated camera as a fit takes it, in the space of ``world``'s camera."""
    turn = camera.extrinsic[:, :3] @ world.extrinsic[:, :3].T
    shift = camera.extrinsic[:, 3] - turn @ world.extrinsic[:, 3]
    k = camera.intrinsic
    return KnownCamera(
        focal_px=float(k[0, 0]),
        principal_point=(float(k[0, 2]), float(k[1, 2])),
        world_to_camera=np.concatenate([turn, shift[:, None]], axis=1),
    )


def observe(chosen: Chosen, camera: str, tracker: FlowFace, kept: Path | None) -> ViewAlignment:
    """What the tracker's aligner sees of a sequence in a camera. Raises UserError ``no_face``."""
    pictures = chosen.subject.pictures(chosen.segment, camera)
    files = [pictures[frame] for frame in chosen.frames]
    place = None
    if kept is not None:
        told = (*Chosen(chosen.subject, chosen.segment, (camera,), chosen.frames).key, tracker.name, *tracker.made_by)
        place = kept / f"{file_name('_'.join(told))}.npz"
    if place is not None and place.is_file():
        return load_alignment(place)
    numbers = [int(step) + 1 for step in steps(chosen.frames)]
    footage = open_footage(files[0], sequence_rate=RATE, files=files, numbers=numbers)
    aligner = find_aligner(tracker.aligner, load_head(tracker.head_name), tracker.weights)
    observed = align_footage(footage, aligner, FaceChoice.largest(), finder=face_finder())
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        save_alignment(observed, place)
    return observed


def find_topology(subjects: Sequence[Subject], tracker: FlowFace) -> Topology:
    """The meshes' topology, from our head in the most frontal picture of a neutral face.

    Raises UserError ``no_face`` where no subject's pictures give one.
    """
    for subject in subjects:
        found: tuple[float, Topology] | None = None
        for still in _stills(subject):
            told = _by_still(still, tracker)
            if told is not None and (found is None or told[0] < found[0]):
                found = told
            if found is not None and found[0] <= FRONTAL:
                break
        if found is not None:
            return found[1]
    raise UserError(
        ErrorCode.NO_FACE,
        "No picture shows a face from the front by which the meshes' regions could be told.",
        "Give the vertices with --topology.",
    )


def _stills(subject: Subject) -> Iterator[Chosen]:
    """The first frame of a neutral segment, if there is one, in every few of its cameras."""
    for segment in sorted(subject.segments, key=lambda name: "neutral" not in name.lower())[:1]:
        cameras = subject.cameras_of(segment)
        for index in np.unique(np.linspace(0, len(cameras) - 1, min(CAMERAS_TRIED, len(cameras))).round().astype(int)):
            frames = subject.frames(segment, [cameras[index]])
            if frames:
                yield Chosen(subject, segment, (cameras[index],), (frames[0],))


def _by_still(still: Chosen, tracker: FlowFace) -> tuple[float, Topology] | None:
    """By how many degrees a still's face is seen from aside, and the topology by it; None without either."""
    camera = still.subject.cameras[still.cameras[0]]
    try:
        observed = observe(still, still.cameras[0], tracker, None)
    except UserError as error:
        if error.code != ErrorCode.NO_FACE:
            raise
        return None
    if not observed.tells_pose.any():
        return None
    head = load_head(tracker.head_name)
    ours = fitted_mesh(head, solve_take(head, [View(observed, known_camera(camera, camera))]).fit, observed)
    angles = view_angles(keypoints7(ours, 0), np.zeros(3))
    topology = carried_over(head, ours, true_sequence(still, ours.image_size, None).seen)
    return None if topology is None else (float(np.hypot(*angles)), topology)
