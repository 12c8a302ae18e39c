"""Heads made of photographs against the truth: rendered people, a scan, and a face at distances that are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from backend.datasets.splits import People, Split, split_of_photo, split_of_scan
from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark import benchmark_head
from backend.evaluation.benchmark.photographs import PhotographsSpec, RenderedPhotographs, render_photographs
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7, align_to_scan
from backend.evaluation.real_data import SCAN, ZOOM_CENTIMETRES
from backend.evaluation.rig import TrueFace
from backend.evaluation.scan import read_scan
from backend.evaluation.trackers.flowface import observe_clip, open_clip
from backend.evaluation.types import MeshSequence
from backend.fitting import FitOptions, KnownCamera, View
from backend.fitting.posed import neutral_vertices
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.head_model.surface import MeshSurface
from backend.skin_matching.refine_views import ViewPictures
from backend.skin_matching.stills import head_to_camera
from backend.solving.photographs import SolvedPhotographs, solve_photographs

F64 = NDArray[np.float64]

PERSONS: dict[People, tuple[int, ...]] = {"ict": (2, 6), "makehuman": (0, 7)}
"""Who is photographed, of each split: those of the rigs."""
FOREHEAD_TO_CHIN = slice(17, 68)
"""iBUG's points that lie on the front of the face."""


@dataclass(frozen=True, eq=False)
class HeadOfStills:
    """A head made of stills, and which of them (C,) showed a face."""

    head: HeadModel
    solved: SolvedPhotographs
    used: tuple[int, ...]

    @property
    def focal_px(self) -> F64:
        return np.array([camera.focal_px for camera in self.solved.fit.cameras])

    @property
    def neutral(self) -> F64:
        return neutral_vertices(self.head, self.solved.fit).astype(np.float64)

    def mesh(self, vertices: NDArray[np.floating[Any]]) -> MeshSequence:
        """One frame of the head's vertices (V,3), for measures that ask for no more."""
        points = self.head.landmarks["ibug68"]
        return MeshSequence(
            vertices=vertices[None].astype(np.float32),
            triangles=self.head.triangles,
            focal_px=np.ones(1),
            principal_point=np.zeros(2),
            image_size=(1, 1),
            frame_rate=1.0,
            tracked=np.ones(1, bool),
            landmarks68=(points.triangle, points.barycentric),
        )


def head_of_stills(
    stills: Sequence[Path], aligner: str, cache: Path | None, *, match_skin: bool = True, head_name: str = "open"
) -> HeadOfStills:
    """What ``flowface photographs`` makes of stills. Raises UserError ``no_face`` where none shows one."""
    head = load_head(head_name)
    seen = {}
    for index, still in enumerate(stills):
        try:
            observed = observe_clip(still, aligner, cache, head_name)
        except UserError as error:
            if error.code != ErrorCode.NO_FACE:
                raise
            continue
        if observed.tells_pose.any():
            seen[index] = observed
    if not seen:
        raise UserError(ErrorCode.NO_FACE, f"No face was found in any of the {len(stills)} photographs.")
    views = [View(observed, KnownCamera(lens=f"still {index}")) for index, observed in seen.items()]
    pictures = [next(iter(open_clip(stills[index]))).image for index in seen]
    shown = ViewPictures(lambda view, _frame: pictures[view], [None] * len(pictures)) if match_skin else None
    solved = solve_photographs(head, views, FitOptions(deform_region="face"), pictures=shown)
    return HeadOfStills(head, solved, tuple(seen))


def rendered_record(rendered: RenderedPhotographs, aligner: str, cache: Path | None, **how: Any) -> dict[str, Any]:
    """How far the neutral head is from the person's (mm, mean over the face, after an alignment that may scale), how
    far focal lengths are off (|log ratio|) and poses (degrees)."""
    found = head_of_stills(rendered.stills, aligner, cache, **how)
    used = list(found.used)
    points, keypoints = rendered.neutral[rendered.face], rendered.landmarks[list(KEYPOINTS7)]
    mine = surface_positions(found.head.landmarks["ibug68"], found.head.triangles, found.neutral)[list(KEYPOINTS7)]
    surface = MeshSurface(found.neutral, found.head.triangles)
    motion = align_to_scan(surface, mine, points, keypoints, metrical=False)
    distance = surface.closest(motion.undo(points)).distance * motion.scale * 1e3
    turned = head_to_camera(found.solved.fit)[:, :, :3] @ motion.rotation.T
    between = turned @ rendered.head_to_camera[used, :, :3].transpose(0, 2, 1)
    angle = np.arccos(np.clip((np.trace(between, axis1=1, axis2=2) - 1) / 2, -1, 1))
    off = np.abs(np.log(found.focal_px / rendered.focal_px[used]))
    return {
        "stills": rendered.spec.name,
        "seen": len(used),
        "cd_mm": float(distance.mean()),
        "scale": motion.scale,
        "focal_off": float(off.mean()),
        "focal_off_most": float(off.max()),
        "rotation_deg": float(np.rad2deg(angle).mean()),
        "apart_deg": found.solved.apart_degrees,
    }


