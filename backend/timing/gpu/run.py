"""The run: every check, then every time, each written down as soon as it is known."""

from __future__ import annotations

import json
import math
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from backend.alignment.flowface.config import Encoder
from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.timing.gpu.fit_checks import linearisation_differences, take_differences
from backend.timing.gpu.network_checks import alignment_differences, inference_differences, training_differences
from backend.timing.gpu.times import align_times, fit_time
from backend.timing.gpu.types import FORMAT, Check, Difference, Timing, check_record, timing_record, verdict
from backend.timing.machine import machine
from backend.timing.sizes import Size

VERSIONS = ("torch", "numpy", "scipy", "safetensors")


PAPERS_TAKE = Size(520, 17)


@dataclass(frozen=True)
class GpuSizes:
    """How much of everything: frames and cameras of the fits checked, crops, the batch of training; what is timed."""

    frames: int = 16
    cameras: int = 3
    crops: int = 4
    batch: int = 4
    take: Size = PAPERS_TAKE
    encoder: Encoder = "b5"
    side: int = 512
    batches: tuple[int, ...] = (1, 8, 32)
    seconds: float = 3.0  # each case of alignment is measured for


SMALL = GpuSizes(
    frames=4, cameras=2, crops=1, batch=1, take=Size(4, 2), encoder="b0", side=256, batches=(1,), seconds=0
)
"""For a rehearsal on the CPU: every line runs, and no time means anything."""


def run_gpu_checks(
    out: Path, device: str = "cuda", sizes: GpuSizes | None = None, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Check and time everything on ``device``; writes the JSON file ``out`` as it goes, and returns what it holds.

    On “cpu”, which is a rehearsal, times are not judged. Raises UserError: ``no_cuda``, ``unknown_device``,
    ``output_unwritable``.
    """
    require(device)
    judged = device != "cpu"
    sizes = sizes or (GpuSizes() if judged else SMALL)
    began = time.perf_counter()
    checks: list[Check] = []
    timings: list[Timing] = []

    def record() -> dict[str, Any]:
        record = {
            "format": FORMAT,
            "rehearsal": not judged,
            "device": device_words(device),
            "machine": machine(),
            "versions": versions(),
            "checks": [check_record(check) for check in checks],
            "times": [timing_record(timing, judged) for timing in timings],
            "seconds": round(time.perf_counter() - began, 1),
            "verdict": verdict(checks, timings, judged),
        }
        try:
            write_atomic(out, json.dumps(without_nan(record), indent=1, ensure_ascii=False, allow_nan=False).encode())
        except OSError as error:
            sentence = f"The results cannot be written to {out}: {error.strerror}."
            raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Name another file with --out.") from error
        return record

    record()  # before anything dear is done
    parts: tuple[tuple[str, Callable[[], list[Difference]]], ...] = (
        ("one linearisation of a fit", lambda: linearisation_differences(device, sizes.frames)),
        ("fit", lambda: take_differences(device, sizes.frames, sizes.cameras)),
        ("alignment", lambda: alignment_differences(device, sizes.crops)),
        ("inference", lambda: inference_differences(device)),
        ("training step", lambda: training_differences(device, sizes.batch)),
    )
    for name, work in parts:
        checks.append(checked(name, work))
        say(check_words(checks[-1]))
        record()
    for name, timed in (
        ("fit", lambda: [fit_time(device, sizes.take)]),
        ("alignment", lambda: align_times(device, sizes.encoder, sizes.side, sizes.batches, sizes.seconds)),
    ):
        timings += times_of(name, timed)
        say(timing_words(timings[-1]))
        record()
    return record()


def require(device: str) -> None:
    """Raise UserError where ``device`` is none that this can run on, or is not there."""
    if device not in ("cuda", "cpu"):
        sentence = f"There is no device “{device[:20]}”; use cuda, or cpu for a rehearsal."
        raise UserError(ErrorCode.UNKNOWN_DEVICE, sentence)
    if device == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        why = "this torch is one for the CPU" if built is None else "its driver or the card is missing"
        raise UserError(
            ErrorCode.NO_CUDA,
            f"No CUDA GPU can be used here ({why}), and so nothing was checked.",
            "Run it where a GPU is, or add --device cpu to rehearse it.",
        )


def checked(name: str, work: Callable[[], list[Difference]]) -> Check:
    """The check that ``work`` makes; what it raises is part of the answer, so that the rest is still told."""
    began = time.perf_counter()
    try:
        return Check(name, tuple(work()), round(time.perf_counter() - began, 3))
    except Exception as error:
        return Check(name, (), round(time.perf_counter() - began, 3), _error(error))


def times_of(name: str, work: Callable[[], Iterable[Timing]]) -> list[Timing]:
    """The times that ``work`` takes, or what stopped it."""
    try:
        return list(work())
    except Exception as error:
        return [Timing(name, None, "", error=_error(error))]


def _error(error: Exception) -> str:
    """The exception with the last lines of where it came from: nobody is there to ask when this runs."""
    return "".join(traceback.format_exception(error, limit=-6))[-3000:]


def versions() -> dict[str, str]:
    """Python's and those of the packages that results depend on."""
    told = {name: metadata.version(name) for name in VERSIONS}
    return {"python": platform.python_version(), **told}


def device_words(device: str) -> dict[str, Any]:
    """What the device is, as its driver tells it."""
    if device == "cpu":
        return {"kind": "cpu", "name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    told = torch.cuda.get_device_properties(0)
    return {
        "kind": "cuda",
        "name": told.name,
        "memory_gb": round(told.total_memory / 2**30, 1),
        "multiprocessors": told.multi_processor_count,
        "capability": f"{told.major}.{told.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def without_nan(value: Any) -> Any:
    """The same plain value with None where it holds a float that JSON has no word for."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_words(check: Check) -> str:
    """One line on a check, and one on each difference."""
    lines = [f"{'agrees' if check.passed else 'DIFFERS'}: {check.name} ({check.seconds:.1f} s)"]
    lines += [
        f"  {'' if d.passed else 'TOO FAR: '}{d.what}: {d.value:.3g} {d.unit} (≤ {d.tolerance:g})"
        for d in check.differences
    ]
    return "\n".join([*lines, *([check.error.rstrip()] if check.error else [])])


def timing_words(timing: Timing) -> str:
    """One line on a time."""
    if timing.value is None:
        return f"not timed: {timing.name}\n{timing.error or 'the memory does not suffice'}".rstrip()
    goal = "" if timing.goal is None else f" (goal ≤ {timing.goal:g})"
    return f"{timing.name}: {timing.value:g} {timing.unit}{goal}"
