"""The work of ``flowface demo``: both pieces of footage through the real path, and the distance from the truth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backend.client.request import TrackRequest
from backend.client.terminal import track_with_progress
from backend.client.track import backend_endpoint
from backend.demo.truth import TruthReport, compare
from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import demo_performance


def run_demo(out: Path) -> TruthReport:
    """Make and track both pieces of footage under ``out``; prints what was made and returns the distances."""
    console = Console(stderr=True)
    try:
        for folder in (out / "portrait", out / "rendered"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"Results cannot be written to {out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error
    portrait, clip = out / "portrait" / "astronaut.png", out / "rendered" / "performance.mp4"
    write_portrait(portrait)
    head = load_head("open")
    truth = demo_performance(head)
    with console.status(f"rendering {truth.frame_count} frames of a performance whose truth is known"):
        encode_evenly(clip, render_performance(head, truth), truth.frame_rate)
    with backend_endpoint() as endpoint:
        track_with_progress(TrackRequest((portrait,), portrait.parent, endpoint=endpoint), console)
        output = track_with_progress(TrackRequest((clip,), clip.parent, endpoint=endpoint), console)
    report = compare(head, truth, output.track)
    path = clip.parent / "truth.json"
    write_atomic(path, json.dumps(dataclasses.asdict(report), indent=2).encode(), public=True)
    Console().print(truth_table(report, path))
    return report


def write_portrait(path: Path) -> None:
    """The portrait of Eileen Collins that comes with scikit-image: a NASA photograph in the public domain."""
    try:
        from skimage.data import astronaut
        from skimage.io import imsave
    except ImportError as error:
        raise UserError(
            ErrorCode.NO_PORTRAIT,
            "The demo's portrait comes with scikit-image, which is not installed.",
            "Install this project with requirements.txt or its extra “demo”.",
        ) from error
    imsave(path, np.asarray(astronaut()), check_contrast=False)


def truth_table(report: TruthReport, path: Path) -> Table:
    """The distances in words."""
    table = Table(title="how far the rendered clip's track is from the truth", title_justify="left")
    table.show_header, table.box, table.pad_edge = False, None, False
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("face vertices", f"{report.vertex_error_percent_iod:.2f} % of the inter-ocular distance in the image")
    table.add_row(
        "head rotation",
        f"{report.rotation_error_degrees:.2f}°, {report.rotation_error_aligned_degrees:.2f}° without the constant part",
    )
    table.add_row("gaze", f"{report.gaze_error_degrees:.2f}°")
    table.add_row("focal length", f"{report.focal_ratio:.3f} × the true one")
    table.add_row("figures", Text(str(path)))
    return table
