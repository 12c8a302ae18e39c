"""One evaluation: trackers × rendered sequences and real data, kept as it goes, then tables, JSON and plots."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console

from backend.alignment.flowface.weights import weights_digest
from backend.alignment.registry import takes_weights
from backend.datasets.splits import PEOPLES, SPLITS, People, Split
from backend.errors import ErrorCode, UserError
from backend.evaluation import plots, tables
from backend.evaluation.benchmark import (
    SequenceSpec,
    benchmark_rigs,
    benchmark_sequences,
    render_sequences,
)
from backend.evaluation.draw_plots import draw_plots
from backend.evaluation.look import SHEETS, Looking, look
from backend.evaluation.look_tables import look_sheets
from backend.evaluation.marks.record import MARKED_BY, mark_tasks
from backend.evaluation.marks_tables import marks_sheets
from backend.evaluation.measure import LazyTruth, measure
from backend.evaluation.motion_tables import motion_sheets
from backend.evaluation.progress_view import EvaluationView
from backend.evaluation.real_data import RealData, Task, able, add_rank_correlation
from backend.evaluation.rendered_rigs import RenderedRigs
from backend.evaluation.scan import add_rotation_errors
from backend.evaluation.scan_tables import rotation_sheets
from backend.evaluation.store import EVERYTHING, Store, code_digest, plain
from backend.evaluation.trackers.by_name import ALIGNED_BY, BASELINES, make_trackers, plain_name
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.trackers.results_folder import SEQUENCE, SINGLE, ResultsFolder
from backend.evaluation.trackers.types import Tracker
from backend.evaluation.uncertainty import uncertainty_records
from backend.files import write_atomic, write_npz
from backend.terminal.checkout import git

PACKAGES = ("flowface", "torch", "ai-edge-litert", "numpy", "scipy", "av")
STRIDE = {True: 4, False: 3}
"""Every how many pixels SSME looks, quick and full."""
SHAPE_EVERY = {True: 15, False: 40}
"""In every how many frames shapes are compared, quick and full."""

T = TypeVar("T")


@dataclass(frozen=True)
class EvaluationOptions:
    """The choices of an evaluation.

    ``split`` says whose faces are looked at: figures are published of ``test``, weights and options are chosen on
    ``dev`` (``splits.toml``). ``results`` maps names to folders of other trackers' results; ``specs`` replaces the
    benchmark's own sequences, which are of the first ``persons`` (None: all) of each of ``peoples``;
    ``benchmark_cache`` None is the system's cache folder. ``sequences_only`` measures nothing but these, ``rigs_only``
    several cameras alone, rendered people's and the scan's, ``look_only`` does nothing but ``backend.evaluation.look``
    and ``marks_only`` nothing but ``backend.evaluation.marks``, on ``clips`` alone where there are any. ``weights`` are
    the alignment network's, None its own.
    """

    out: Path
    data: Path
    quick: bool = False
    split: Split = "test"
    trackers: tuple[str, ...] = ("flowface-mediapipe", *BASELINES)
    weights: Path | None = None
    results: dict[str, Path] = field(default_factory=dict)
    benchmark_cache: Path | None = None
    specs: tuple[SequenceSpec, ...] | None = None
    real: bool = True
    uncertainty: bool = True
    peoples: tuple[People, ...] = PEOPLES
    persons: int | None = None
    rigs: bool = True
    sequences_only: bool = False
    rigs_only: bool = False
    look: bool = True
    look_only: bool = False
    marks_only: bool = False
    clips: tuple[Path, ...] = ()
    command: str = ""


def evaluate(options: EvaluationOptions, console: Console | None = None) -> dict[str, Any]:
    """Run an evaluation and write ``results.json``, ``tables.md`` and plots into ``options.out``; prints the tables.

    What was measured before by the same code is not measured again. Returns what ``results.json`` holds.
    Raises UserError for options, data or results that cannot be used; KeyboardInterrupt leaves what is done on disk.
    """
    plots.need_matplotlib()
    if options.marks_only or options.sequences_only:
        options = replace(options, real=False, uncertainty=False, rigs=False, look=False)
    elif options.look_only or options.clips:
        options = replace(options, real=False, uncertainty=False, rigs=False, look=True, look_only=True)
    if options.split not in SPLITS:
        raise UserError(ErrorCode.BAD_SPLIT, f"There is no split “{options.split}”; there are {', '.join(SPLITS)}.")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        store = Store(
            options.out / "runs", {"stride": STRIDE[options.quick], "shape_every": SHAPE_EVERY[options.quick]}
        )
    except OSError as error:
        sentence = f"Results cannot be written to {options.out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error
    told = console or Console(stderr=True)
    with EvaluationView(told) as view:
        trackers = make_trackers(options.trackers, options.results, options.weights, store.folder, view.on_frame)
        skipped: list[str] = []
        some = options.look_only or options.rigs_only or options.marks_only
        runs, heat = ([], plots.HeatMaps()) if some else _rendered(options, store, trackers, view, skipped)
        calibrated = _uncertainty(options, store, trackers, view) if runs else []
        rigs = _rigs(options, store, trackers, view, skipped)
        real = _real(options, store, trackers, view, skipped)
        looks = _looks(options, store, trackers, view)
        marks = _marks(options, store, trackers, view)
        if not any((runs, rigs, real, looks, marks)):
            raise UserError(ErrorCode.NOTHING_TO_EVALUATE, " ".join(skipped) or "Nothing was chosen to be evaluated.")
        view.on_stage("drawing the plots")
        results = plain(
            {
                **_provenance(options),
                "skipped": skipped,
                "summary": tables.summarise(runs),
                "runs": runs,
                "uncertainty": calibrated,
                "rigs": rigs,
                "real": real,
                "looks": looks,
                "marks": marks,
            }
        )
        write_atomic(options.out / "results.json", json.dumps(results, indent=1, allow_nan=False).encode())
        draw_plots(results, heat, options.out)
    sheets = tables.build_sheets(results) + (look_sheets(results["looks"]) if results["looks"] else [])
    sheets += motion_sheets(results["runs"]) + rotation_sheets(results["real"].get("scan", []))
    sheets += marks_sheets(results["marks"]) if results["marks"] else []
    foreword = _foreword(results)
    write_atomic(options.out / "tables.md", tables.to_markdown(sheets, "Evaluation", foreword).encode())
    shown = Console()
    for sheet in sheets:
        shown.print(tables.to_rich(sheet))
    for sentence in skipped:
        shown.print(sentence, markup=False)
    shown.print(f"tables, results.json and plots are in {options.out}", markup=False)
    return results


def _rendered(
    options: EvaluationOptions, store: Store, trackers: Sequence[Tracker], view: EvaluationView, skipped: list[str]
) -> tuple[list[dict[str, Any]], plots.HeatMaps]:
    """Records of every sequence × protocol × tracker."""
    heat = plots.HeatMaps()
    archive = options.data / "ict" / "ict_facekit.npz"
    peoples = _at_hand(options, skipped)
    specs = tuple(spec for spec in _specs(options) if spec.people in peoples)
    rendered = {}
    view.on_stage("rendering the sequences")
    for sequence in render_sequences(specs, archive, options.benchmark_cache):
        rendered[sequence.spec] = sequence
        view.on_part("rendered", len(rendered), len(specs))
    records = []
    for number, spec in enumerate(specs):
        sequence = rendered[spec]
        view.on_part("measured", number, len(specs))
        truth = LazyTruth(sequence.truth)
        if heat.vertices is None and spec.people == "ict":
            mesh = truth.get().mesh
            heat.vertices, heat.triangles = mesh.neutral, mesh.triangles
            heat.middle = mesh.neutral[mesh.regions["face"]].mean(axis=0) if mesh.neutral is not None else None
        for protocol in (SINGLE, SEQUENCE):
            for tracker in able(trackers, sequence.clip, single_image=protocol == SINGLE):
                view.on_stage(f"{spec.name}: {tracker.name}, {tables.PROTOCOLS[protocol]}")
                records.append(_run(store, spec, sequence.clip, truth, tracker, protocol, options.quick, heat))
    view.on_part("measured", len(specs), len(specs))
    return records, heat


def _at_hand(options: EvaluationOptions, skipped: list[str]) -> tuple[People, ...]:
    """The people that can be rendered; ``skipped`` hears why others cannot."""
    archive = options.data / "ict" / "ict_facekit.npz"
    wanted = {spec.people for spec in options.specs} if options.specs else set(options.peoples)
    if "ict" not in wanted or archive.is_file():
        return options.peoples
    sentence = f"ICT-FaceKit's people are left out, as the head they are rendered from is not at {archive}."
    if sentence not in skipped:
        skipped.append(sentence)
    return tuple(people for people in options.peoples if people != "ict")


def _specs(options: EvaluationOptions) -> tuple[SequenceSpec, ...]:
    own = benchmark_sequences(options.split, options.quick, peoples=options.peoples, persons=options.persons)
    return options.specs or tuple(own)


def _uncertainty(
    options: EvaluationOptions, store: Store, trackers: Sequence[Tracker], view: EvaluationView
) -> list[dict[str, Any]]:
    """Calibration of the σ of each of our aligners, by sequence."""
    ours = [
        tracker for tracker in trackers if isinstance(tracker, FlowFace) and not (tracker.even_sigma or tracker.skin)
    ]
    if not ours or not options.uncertainty:
        return []
    archive = options.data / "ict" / "ict_facekit.npz"
    specs = tuple(spec for spec in _specs(options) if spec.people == "ict")  # whose atlas places are known
    if not archive.is_file():
        return []
    return uncertainty_records(ours, specs, archive, store, options.benchmark_cache, view.on_stage)


def _rigs(
    options: EvaluationOptions, store: Store, trackers: Sequence[Tracker], view: EvaluationView, skipped: list[str]
) -> list[dict[str, Any]]:
    """Records of several cameras before rendered people."""
    if not options.rigs:
        return []
    specs = benchmark_rigs(options.split, options.quick, _at_hand(options, skipped))
    rigs = RenderedRigs(specs, options.data / "ict" / "ict_facekit.npz", options.benchmark_cache)
    made_by = {tracker.name: tracker.made_by for tracker in trackers}
    return _do("rigs", list(rigs.tasks(trackers)), store, view, made_by)


def _run(
    store: Store,
    spec: SequenceSpec,
    clip: Path,
    truth: LazyTruth,
    tracker: Tracker,
    protocol: str,
    quick: bool,
    heat: plots.HeatMaps,
) -> dict[str, Any]:
    key = (spec.name, str(spec.seed), tracker.name, protocol)
    maps_path = store.path(*key, suffix=".npz", parts=tracker.made_by)
    if spec.people == "ict":  # the maps of one mesh are drawn
        heat.files.append((protocol, tracker.name, maps_path))

    def make() -> dict[str, Any]:
        head = {
            "sequence": spec.name,
            "people": spec.people,
            "performance": spec.performance,
            "tracker": tracker.name,
            "protocol": protocol,
        }
        try:
            predicted = tracker.track(clip, single_image=protocol == SINGLE)
        except UserError as error:
            if error.code != ErrorCode.NO_FACE:
                raise
            return {**head, "frames": spec.frame_count, "lost": spec.frame_count, "ssme": {}, "ssme_h": {}}
        record, maps = measure(
            truth.get(),
            predicted,
            truth.shape(),
            metrical=tracker.metrical,
            without=tracker.without,
            ssme_stride=STRIDE[quick],
            shape_every=SHAPE_EVERY[quick],
        )
        write_npz(maps_path, {name: error.astype(np.float32) for name, error in maps.items()})
        return {**head, **record}

    if isinstance(tracker, ResultsFolder):  # its files may change at any time
        return plain(make())
    return store.get(key, make, tracker.made_by)


def _real(
    options: EvaluationOptions, store: Store, trackers: Sequence[Tracker], view: EvaluationView, skipped: list[str]
) -> dict[str, list[dict[str, Any]]]:
    if not options.real:
        return {}
    cache = store.folder / f"alignments-{code_digest()}"
    real = RealData(options.data.resolve(), options.quick, cache, options.split)
    tasks = real.tasks(trackers)
    kinds: tuple[str, ...] = ("photos", "scan", "zoom", "clips") if options.split == "test" else ("photos", "clips")
    if options.rigs_only:
        kinds = tuple(kind for kind in kinds if kind == "scan")
        tasks = {kind: work for kind, work in tasks.items() if kind.startswith("scan")}
    missing = [kind for kind in kinds if kind not in tasks]
    if missing:
        skipped.append(f"Real data left out, as it is not in {options.data}: {', '.join(missing)}.")
    found: dict[str, list[dict[str, Any]]] = {}
    made_by = {tracker.name: tracker.made_by for tracker in trackers if tracker.name not in options.results}
    for kind, work in tasks.items():
        # Where a clip holds still is told by our own aligner.
        parts = made_by
        if kind == "clips":
            parts = {name: tuple(dict.fromkeys((*EVERYTHING, *own))) for name, own in made_by.items()}
        found[kind] = _do(kind, work, store, view, parts)
    add_rank_correlation(found.get("zoom", []))
    add_rotation_errors(found.get("scan", []))
    return found


def _looks(
    options: EvaluationOptions, store: Store, trackers: Sequence[Tracker], view: EvaluationView
) -> dict[str, list[dict[str, Any]]]:
    if not options.look or options.rigs_only or (not options.real and not options.look_only):
        return {}
    looking = Looking(
        options.data.resolve(), options.out, options.split, options.clips, options.quick, options.benchmark_cache
    )
    return look(looking, store, trackers, view)


def _marks(
    options: EvaluationOptions, store: Store, trackers: Sequence[Tracker], view: EvaluationView
) -> list[dict[str, Any]]:
    """Records of marks of real skin, for every clip and tracker."""
    if not options.marks_only:
        return []
    looking = Looking(options.data.resolve(), options.out, options.split, options.clips, options.quick)
    made_by = {tracker.name: tracker.made_by for tracker in trackers if tracker.name not in options.results}
    made_by = {name: tuple(dict.fromkeys((*MARKED_BY, *own))) for name, own in made_by.items()}
    cache = store.folder / f"alignments-{code_digest()}"
    return _do("marks", list(mark_tasks(looking.videos(), trackers, cache, options.out / SHEETS)), store, view, made_by)


def _do(
    kind: str, work: Sequence[Task], store: Store, view: EvaluationView, made_by: Mapping[str, tuple[str, ...]]
) -> list[dict[str, Any]]:
    """Records of ``work``, kept for the trackers that ``made_by`` names; others' files may change at any time."""
    records = []
    for number, (key, make) in enumerate(work):
        view.on_part(kind, number, len(work))
        view.on_stage(f"{key[2]}: {key[1]}")
        parts = made_by.get(key[1])
        records.append(plain(make()) if parts is None else store.get(key, make, parts))
    view.on_part(kind, len(work), len(work))
    return records


def _provenance(options: EvaluationOptions) -> dict[str, Any]:
    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    by_network = any(takes_weights(ALIGNED_BY.get(plain_name(name))) for name in options.trackers)
    return {
        "command": options.command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "uncommitted_changes": None if changed is None else bool(changed),
        "code": code_digest(),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
        "quick": options.quick,
        "split": None if options.clips else options.split,  # files are whoever's
        "ssme_stride": STRIDE[options.quick],
        "shape_every": SHAPE_EVERY[options.quick],
        "trackers": [*options.trackers, *options.results],
        "weights": weights_digest(options.weights) if by_network else None,
    }


def _foreword(results: dict[str, Any]) -> str:
    commit = results["commit"]
    code = f"commit {commit[:12]}" if commit else f"code {results['code']}"
    changed = " with uncommitted changes" if results["uncommitted_changes"] else ""
    people = f", people of the {results['split']} split" if results["split"] else ""
    words = f"`{results['command'] or 'flowface evaluate'}`, {results['date'][:10]}, {code}{changed}{people}."
    return "\n\n".join([words, *results["skipped"]])