def scan_record(folder: Path, aligner: str, cache: Path | None, **how: Any) -> dict[str, Any]:
    """The scan's views as photographs: how far its face is from the head at rest, and from the head with the expression
    of the first still that shows a face, as the scan's eyes are closed."""
    scan = read_scan(folder)
    stills = [folder / camera["image"] for camera in scan.cameras]
    found = head_of_stills(stills, aligner, cache, **how)
    fit, true = found.solved.fit, np.array([camera["K"][0][0] for camera in scan.cameras])[list(found.used)]
    posed = posed_vertices(found.head, neutral_vertices(found.head, fit), fit.expression[:1], fit.gaze[:1])[0]
    face: TrueFace = scan.true_face
    off = np.abs(np.log(found.focal_px / true))
    return {
        "stills": f"scan {folder.name}",
        "seen": len(found.used),
        "cd_mm": face.distance_from(found.mesh(found.neutral))["cd_mm"],
        "posed_cd_mm": face.distance_from(found.mesh(posed))["cd_mm"],
        "focal_off": float(off.mean()),
        "focal_off_most": float(off.max()),
        "apart_deg": found.solved.apart_degrees,
    }


def zoom_record(folder: Path, aligner: str, cache: Path | None, **how: Any) -> dict[str, Any]:
    """One face from known distances: whether they come out in order, and how far they are off.

    Nobody wrote down the focal length, and the distances are round numbers from no said point of the face. One camera
    took all: ``focal_spread`` is by how much one of its focal lengths, each found by itself, differs from their mean.
    """
    stills = [folder / f"{distance}cm.jpg" for distance in ZOOM_CENTIMETRES]
    found = head_of_stills(stills, aligner, cache, **how)
    marks = surface_positions(found.head.landmarks["ibug68"], found.head.triangles, found.neutral)[FOREHEAD_TO_CHIN]
    camera = head_to_camera(found.solved.fit)
    depth = 100 * (camera[:, 2, :3] @ marks.mean(axis=0) + camera[:, 2, 3])
    true = np.array(ZOOM_CENTIMETRES, np.float64)[list(found.used)]
    logs = np.log(found.focal_px)
    return {
        "stills": "zoom",
        "seen": len(found.used),
        "true_cm": true.tolist(),
        "depth_cm": depth.tolist(),
        "rank": float(spearmanr(depth, true).statistic) if len(true) > 2 else None,
        "focal_px": found.focal_px.tolist(),
        "distance_off": float(np.abs(np.log(depth / true)).mean()),
        "focal_spread": float(np.abs(logs - logs.mean()).max()),
        "apart_deg": found.solved.apart_degrees,
    }


def measure(
    split: Split, data: Path, aligner: str, cache: Path | None, rendered: Path | None, *, quick: bool = False
) -> Iterator[dict[str, Any]]:
    """The records of a split: rendered people, and of test the scan and the zoom photographs in ``data``.

    ``cache`` keeps what the aligner saw, ``rendered`` the pictures (``default_cache``). Raises UserError as reading and
    rendering do.
    """
    specs = [PhotographsSpec(split, people, person) for people, persons in PERSONS.items() for person in persons]
    for spec in specs[:: 2 if quick else 1]:
        head = benchmark_head(spec.people, data / "ict" / "ict_facekit.npz")
        spec = replace(spec, count=4 if quick else spec.count)
        yield rendered_record(render_photographs(spec, head, rendered), aligner, cache)
    scan, zoom = data / "scan" / SCAN, data / "photos" / "zoom"
    if (scan / "cameras.json").is_file() and split_of_scan(SCAN) == split:
        yield scan_record(scan, aligner, cache)
    if (zoom / "15cm.jpg").is_file() and split_of_photo(zoom / "15cm.jpg") == split:
        yield zoom_record(zoom, aligner, cache)
