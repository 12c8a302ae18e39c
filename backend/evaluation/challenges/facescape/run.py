"""FaceScape's benchmark by our tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges import paper
from backend.evaluation.challenges.facescape.compare import (
    SEEN_SIDE,
    Likeness,
    Solid,
    at_true_depth,
    at_true_depth_orthographic,
    likeness,
)
from backend.evaluation.challenges.facescape.layout import WHOLE, FaceScapePicture, read_camera, read_layout
from backend.evaluation.challenges.outer_surface import outer_triangles
from backend.evaluation.challenges.run_items import Item, Record, open_store, publish, run_items, with_paper
from backend.evaluation.tables import NOTHING, Sheet, figure, mean
from backend.evaluation.trackers.flowface import FlowFace, fitted_mesh
from backend.evaluation.types import MeshSequence
from backend.fitting import KnownCamera, View
from backend.head_model.converters.obj import read_obj
from backend.head_model.library import load_head
from backend.solving import solve_take

F64 = NDArray[np.float64]
MM = 1000.0
FOCAL = ("1200", "600", "300")
"""The laboratory's focal lengths, pixels of 256² pictures (``show.py`` of the benchmark)."""
FIGURES = (
    ("cd_mm", "CD mm", 2),
    ("mne", "MNE rad", 3),
    ("normal_deg", "normals °", 1),
    ("completeness", "covered %", 1),
)


@dataclass(frozen=True)
class FaceScapeOptions:
    """``which`` set, "lab" or "wild"; ``pictures`` None looks for its pictures in ``folder``; ``first`` 0 is all."""

    folder: Path
    out: Path
    which: str = "lab"
    pictures: Path | None = None
    first: int = 0
    command: str = ""


def run_facescape(options: FaceScapeOptions, tracker: FlowFace) -> dict[str, Any]:
    """Track and measure every picture; writes ``results.json`` and ``tables.md``, prints the tables.

    Returns what ``results.json`` holds. Raises UserError as ``read_layout``, reading files and the tracker do.
    """
    data = read_layout(options.folder, options.which, options.pictures)[: options.first or None]
    store = open_store(options.out, {"challenge": "facescape", "set": options.which})
    items = [Item((options.which, entry.name), _maker(entry, tracker)) for entry in data]
    records = run_items(f"FaceScape {options.which}", items, store, tracker.made_by)
    results = {
        **{"challenge": "facescape", "command": options.command, "set": options.which, "tracker": tracker.name},
        "records": records,
        "summary": summarise(records),
    }
    publish(options.out, "FaceScape's benchmark", _sheets(results), results)
    return results


def _maker(entry: FaceScapePicture, tracker: FlowFace) -> Callable[[], Record]:
    measured = measure_lab if entry.camera is not None else measure_wild
    told = {"facing": entry.facing, "focal": FOCAL[entry.focal]} if entry.camera else {"facing": entry.facing}
    return lambda: told | asdict(measured(entry, tracker))


def measure_lab(entry: FaceScapePicture, tracker: FlowFace) -> Likeness:
    """A laboratory picture, with the true focal length, which the benchmark gives to every method.

    Raises UserError ``no_face``, ``image_size`` for a picture that is not square, and what reading files raises.
    """
    if entry.camera is None:
        raise ValueError(f"{entry.name} has no camera")
    intrinsic, extrinsic = read_camera(entry.camera)
    read = read_obj(entry.mesh)
    true = Solid(read.vertices * entry.scale @ extrinsic[:, :3].T + extrinsic[:, 3], read.triangles)
    found = _solid(_with_camera(entry.picture, intrinsic, tracker), tracker)
    found = at_true_depth(true, found, float(intrinsic[0, 0]), intrinsic[:2, 2])
    return likeness(true, found, entry.rotation, entry.centre)


def measure_wild(entry: FaceScapePicture, tracker: FlowFace) -> Likeness:
    """A picture of the wild set, whose true head is where an orthographic camera sees it. Raises as ``measure_lab``."""
    read = read_obj(entry.mesh)
    true = Solid(read.vertices * entry.scale, read.triangles)
    mesh = tracker.track(entry.picture, single_image=True)
    seen = _solid(mesh, tracker)
    found = at_true_depth_orthographic(true, seen.moved(without_perspective(mesh) * entry.scale), entry.scale)
    return likeness(true, found, entry.rotation, entry.centre)


