"""The Multiface benchmark by our tracker: chamfer distance and screen-space motion error by region (seeds/001 §3.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges import paper
from backend.evaluation.challenges.layout import refuse_missing
from backend.evaluation.challenges.multiface.choose import MAX_CAMERAS, Chosen, choose, read_list, write_list
from backend.evaluation.challenges.multiface.layout import HINT, Subject, read_subjects, steps
from backend.evaluation.challenges.multiface.topology import Topology, read_topology, write_topology
from backend.evaluation.challenges.multiface.track import Protocol, find_topology, image_size, track
from backend.evaluation.challenges.multiface.truth import TrueSequence, on_timeline, true_sequence
from backend.evaluation.challenges.run_items import Item, Record, open_store, publish, run_items, with_paper
from backend.evaluation.metrics.chamfer import align_frames, chamfer
from backend.evaluation.metrics.ssme import ssme
from backend.evaluation.tables import Sheet, figure, mean
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.types import MeshSequence

STRIDE = 6
"""Every how many pixels motion is looked at: pictures of 2048 × 1334 have 76,000 of them then."""
WORDS: dict[Protocol, str] = {
    "single": "no temporal information sharing",
    "sequence": "with temporal information sharing",
    "views": "several calibrated cameras",
}
MEASURES = (("cd_mm", "CD"), ("ssme", "SSME"))


@dataclass(frozen=True)
class MultifaceOptions:
    """``sequences`` is a list of them, None draws them by ``seed``; ``topology`` tells the meshes' regions, None has
    them carried over from our head; ``cameras`` of each drawn sequence; ``first`` 0 is all.

    ``protocols`` are "single" and "sequence"; sequences of several cameras are tracked in all of them together.
    """

    folder: Path
    out: Path
    sequences: Path | None = None
    topology: Path | None = None
    cameras: int = 1
    seed: int = 0
    protocols: tuple[Protocol, ...] = ("single", "sequence")
    stride: int = STRIDE
    first: int = 0
    command: str = ""


def run_multiface(options: MultifaceOptions, tracker: FlowFace) -> dict[str, Any]:
    """Track and measure every sequence; writes ``sequences.toml``, ``topology.toml``, ``results.json`` and
    ``tables.md``, prints the tables.

    Returns what ``results.json`` holds. Raises UserError as reading the data and the tracker do.
    """
    if not 1 <= options.cameras <= MAX_CAMERAS:
        raise UserError(ErrorCode.BAD_OPTION, f"{options.cameras} cameras; 1 to {MAX_CAMERAS} are expected.")
    subjects = read_subjects(options.folder)
    listed = None if options.sequences is None else read_list(options.sequences, subjects)
    open_store(options.out, {})
    topology = _topology(options, subjects, tracker)
    chosen = choose(subjects, topology, options.cameras, options.seed) if listed is None else listed
    _require_whole(options.folder, chosen)
    write_list(options.out / "sequences.toml", chosen)
    chosen = chosen[: options.first or None]
    digest = hashlib.sha256(repr((topology.keypoints.tolist(), _lists(topology))).encode()).hexdigest()[:12]
    store = open_store(options.out, {"challenge": "multiface", "stride": options.stride, "topology": digest})
    items = [
        Item((*entry.key, protocol), _maker(entry, protocol, topology, tracker, options.stride))
        for entry in chosen
        for protocol in _protocols(entry, options.protocols)
    ]
    records = run_items("Multiface", items, store, tracker.made_by)
    results = {
        **{"challenge": "multiface", "command": options.command, "seed": options.seed, "tracker": tracker.name},
        "records": records,
        "summary": summarise(records),
    }
    publish(options.out, "The Multiface benchmark", _sheets(results, drawn=listed is None), results)
    return results


def _lists(topology: Topology) -> dict[str, list[int]]:
    return {name: vertices.tolist() for name, vertices in topology.regions.items()}


def _topology(options: MultifaceOptions, subjects: Sequence[Subject], tracker: FlowFace) -> Topology:
    """The one that is told, the one found by an earlier run, or the one that our head shows."""
    if options.topology is not None:
        return read_topology(options.topology)
    kept = options.out / "topology.toml"
    if kept.is_file():
        return read_topology(kept)
    found = find_topology(subjects, tracker)
    write_topology(kept, found)
    return found


def _require_whole(folder: Path, chosen: Sequence[Chosen]) -> None:
    segments = {(entry.subject.folder, entry.segment): entry for entry in chosen}
    missing = [path for entry in segments.values() for path in entry.subject.lacking(entry.segment)]
    nothing = [] if chosen else ["sequences with meshes, and pictures from the front"]
    refuse_missing(folder, "Multiface", [*missing, *nothing], HINT)


def _protocols(entry: Chosen, wanted: Sequence[Protocol]) -> tuple[Protocol, ...]:
    return tuple(wanted) if len(entry.cameras) == 1 else ("views",)


def _maker(
    entry: Chosen, protocol: Protocol, topology: Topology, tracker: FlowFace, stride: int
) -> Callable[[], Record]:
    def make() -> Record:
        truth = true_sequence(entry, image_size(entry), topology)
        head: Record = {"protocol": protocol, "frames": len(entry.frames)}
        predicted = on_timeline(track(entry, tracker, protocol, tracker.cache), steps(entry.frames))
        return head | measure(truth, predicted, stride)

    return make


def measure(truth: TrueSequence, predicted: MeshSequence, stride: int) -> Record:
    """SSME in pixels and chamfer distance in mm by region, as ``metrics.ssme`` and ``metrics.chamfer`` say.

    The chamfer distance is that of every frame, aligned with scale by itself (seeds/001 §3.4).
    """
    motion = ssme(truth.seen, predicted, stride=stride)
    distance = chamfer(truth.shape, align_frames(truth.shape, predicted, metrical=False))
    return {
        "lost_frames": int((truth.shape.tracked & ~predicted.tracked).sum()),
        "ssme": dict(motion.mean),
        "ssme_h": {region: curve.tolist() for region, curve in motion.per_horizon.items()},
        "cd_mm": {region: spread.mean for region, spread in distance.regions.items()},
    }


def summarise(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Means over the sequences by protocol; those in which no face was found count as lost, with no figures."""
    found: dict[str, dict[str, Any]] = {}
    for protocol in WORDS:
        chosen = [r for r in records if r["key"][-1] == protocol]
        if not chosen:
            continue
        told: dict[str, Any] = {"sequences": len(chosen), "lost": sum(r["lost"] for r in chosen)}
        for measure_name, _ in MEASURES:
            each = [r.get(measure_name) or {} for r in chosen]
            told[measure_name] = {region: mean([e.get(region) for e in each]) for region in paper.MULTIFACE_REGIONS}
        found[protocol] = told
    return found


