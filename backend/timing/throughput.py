"""The run of ``flowface benchmark track``: frames a second from footage to fitted track, by stages, in one run."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import MofNCompleteColumn, TimeElapsedColumn
from rich.table import Table

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.terminal.progress_bar import progress_bar
from backend.timing.machine import machine

FRAMES = 500
GOAL = 30.0
"""Frames a second: as fast as footage plays, on a laptop's two cores."""

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "points alone": {"match_skin": False},
    "skin matched in time": {"match_skin": True},
}
"""The options by which a take is tracked; texture, which is not part of tracking, is never painted."""

STAGES = ("decode", "align", "fit", "match", "total")
WARM_UP = 24  # frames tracked before the clock starts, so that libraries are loaded and caches are warm


@dataclass(frozen=True)
class ThroughputOptions:
    """``clip`` None is a rendered one of ``frames`` frames of 512²; ``rounds``: how often each variant is tracked."""

    clip: Path | None
    out: Path
    frames: int = FRAMES
    rounds: int = 1
    aligner: str = "mediapipe"


def benchmark_track(options: ThroughputOptions, console: Console | None = None) -> dict[str, Any]:
    """Track the clip by every variant; writes ``track.json`` into ``options.out``, prints a table, returns the JSON.

    Raises UserError for a clip that cannot be read or shows no face, and for an ``out`` that cannot be written.
    """
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"Results cannot be written to {options.out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error
    clip = options.clip or _rendered(options.out, options.frames)
    results: dict[str, Any] = {"machine": machine(), "clip": clip.name, "goal_frames_per_second": GOAL, "runs": []}
    with progress_bar(console or Console(stderr=True), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("tracking", total=options.rounds * len(VARIANTS))
        for _ in range(options.rounds):
            for name in VARIANTS:
                progress.update(task, description=f"tracking, {name}")
                results["runs"].append(_measured(name, clip, options))
                progress.advance(task)
                results["variants"] = summary(results["runs"])
                write_atomic(options.out / "track.json", json.dumps(results, indent=1).encode())
    shown = Console()
    shown.print(track_table(results))
    shown.print(f"figures: {options.out / 'track.json'}", markup=False)
    return results


def summary(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Medians of each variant's runs, and its time and work as ratios to “points alone” of the same rounds."""
    by_name = {name: [run for run in runs if run["name"] == name] for name in VARIANTS}
    base = by_name["points alone"]
    rows = []
    for name, own in by_name.items():
        if not own:
            continue
        seconds = {stage: _median([run["seconds"].get(stage, 0.0) for run in own]) for stage in STAGES}
        pairs = list(zip(own, base, strict=False))
        rows.append(
            {
                "name": name,
                "frames": own[0]["frames"],
                "seconds": seconds,
                "frames_per_second": own[0]["frames"] / seconds["total"],
                "core_ms_per_frame": 1000 * _median([run["core_seconds"] for run in own]) / own[0]["frames"],
                "times_the_time": _median([a["seconds"]["total"] / b["seconds"]["total"] for a, b in pairs]),
                "times_the_work": _median([a["core_seconds"] / b["core_seconds"] for a, b in pairs]),
            }
        )
    return rows


def track_table(results: Mapping[str, Any]) -> Table:
    """Every variant's stages, in milliseconds a frame."""
    table = Table(title=f"{results['clip']}, milliseconds a frame", title_justify="left", box=box.SIMPLE)
    for column in ("", *STAGES, "core ms", "× time", "× work", "frames/s"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in results["variants"]:
        stages = (f"{1000 * row['seconds'][stage] / row['frames']:.1f}" for stage in STAGES)
        ratios = (f"{row[key]:.2f}" if row[key] == row[key] else "" for key in ("times_the_time", "times_the_work"))
        work, rate = f"{row['core_ms_per_frame']:.1f}", f"{row['frames_per_second']:.1f}"
        table.add_row(row["name"], *stages, work, *ratios, rate)
    where = results["machine"]
    table.caption = (
        f"{where['cpu_count']} CPU cores ({where['torch_threads']} threads); "
        f"goal {results['goal_frames_per_second']:g} frames a second. "
        "decode and align overlap, fit includes match; core ms: processor time of the whole job. "
        "×: to points alone, in the same round."
    )
    return table


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def _measured(name: str, clip: Path, options: ThroughputOptions) -> dict[str, Any]:
    """One job in a process of its own."""
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, name, clip, options))
    child.start()
    sender.close()
    try:
        told = receiver.recv()
    except EOFError as error:
        child.join()
        raise RuntimeError(f"tracking {clip.name} ({name}) died ({child.exitcode})") from error
    finally:
        receiver.close()
        child.join()
    if isinstance(told, Exception):
        raise told
    return dict(told)


def _child(pipe: Connection, name: str, clip: Path, options: ThroughputOptions) -> None:
    try:
        pipe.send(track_once(name, clip, options.frames, options.aligner))
    except UserError as error:
        pipe.send(UserError(error.code, error.message, error.hint))
    pipe.close()


def track_once(name: str, clip: Path, frames: int, aligner: str) -> dict[str, Any]:
    """Seconds of each stage, and of the processors, of one job by the variant ``name``, after a short one."""
    from backend.pipeline.track_job import run_job, warm_up
    from protocol.job import TrackJob, ViewSpec
    from protocol.options import SolveOptions

    warm_up()

    def job(last: int) -> tuple[dict[str, Any], float]:
        solve = SolveOptions(texture=False, **VARIANTS[name])
        spec = TrackJob((ViewSpec(footage=str(clip)),), frames=(1, last), aligner=aligner, options=solve)
        with tempfile.TemporaryDirectory() as folder:
            worked = time.process_time()
            _, report = run_job(spec, Path(folder), on_progress=lambda _: None, should_cancel=lambda: False)
            return report, time.process_time() - worked

    job(min(WARM_UP, frames))
    report, worked = job(frames)
    return {"name": name, "frames": report["frames"], "seconds": report["seconds"], "core_seconds": worked}


def _rendered(out: Path, frames: int) -> Path:
    """A rendered clip, from a process of its own: Mesa's LLVM and that of torch's Triton crash each other."""
    path = out / f"performance_{frames}.mp4"
    if path.exists():
        return path
    child = multiprocessing.get_context("spawn").Process(target=_render, args=(path, frames))
    child.start()
    child.join()
    if child.exitcode:
        raise UserError(
            ErrorCode.NO_DEMO_CLIP,
            "The clip to track could not be rendered (see above).",
            "Name a video of a face instead: flowface benchmark track CLIP.",
        )
    return path


def _render(path: Path, frames: int) -> None:
    from backend.footage.encode import encode_evenly
    from backend.head_model.library import load_head
    from backend.synthesis.alignments import looped_performance
    from backend.synthesis.clip import render_performance

    head = load_head("open")
    truth = looped_performance(head, frames)
    encode_evenly(path, render_performance(head, truth), truth.frame_rate)