def without_perspective(mesh: MeshSequence) -> F64:
    """(V,3) the mesh's first frame as an orthographic camera would show it in the same places.

    x to the right, y up, z to the camera, 1 half a side of the picture; depth in the scale of the head's middle, as the
    benchmark's own loaders move between the two cameras (``pred_loader.py``).
    """
    half = max(mesh.image_size) / 2
    place = (mesh.image_positions()[0] - np.array(mesh.image_size) / 2) / half
    depth = mesh.vertices[0, :, 2].astype(np.float64)
    middle = depth.mean()
    return np.stack([place[:, 0], -place[:, 1], -(depth - middle) * mesh.focal_px[0] / middle / half], axis=1)


def _with_camera(picture: Path, intrinsic: F64, tracker: FlowFace) -> MeshSequence:
    observed = tracker.observe(picture)
    if not observed.tells_pose.any():
        raise UserError(ErrorCode.NO_FACE, f"No face was found in {picture}.")
    width, height = observed.image_size
    if width != height:
        raise UserError(
            ErrorCode.IMAGE_SIZE,
            f"{picture} has {width} × {height} pixels; the benchmark's pictures are square.",
            "Use the benchmark's own pictures.",
        )
    larger = width / SEEN_SIDE
    centre = float(intrinsic[0, 2] * larger), float(intrinsic[1, 2] * larger)
    camera = KnownCamera(focal_px=float(intrinsic[0, 0] * larger), principal_point=centre)
    head = load_head(tracker.head_name)
    return fitted_mesh(head, solve_take(head, [View(observed, camera)]).fit, observed)


def _solid(mesh: MeshSequence, tracker: FlowFace) -> Solid:
    """Its first frame, millimetres, without what no scan shows."""
    return Solid(mesh.vertices[0].astype(np.float64) * MM, outer_triangles(load_head(tracker.head_name)))


def summarise(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Means over the pictures that have figures, as the benchmark's ``show.py``: "" for all, and by facing and focal
    length ("30°", "f 600"); those by facing are of the first focal length alone, as there."""
    longest = [r for r in records if r.get("focal", FOCAL[0]) == FOCAL[0]]
    groups = {"": list(records)}
    for facing in dict.fromkeys(r["facing"] for r in longest if "facing" in r):
        groups[f"{facing}°"] = [r for r in longest if r.get("facing") == facing]
    for focal in FOCAL:
        chosen = [r for r in records if r.get("focal") == focal]
        groups |= {f"f {focal}": chosen} if chosen else {}
    return {
        name: {
            "pictures": len(chosen),
            "measured": sum(r.get("cd_mm") is not None for r in chosen),
            **{field: mean([r.get(field) for r in chosen]) for field, _, _ in FIGURES},
        }
        for name, chosen in groups.items()
    }


def _sheets(results: Mapping[str, Any]) -> list[Sheet]:
    which, summary = results["set"], results["summary"]
    columns = ("method", *(words for _, words, _ in FIGURES), "pictures")
    known = paper.FACESCAPE_LAB if which == "lab" else paper.FACESCAPE_WILD
    rows = tuple((*row, NOTHING, NOTHING, NOTHING) for row in known)
    count = summary[""]["pictures"]
    part = "" if count == WHOLE[which] else f" Ours is of {count} of the {WHOLE[which]} pictures."
    source = "Taubner et al., table 1" if which == "lab" else "The benchmark's own result files"
    main = Sheet(
        f"FaceScape's benchmark, {which}",
        columns,
        with_paper([_row(f"ours: {results['tracker']}", summary[""])], rows),
        f"{source}. Lower is better, but for what is covered of the true head.{part}",
    )
    each = tuple(_row(name, told) for name, told in summary.items() if name)
    return [main, Sheet(f"FaceScape's benchmark, {which}: ours by view", columns, each)]


def _row(name: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    shares = dict(told)
    if shares["completeness"] is not None:
        shares["completeness"] *= 100
    cells = (figure(shares[field], digits) for field, _, digits in FIGURES)
    return (name, *cells, f"{told['measured']} of {told['pictures']}")
