"""The terminal's picture of a take being tracked, and the table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from backend.client.blender_exports import any_export, is_blenders
from backend.client.export import ExportRequest, export_to_file
from backend.client.refine import RefineRequest, refine_to_folder
from backend.client.request import TrackRequest
from backend.client.track import TrackOutput, track_to_folder
from backend.progress import JobProgress
from backend.terminal.progress_bar import progress_bar
from protocol.messages import JobStatus


class ProgressView:
    """A progress bar in a terminal; one line per stage where the output is no terminal. A context manager."""

    def __init__(self, console: Console, first: str = "starting the backend") -> None:
        self._console = console
        self._last = ""
        frames = TextColumn("{task.fields[frames]}", markup=False)
        self._progress = progress_bar(console, TaskProgressColumn(), frames, TimeElapsedColumn())
        self._task: TaskID = self._progress.add_task(first, total=1.0, frames="")

    def __enter__(self) -> ProgressView:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_status(self, status: JobStatus) -> None:
        """Show where a job stands; its end shows by itself."""
        if status.finished:
            return
        words = status.stage or status.state
        if status.queue_position:
            words = f"waiting behind {status.queue_position} other job{'s' if status.queue_position > 1 else ''}"
        frames = f"{status.frames_done}/{status.frames_total} frames" if status.frames_total else ""
        self._show(words, status.fraction, frames)

    def on_progress(self, progress: JobProgress) -> None:
        """Show how far work is that this process does itself."""
        frames = f"{progress.frames_done}/{progress.frames_total} frames" if progress.frames_total else ""
        self._show(progress.stage, progress.fraction, frames)

    def on_stage(self, words: str) -> None:
        """Show what happens after the job."""
        self._show(words, 1.0, "")

    def _show(self, words: str, fraction: float, frames: str) -> None:
        self._progress.update(self._task, description=words, completed=fraction, frames=frames)
        if words != self._last and not self._console.is_terminal:
            self._console.print(f"{words} …", markup=False, highlight=False)
        self._last = words


def track_with_progress(request: TrackRequest, console: Console | None = None) -> TrackOutput:
    """Track footage with a progress bar, then print what came out.

    Raises UserError, and KeyboardInterrupt once the job is cancelled.
    """
    console = console or Console(stderr=True)
    try:
        with ProgressView(console) as view:
            output = track_to_folder(request, view.on_status, view.on_stage)
    except KeyboardInterrupt as interrupt:
        console.print(str(interrupt) or "stopped; the job is cancelled", markup=False, highlight=False)
        raise
    Console().print(summary_table(request.footage, output))
    return output


def refine_with_progress(request: RefineRequest, console: Console | None = None) -> TrackOutput:
    """Refine a take with a progress bar, then print what came out; raises as ``refine_to_folder``."""
    with ProgressView(console or Console(stderr=True)) as view:
        output = refine_to_folder(request, view.on_status, view.on_stage)
    Console().print(refine_table(output))
    return output


def export_with_progress(request: ExportRequest, console: Console | None = None) -> None:
    """Export takes, with a progress bar where it may take long, then print where to; raises as ``export_to_file``."""
    if any_export(request.format).folder or is_blenders(request.format):
        with ProgressView(console or Console(stderr=True), "exporting") as view:
            path = export_to_file(request, view.on_status, view.on_progress)
    else:
        path = export_to_file(request)
    Console().print(str(path), markup=False, highlight=False, soft_wrap=True)


def refine_table(output: TrackOutput) -> Table:
    """What a refine did, and where the files are."""
    table, done = _plain_table(""), output.report["refine"]
    solved = ", ".join(f"{first} to {last}" for first, last in done["frames"]) or "none"
    table.add_row("frames solved again", Text(solved))
    for pin in done["pins"]:
        words = f"{pin['view']}, frame {pin['frame']}: {pin['before_px']:.1f} px off, now {pin['after_px']:.1f}"
        table.add_row("pin", Text(words))
    table.add_row("time", Text(", ".join(f"{name} {value:.1f} s" for name, value in done["seconds"].items())))
    for warning in done["warnings"]:
        table.add_row("warning", Text(warning))
    for name, path in output.files.items():
        table.add_row(name, Text(str(path)))
    return table


def _plain_table(title: str) -> Table:
    """Two columns: a name, and what there is to say."""
    shown = Text(title) if title else None
    table = Table(title=shown, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def summary_table(footage: Sequence[Path], output: TrackOutput) -> Table:
    """The report's figures and where the files are."""
    title = str(footage[0]) + (f" and {len(footage) - 1} more" if len(footage) > 1 else "")
    table = _plain_table(title)
    for name, value in _rows(output.report):
        table.add_row(name, Text(value))
    views = output.report.get("views", [])
    for view in views if len(views) > 1 else []:
        table.add_row(f"  {view['name']}", Text(_view_words(view)))
    others = output.report.get("others", [])
    for head in [{**output.report, "name": "head 1"}, *others] if others else []:
        error = head["reprojection_error_percent_iod"]["mean"]
        found = f"{head['frames_tracked']} of {head['frames']} frames"
        table.add_row(f"  {head['name']}", Text(found + ("" if error is None else f", error {error:.2f} %")))
    for warning in output.report.get("warnings", []):
        table.add_row("warning", Text(warning))
    for name, path in output.files.items():
        table.add_row(name, Text(str(path)))  # brackets in a path are no markup
    return table


