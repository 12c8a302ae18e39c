"""The true meshes of a sequence, as the measures take them, on an even timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.multiface.choose import Chosen
from backend.evaluation.challenges.multiface.layout import HINT, RATE, KrtCamera, in_camera, steps, triangles_of
from backend.evaluation.challenges.multiface.topology import Topology
from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrueSequence:
    """``shape`` has its true form, metres, camera space; ``seen`` is squeezed so that one focal length projects it to
    where the camera sees it, whose pixels need not be square. Frames between those there are are not tracked."""

    shape: MeshSequence
    seen: MeshSequence


def true_sequence(chosen: Chosen, image_size: tuple[int, int], topology: Topology | None) -> TrueSequence:
    """A sequence in its first camera; without regions and key points where the topology is not known yet.

    Raises UserError ``bad_file`` where a mesh, or the topology, is of another mesh than the segment's OBJ.
    """
    camera = chosen.subject.cameras[chosen.cameras[0]]
    triangles = triangles_of(chosen.subject.mesh_folder(chosen.segment))
    frames = [in_camera(chosen.subject, chosen.segment, frame, camera) for frame in chosen.frames]
    count = len(frames[0])
    for frame, vertices in zip(chosen.frames, frames, strict=True):
        if len(vertices) != count or int(triangles.max()) >= count:
            where = chosen.subject.mesh_folder(chosen.segment) / frame
            raise UserError(
                ErrorCode.BAD_FILE, f"The mesh {where} has {len(vertices)} vertices, unlike its segment's others.", HINT
            )
    if topology is not None:
        _require_fitting(topology, triangles, count)
    places = steps(chosen.frames)
    shape = on_timeline(
        MeshSequence(
            vertices=np.array(frames, np.float32),
            triangles=triangles,
            focal_px=np.full(len(frames), camera.intrinsic[0, 0]),
            principal_point=camera.intrinsic[:2, 2].copy(),
            image_size=image_size,
            frame_rate=RATE,
            tracked=np.ones(len(frames), bool),
            regions={} if topology is None else topology.masks(count),
            landmarks68=None if topology is None else topology.landmarks68(triangles),
        ),
        places,
    )
    return TrueSequence(shape, replace(shape, vertices=(shape.vertices @ _squeeze(camera).T).astype(np.float32)))


def _squeeze(camera: KrtCamera) -> F64:
    """(3,3) what the camera does beyond a pinhole of focal length K₀₀ and the same principal point."""
    k = camera.intrinsic
    ideal = np.array([[k[0, 0], 0, k[0, 2]], [0, k[0, 0], k[1, 2]], [0, 0, 1]])
    return np.asarray(np.linalg.solve(ideal, k))


def _require_fitting(topology: Topology, triangles: NDArray[np.int32], count: int) -> None:
    if topology.highest >= count or not np.isin(topology.keypoints, triangles).all():
        raise UserError(
            ErrorCode.BAD_FILE,
            f"The topology names vertex {topology.highest}, or a key point of no triangle; the meshes have {count} "
            "vertices.",
            "Give the vertices of Multiface's own mesh with --topology.",
        )


def on_timeline(mesh: MeshSequence, places: NDArray[np.intp]) -> MeshSequence:
    """A sequence's frames at ``places`` of a timeline; the others are NaN and not tracked."""
    total = int(places[-1]) + 1
    vertices = np.full((total, *mesh.vertices.shape[1:]), np.nan, np.float32)
    focal, tracked = np.full(total, float(mesh.focal_px[0])), np.zeros(total, bool)
    vertices[places], focal[places], tracked[places] = mesh.vertices, mesh.focal_px, mesh.tracked
    return replace(mesh, vertices=vertices, focal_px=focal, tracked=tracked)
