"""The times that a GPU is for: the paper's whole take, and alignment in batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from backend.alignment.flowface.config import Encoder, NetworkConfig
from backend.fitting import FitOptions, View, fit_take
from backend.fitting.normal_equations import factorise
from backend.fitting.prepare import prepare
from backend.fitting.solver.levenberg_marquardt import Stage, free_unknowns
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.synthesis.alignments import dense_views, with_every_vertex
from backend.timing.gpu.types import Timing
from backend.timing.network import Case, Precision, released, time_network
from backend.timing.report import PAPER
from backend.timing.sizes import Size

FIT_GOAL = 10.0
"""Seconds: the paper's take in the time of a coffee's first sip, and not 21 minutes."""

ALIGN_GOAL = 5.0
"""Milliseconds an image of the paper's largest network, by a fifteenth of its own time; 520 × 17 of them in 44 s."""


def fit_time(device: str, size: Size) -> Timing:
    """Seconds that the fit of a take of dense alignments takes, every camera unknown; a small one went before it.

    ``parts`` in the details are seconds of what a fit repeats, each once: to know where a slow one's time goes.
    """
    head = with_every_vertex(load_head("open"))
    fit_take(head, dense_views(head, min(12, size.frames), 2), FitOptions(device=device))
    views = dense_views(head, size.frames, size.cameras)
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    began, worked = time.perf_counter(), time.process_time()
    fit = fit_take(head, views, FitOptions(device=device))
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    details: dict[str, Any] = {
        "points": head.vertex_count,
        "iterations": fit.iterations,
        "core_seconds": round(worked, 3),
        "gpu_peak_mb": round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else None,
        "error_px": round(float(np.nanmean(fit.reprojection_error_px)), 4),
        "paper_seconds": PAPER["seconds"],
        "parts": _parts(head, views, device),
    }
    return Timing(f"fit of {size.frames} frames × {size.cameras} cameras", round(seconds, 3), "s", FIT_GOAL, details)


def _parts(head: HeadModel, views: Sequence[View], device: str) -> dict[str, float]:
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()
        seconds[name] = round(time.perf_counter() - began, 4)
        began = time.perf_counter()

    take = prepare(head, views, FitOptions(device=device))
    lap("first guess")
    problem = take.problem()
    lap("the energy's terms")
    problem.energy(take.start)
    lap("one energy")
    equations = problem.linearise(take.start)
    lap("one linearisation")
    factors = factorise(equations, *free_unknowns(problem, take.start, Stage()), 1e-3)
    lap("one factorisation")
    factors.step()
    lap("one back-substitution")
    return seconds


def align_times(device: str, encoder: Encoder, size: int, batches: tuple[int, ...], seconds: float) -> Iterator[Timing]:
    """Milliseconds an image of a network with random weights, as it is and in half precision; the best has the goal."""
    rows = []
    precisions: tuple[Precision, ...] = ("float32", "bfloat16") if device == "cuda" else ("float32",)
    for precision in precisions:
        for batch in batches:
            with released(device):
                try:
                    case = Case(encoder, NetworkConfig(encoder=encoder, image_size=size), batch, device, precision)
                    rows.append(time_network(case, seconds))
                except torch.OutOfMemoryError:
                    rows.append({"batch": batch, "precision": precision, "ms_per_image": None})
    timed = [row for row in rows if row["ms_per_image"] is not None]
    best = min(timed, key=lambda row: row["ms_per_image"]) if timed else None
    name = f"alignment, MiT-{encoder} at {size}²"
    yield Timing(
        name,
        None if best is None else round(best["ms_per_image"], 3),
        "ms an image",
        ALIGN_GOAL,
        {"best": None if best is None else {key: best[key] for key in ("batch", "precision")}, "rows": rows},
    )