def _rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    error, seconds = report["reprojection_error_percent_iod"], report["seconds"]
    faces = report["faces_seen"]
    tracked = 1 + len(report.get("others", []))
    said = f"{tracked} were tracked" if tracked > 1 else "one was tracked, the largest unless --face chose it"
    several = [("faces seen", f"{faces}: {said}")] if faces > 1 else []
    stills = report.get("photographs")
    done = ("frames tracked", f"{report['frames_tracked']} of {report['frames']}")
    return [
        ("photographs", f"{stills}, up to {report['apart_deg']:.0f}° apart") if stills else done,
        *several,
        ("reprojection error", f"mean {error['mean']:.2f} %, p95 {error['p95']:.2f} % of the inter-ocular distance"),
        ("focal length", f"{report['focal_px']:.0f} px"),
        *_uncertainty(report),
        *_matching(report),
        *_following(report),
        ("time", ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())),
        ("speed", f"{report['frames_per_second']:.1f} frames per second"),
    ]


def _uncertainty(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    sigma = report.get("uncertainty_mm")
    return [] if sigma is None else [("uncertainty", f"{sigma:.2f} mm of a point of the face (one standard deviation)")]


def _matching(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    matching = report.get("matching")
    if matching is None:
        return []
    keypoints, frames = sum(matching["keypoints"].values()), len(matching["frames"])
    return [
        (
            "skin matched",
            f"{keypoints} keypoints in {frames} frame{'s' * (frames > 1)}, to {matching['residual_px']:.2f} px",
        )
    ]


def _following(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The error of skin followed in time, which stands beside the aligner's."""
    found = report.get("matching_in_time")
    if found is None:
        return []
    before, after = found["before"], found["after"]
    return [
        (
            "skin error",
            f"mean {after['mean_percent_iod']:.2f} %, p95 {after['p95_percent_iod']:.2f} % of the inter-ocular "
            f"distance ({after['mean_px']:.2f} px; {before['mean_percent_iod']:.2f} % and {before['mean_px']:.2f} px "
            "by the face's points alone)",
        ),
        ("skin matched", f"{found['keypoints']:.0f} keypoints a frame in {found['frames']} frames"),
    ]


def _view_words(view: Mapping[str, Any]) -> str:
    error = view["reprojection_error_percent_iod"]["mean"]
    seen = f"{view['frames_seen']} frames, " + ("no face" if error is None else f"error {error:.2f} %")
    known = "known" if view["focal_known"] else "solved"
    return f"{seen}, focal length {view['focal_px']:.0f} px ({known})"
