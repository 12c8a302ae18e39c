"""The NoW Challenge by our tracker: predictions to submit, and distances to the scans that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges import paper
from backend.evaluation.challenges.now.layout import (
    CATEGORIES,
    NowFolder,
    NowPicture,
    NowScan,
    read_layout,
    read_picked_points,
)
from backend.evaluation.challenges.now.submission import prediction_files, write_prediction
from backend.evaluation.challenges.now.together import solve_together
from backend.evaluation.challenges.outer_surface import outer_triangles
from backend.evaluation.challenges.run_items import Item, Record, open_store, publish, run_items, with_paper
from backend.evaluation.challenges.scan_distance import scan_to_mesh
from backend.evaluation.metrics.chamfer import keypoints7, neutral_only
from backend.evaluation.store import Store
from backend.evaluation.tables import Sheet, figure
from backend.evaluation.trackers.flowface import FlowFace, fitted_mesh
from backend.evaluation.types import MeshSequence
from backend.files import read_npz, write_npz
from backend.head_model.converters.obj import read_obj
from backend.head_model.library import load_head
from backend.head_model.surface import MeshSurface

Views = Literal["single", "multi"]
VIEWS: tuple[Views, ...] = ("single", "multi")
PREDICTED = "predicted"
MM = 1000.0

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class NowOptions:
    """``folder`` the data, ``out`` where predictions and tables go. ``views`` "single" predicts each picture by itself,
    "multi" all pictures of a person in a category together. ``category`` "" is all of them; ``first`` 0 all pictures.
    """

    folder: Path
    out: Path
    split: str = "val"
    views: Views = "single"
    category: str = ""
    first: int = 0
    command: str = ""


def run_now(options: NowOptions, tracker: FlowFace) -> dict[str, Any]:
    """Predict and measure; writes ``results.json``, ``tables.md`` and ``predicted/``, prints the tables.

    Returns what ``results.json`` holds. Raises UserError as ``read_layout``, reading files and the tracker do.
    """
    if options.views not in VIEWS:
        raise UserError(ErrorCode.BAD_OPTION, f"“{options.views}” is not one of {', '.join(VIEWS)}.", "See --views.")
    data = read_layout(options.folder, options.split, options.category)
    groups = _groups(data.pictures[: options.first or None], options.views)
    store = open_store(options.out, {"challenge": "now", "views": options.views})
    work = _Work(data, options.out / PREDICTED, store, tracker)
    items = [work.item(group) for group in groups]
    records = run_items(f"NoW {options.split}", items, store, tracker.made_by)
    results: dict[str, Any] = {
        **{"challenge": "now", "command": options.command, "split": options.split, "views": options.views},
        **{"tracker": tracker.name, "records": records},
    }
    distances = [None if r["lost"] else work.distances(group) for r, group in zip(records, groups, strict=True)]
    results["summary"] = summarise(groups, distances)
    publish(options.out, "The NoW Challenge", _sheets(results, scans=bool(data.scans)), results)
    return results


def _groups(pictures: Sequence[NowPicture], views: Views) -> list[tuple[NowPicture, ...]]:
    """The pictures that make one prediction each."""
    if views == "single":
        return [(picture,) for picture in pictures]

    def whose(picture: NowPicture) -> tuple[str, str]:
        return picture.person, picture.category

    return [tuple(group) for _, group in groupby(sorted(pictures, key=whose), whose)]


@dataclass(frozen=True)
class _Work:
    """What the items of a run share."""

    data: NowFolder
    predicted: Path
    store: Store
    tracker: FlowFace

    def item(self, group: tuple[NowPicture, ...]) -> Item:
        files = [path for picture in group for path in prediction_files(self.predicted, picture)]
        if group[0].person in self.data.scans:
            files.append(self._kept(group))
        return Item(_key(group), lambda: self._make(group), tuple(files))

    def distances(self, group: tuple[NowPicture, ...]) -> F64 | None:
        """Millimetres; None without a scan."""
        if group[0].person not in self.data.scans:
            return None
        return read_npz(self._kept(group), "distances")["mm"].astype(np.float64)

    def _kept(self, group: tuple[NowPicture, ...]) -> Path:
        return self.store.path(*_key(group), suffix=".npz", parts=self.tracker.made_by)

    def _make(self, group: tuple[NowPicture, ...]) -> Record:
        mesh = neutral_only(self._neutral(group))
        vertices, points = mesh.vertices[0], keypoints7(mesh, 0)
        triangles = outer_triangles(load_head(self.tracker.head_name))
        for picture in group:
            write_prediction(self.predicted, picture, vertices, triangles, points)
        scan = self.data.scans.get(group[0].person)
        if scan is None:
            return {"pictures": len(group)}
        mm = distance_to(scan, MeshSurface(vertices, triangles), points)
        write_npz(self._kept(group), {"mm": mm.astype(np.float32)})
        return {"pictures": len(group), "points": len(mm)} | _spread(mm)

    def _neutral(self, group: tuple[NowPicture, ...]) -> MeshSequence:
        """A mesh of the person with its neutral. Raises UserError ``no_face``."""
        if len(group) == 1:
            return self.tracker.track(group[0].path, single_image=True)
        seen = []
        for picture in group:
            try:
                observed = self.tracker.observe(picture.path)
            except UserError as error:
                if error.code != ErrorCode.NO_FACE:
                    raise
                continue
            if observed.tells_pose.any():
                seen.append(observed)
        if not seen:
            raise UserError(ErrorCode.NO_FACE, f"No face was found in any picture of {' '.join(_key(group))}.")
        head = load_head(self.tracker.head_name)
        return fitted_mesh(head, solve_together(head, seen), seen[0])


def _key(group: tuple[NowPicture, ...]) -> tuple[str, ...]:
    first = group[0]
    return (first.person, first.category, *(picture.stem for picture in group))


def distance_to(scan: NowScan, surface: MeshSurface, keypoints: F64) -> F64:
    """(M,) millimetres from each point of the scan's face to a predicted mesh.

    Raises UserError ``bad_mesh`` and ``bad_file`` for scans that cannot be read.
    """
    points = read_picked_points(scan.points) / MM
    return scan_to_mesh(read_obj(scan.mesh).vertices / MM, points, surface, keypoints) * MM


def _spread(mm: F64) -> dict[str, float]:
    if not mm.size:
        return {}
    return {"median": float(np.median(mm)), "mean": float(mm.mean()), "std": float(mm.std())}


def summarise(groups: Sequence[tuple[NowPicture, ...]], distances: Sequence[F64 | None]) -> dict[str, dict[str, Any]]:
    """Median, mean and standard deviation over all points of all pictures, "" for all and by category.

    Every scan point of every picture counts once, as in the challenge's ``metric_computation``; a prediction that
    several pictures share counts once for each of them.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in ("", *CATEGORIES):
        chosen = [(g, d) for g, d in zip(groups, distances, strict=True) if name in ("", g[0].category)]
        if not chosen:
            continue
        measured = [np.tile(d, len(g)) for g, d in chosen if d is not None]
        told = _spread(np.concatenate(measured)) if measured else {}
        pictures = sum(len(g) for g, _ in chosen)
        found[name] = {"pictures": pictures, "measured": sum(len(g) for g, d in chosen if d is not None), **told}
    return found


def _sheets(results: Mapping[str, Any], *, scans: bool) -> list[Sheet]:
    split, views, summary = results["split"], results["views"], results["summary"]
    lost = sum(record["lost"] for record in results["records"])
    told = f"Without a face: {lost} of {len(results['records'])}." if lost else ""
    columns = ("method", *(f"{name} mm" for name in paper.NOW_COLUMNS), "pictures")
    rows = [_row(f"ours: {results['tracker']}", summary[""])] if scans else []
    known = tuple((*row, "–") for row in paper.NOW[split, views])
    note = f"{'' if scans else 'Without scans nothing is measured: the predictions are to be submitted. '}{told}"
    words = f"scan-to-mesh distance, {views}-view. {paper.NOW_SOURCE[split]} {note}".strip()
    main = Sheet(f"NoW Challenge, {split}", columns, with_paper(rows, known), f"Lower is better: {words}")
    if not scans:
        return [main]
    each = tuple(_row(name, summary[name]) for name in CATEGORIES if name in summary)
    return [main, Sheet(f"NoW Challenge, {split}: ours by category", columns, each)]


def _row(name: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        *(figure(told.get(field)) for field in ("median", "mean", "std")),
        f"{told['measured']} of {told['pictures']}",
    )