def _sheets(results: Mapping[str, Any], *, drawn: bool) -> list[Sheet]:
    columns = ("method", *(f"{words} {region}" for _, words in MEASURES for region in paper.MULTIFACE_REGIONS))
    sheets = []
    whose = "The paper's 86 sequences are not published; ours are drawn within the same limits. " if drawn else ""
    for protocol, told in results["summary"].items():
        known = paper.MULTIFACE_SINGLE if protocol == "single" else paper.MULTIFACE_SEQUENCE
        cells = [figure(told[field][region]) for field, _ in MEASURES for region in paper.MULTIFACE_REGIONS]
        note = (
            f"CD in mm, SSME in pixels: lower is better. {told['sequences']} sequences, {told['lost']} without a face. "
            f"{whose}Taubner et al., table 2{', which is of one camera' if protocol == 'views' else ''}."
        )
        rows = with_paper([(f"ours: {results['tracker']}", *cells)], known)
        sheets.append(Sheet(f"Multiface, {WORDS[protocol]}", columns, rows, note))
    return [*sheets, _by_sequence(results["records"])]


def _by_sequence(records: Sequence[Record]) -> Sheet:
    rows = tuple(
        (
            " ".join(r["key"]),
            figure((r.get("cd_mm") or {}).get("face")),
            figure((r.get("ssme") or {}).get("face")),
            str(r.get("frames", "–")),
            str(r.get("lost_frames", "–")),
        )
        for r in records
    )
    return Sheet("Multiface: ours by sequence", ("sequence", "CD face", "SSME face", "frames", "lost frames"), rows)
