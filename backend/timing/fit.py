"""The run of ``flowface benchmark fit``: the race, the sizes, and their figures as tables, JSON and a plot."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.terminal.progress_bar import progress_bar
from backend.timing.machine import machine
from backend.timing.report import draw_race, race_record, race_table, sizes_table
from backend.timing.sizes import FULL, QUICK, measure_all

if TYPE_CHECKING:
    from backend.fitting.prepare import Take
    from backend.timing.race import Curve

RACE_FRAMES = 300
ADAMW_SECONDS = 900.0
QUICK_ADAMW_SECONDS = 15.0


@dataclass(frozen=True)
class BenchmarkOptions:
    """``clip`` None is the demo's rendered clip."""

    clip: Path | None
    out: Path
    quick: bool = False
    head: str = "open"


def benchmark_fit(options: BenchmarkOptions, console: Console | None = None) -> dict[str, Any]:
    """Run both parts; writes ``fit.json`` and ``race.png`` into ``options.out`` and returns what the JSON holds.

    Raises UserError for a clip that cannot be read or shows no face, and for an ``out`` that cannot be written.
    """
    console = console or Console(stderr=True)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"Results cannot be written to {options.out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error
    results: dict[str, Any] = {"machine": machine(), "quick": options.quick, "head": options.head}
    with progress_bar(console, TimeElapsedColumn()) as progress:
        task = progress.add_task("finding the face", total=None)
        take, name = _race_take(options)
        curves = _race(take, options, progress, task)
        results["race"] = {"clip": name, "frames": len(take.found), **race_record(curves)}
        results["sizes"] = []
        _save(results, options.out)
        sizes = QUICK if options.quick else FULL
        progress.reset(task, total=len(sizes))
        for size in sizes:
            progress.update(task, description=f"fitting {size.frames} frames × {size.cameras} cameras")
            results["sizes"] += list(measure_all((size,), options.head))
            progress.advance(task)
            _save(results, options.out)
    draw_race(curves, options.out / "race.png", f"{name}, {len(take.found)} frames")
    shown = Console()
    shown.print(race_table(results["race"]))
    shown.print(sizes_table(results["sizes"]))
    shown.print(f"figures: {options.out / 'fit.json'}, {options.out / 'race.png'}", markup=False)
    return results


def _race(take: Take, options: BenchmarkOptions, progress: Progress, task: Any) -> tuple[Curve, ...]:
    from backend.timing.race import race

    limit = QUICK_ADAMW_SECONDS if options.quick else ADAMW_SECONDS

    def report(name: str, step: int, energy: float, seconds: float) -> None:
        words = f"{name}: step {step}, energy {energy:.5g}, {seconds:.0f} s"
        progress.update(task, description=words, completed=None)

    return race(take, limit, report)


def _race_take(options: BenchmarkOptions) -> tuple[Take, str]:
    """The race's take, and what to call it: at most ``RACE_FRAMES`` frames from the clip's beginning."""
    from backend.alignment.align_footage import align_footage
    from backend.alignment.finder import face_finder
    from backend.alignment.registry import DEFAULT_ALIGNER, find_aligner
    from backend.fitting.prepare import prepare
    from backend.fitting.types import FitOptions, View
    from backend.footage import open_footage
    from backend.head_model.library import load_head

    head = load_head(options.head)
    clip = options.clip or _demo_clip(options.out)
    frames = 75 if options.quick else RACE_FRAMES
    footage = open_footage(str(clip), (1, frames))
    seen = align_footage(footage, find_aligner(DEFAULT_ALIGNER, head), finder=face_finder())
    return prepare(head, [View(seen.at_times(seen.times))], FitOptions()), clip.name


def _demo_clip(out: Path) -> Path:
    """Render the demo's clip, in a process of its own: Mesa's LLVM and that of torch's Triton crash each other."""
    path = out / "performance.mp4"
    child = multiprocessing.get_context("spawn").Process(target=_render_demo, args=(path,))
    child.start()
    child.join()
    if child.exitcode:
        raise UserError(
            ErrorCode.NO_DEMO_CLIP,
            "The demo's clip could not be rendered (see above).",
            "Name a video of a face to race on instead: flowface benchmark fit CLIP.",
        )
    return path


def _render_demo(path: Path) -> None:
    from backend.footage.encode import encode_evenly
    from backend.head_model.library import load_head
    from backend.synthesis.clip import render_performance
    from backend.synthesis.performance import demo_performance

    head = load_head("open")
    truth = demo_performance(head)
    encode_evenly(path, render_performance(head, truth), truth.frame_rate)


def _save(results: dict[str, Any], out: Path) -> None:
    write_atomic(out / "fit.json", json.dumps(results, indent=1, ensure_ascii=False).encode(), public=True)
