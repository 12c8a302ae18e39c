"""The growth of time and memory with a take, each size fitted in a process of its own, so that its peak is its own."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

MEGABYTE = 2**20


@dataclass(frozen=True)
class Size:
    """A take: its frames and its cameras."""

    frames: int
    cameras: int


@dataclass(frozen=True)
class Measured:
    """The cost of a fit of a take of dense alignments.

    ``fit_seconds`` is ``fit_take`` as a whole (first guess, solve, uncertainty, result), ``cpu_seconds`` its
    work summed over cores: what tells on a machine that others use, too. ``peak_mb`` is the process's
    largest resident set, with Python, torch, the head and the alignments, ``before_mb`` that before the fit, and
    ``data_mb`` what the alignments alone hold. ``error_px`` is the mean distance of fitted points from observed ones.
    """

    size: Size
    points: int
    fit_seconds: float
    cpu_seconds: float
    iterations: int
    peak_mb: float
    before_mb: float
    data_mb: float
    cuda_peak_mb: float | None
    error_px: float
    energy: tuple[float, ...]


QUICK = (Size(25, 1), Size(25, 3))
FULL = (Size(75, 1), Size(300, 1), Size(300, 4), Size(520, 8), Size(520, 17))


def measure(size: Size, head_name: str, device: str = "auto") -> Measured:
    """Synthesise a take of ``size`` and fit it, in this process."""
    import numpy as np
    import torch

    from backend.fitting import FitOptions, fit_take
    from backend.head_model.library import load_head
    from backend.synthesis.alignments import dense_views, with_every_vertex

    head = with_every_vertex(load_head(head_name))
    views = dense_views(head, size.frames, size.cameras)
    cuda = torch.cuda.is_available() and device != "cpu"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    before = peak_mb()
    started, worked = time.perf_counter(), time.process_time()
    fit = fit_take(head, views, FitOptions(device=device))
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    sets = [view.alignment.point_sets[0] for view in views]
    data = sum(seen.mu.nbytes + seen.valid.nbytes for seen in sets) + sets[0].sigma.nbytes
    return Measured(
        size=size,
        points=head.vertex_count,
        fit_seconds=seconds,
        cpu_seconds=worked,
        iterations=fit.iterations,
        peak_mb=peak_mb(),
        before_mb=before,
        data_mb=data / MEGABYTE,
        cuda_peak_mb=torch.cuda.max_memory_allocated() / MEGABYTE if cuda else None,
        error_px=float(np.nanmean(fit.reprojection_error_px)),
        energy=fit.energy,
    )


def peak_mb() -> float:
    """This process's largest resident set so far, MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux: ``ru_maxrss`` would begin at what the parent held when it started this process.
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / MEGABYTE)
    import resource  # not on Windows

    scale = MEGABYTE if sys.platform == "darwin" else 1024  # macOS counts bytes, others kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def _child(pipe: Connection, size: Size, head_name: str, device: str) -> None:
    pipe.send(asdict(measure(size, head_name, device)))
    pipe.close()


def measure_all(sizes: tuple[Size, ...], head_name: str, device: str = "auto") -> Iterator[dict[str, Any]]:
    """Each size's figures as plain values, one process after the other; raises RuntimeError where one died."""
    context = multiprocessing.get_context("spawn")
    for size in sizes:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(sender, size, head_name, device))
        child.start()
        sender.close()
        try:
            yield receiver.recv()
        except EOFError as error:
            child.join()
            raise RuntimeError(
                f"fitting {size.frames} frames × {size.cameras} cameras died ({child.exitcode})"
            ) from error
        finally:
            receiver.close()
            if child.is_alive():
                child.join(timeout=5)
            if child.is_alive():
                child.terminate()
            child.join()
