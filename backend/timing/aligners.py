"""The run of ``flowface benchmark align``: every case in turn, then a table and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich import box
from rich.console import Console
from rich.progress import MofNCompleteColumn, TimeElapsedColumn
from rich.table import Table

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.terminal.progress_bar import progress_bar

if TYPE_CHECKING:
    from backend.timing.network import Case

FACE_MESH = "face_mesh"
"""Timed as the configuration face_cpu trains it: its trunk on the paper's update and crops is nobody's network."""

PAPER = (("b1", 17.3, 29.0), ("b2", 31.0, 46.0), ("b5", 88.2, 75.0))
"""Encoder, million parameters and milliseconds of the paper's networks of three iterations at 512².

The milliseconds are those of a Quadro RTX 5000 (seeds/001 table 4).
"""


@dataclass(frozen=True)
class AlignBenchmarkOptions:
    """The choices of a timing: every combination of them is timed.

    ``device`` “auto” is the CPU, and the GPU where there is one; ``seconds`` is how long each case is measured for;
    ``weights`` None adds the default weights' network, where there are any.
    """

    out: Path
    encoders: tuple[str, ...]
    sizes: tuple[int, ...] = (512,)
    batches: tuple[int, ...] = (1,)
    device: str = "auto"
    compiled: bool = False
    weights: Path | None = None
    seconds: float = 6.0


def benchmark_align(options: AlignBenchmarkOptions, console: Console | None = None) -> dict[str, Any]:
    """Time every case; writes ``align.json`` into ``options.out`` as it goes, prints a table, returns the JSON.

    Raises UserError: ``output_unwritable``; ``no_cuda``; ``bad_numbers`` for a size that the network cannot have;
    ``weights_missing`` and ``bad_weights`` where weights are named.
    """
    import torch

    from backend.alignment.flowface.network import FlowFaceNetwork
    from backend.alignment.flowface.runtime import openvino_installed
    from backend.alignment.flowface.weights import find_weights, weights_available
    from backend.alignment.flowface.weights_file import load_weights
    from backend.timing.machine import machine
    from backend.timing.network import released, time_mediapipe, time_network
    from backend.training.config import find_config, read_config

    devices = _devices(options.device, torch.cuda.is_available())
    networks: dict[str, FlowFaceNetwork | None] = dict.fromkeys(options.encoders)
    if FACE_MESH in networks:
        networks[FACE_MESH] = FlowFaceNetwork(read_config(find_config("face_cpu")).network)
    if options.weights is not None or weights_available():
        found = find_weights(options.weights)
        networks[found.name] = load_weights(found)
    cases = list(_cases(options, devices, networks, openvino_installed()))
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"Results cannot be written to {options.out}: {error.strerror}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder with --out.") from error
    paper = [dict(zip(("encoder", "million_parameters", "ms_per_image"), row, strict=True)) for row in PAPER]
    results: dict[str, Any] = {"machine": machine(), "paper": paper, "rows": []}
    with progress_bar(console or Console(stderr=True), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("mediapipe", total=len(cases) + 1)
        results["rows"].append(time_mediapipe(options.seconds))
        for case in cases:
            progress.update(task, advance=1, description=_words(case))
            with released(case.device):
                try:
                    row = time_network(case, options.seconds, networks[case.name])
                except torch.OutOfMemoryError:
                    row = {**case.told, "ms_per_image": None}
            results["rows"].append(row)
            write_atomic(options.out / "align.json", json.dumps(results, indent=1).encode())
    write_atomic(options.out / "align.json", json.dumps(results, indent=1).encode())
    shown = Console()
    shown.print(align_table(results["rows"], results["machine"]))
    shown.print(f"figures: {options.out / 'align.json'}", markup=False)
    return results


def _words(case: Case) -> str:
    return f"{case.name}, {case.config.image_size}², {case.batch} at once on {case.device}"


def _devices(wanted: str, cuda: bool) -> tuple[str, ...]:
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(ErrorCode.UNKNOWN_DEVICE, f"There is no device “{wanted[:20]}”; use auto, cpu or cuda.")
    if wanted == "cuda" and not cuda:
        raise UserError(ErrorCode.NO_CUDA, "There is no GPU that torch can use.", "Use --device cpu.")
    if wanted == "auto":
        return ("cpu", "cuda") if cuda else ("cpu",)
    return (wanted,)


def _cases(
    options: AlignBenchmarkOptions, devices: Sequence[str], networks: Mapping[str, Any], openvino: bool
) -> Iterator[Case]:
    from backend.alignment.flowface.config import Encoder, NetworkConfig
    from backend.timing.network import Case, Precision

    for device in devices:
        precisions: tuple[Precision, ...] = ("float32", "bfloat16") if device == "cuda" else ("float32",)
        for name, network in networks.items():
            for size in options.sizes if network is None else (network.config.image_size,):
                try:
                    config = (
                        NetworkConfig(encoder=cast("Encoder", name), image_size=size)
                        if network is None
                        else network.config
                    )
                except ValueError as error:
                    sentence = f"The network cannot have crops of {size} pixels: {error}."
                    raise UserError(ErrorCode.BAD_NUMBERS, sentence) from error
                for batch in options.batches:
                    for precision in precisions:
                        case = Case(name, config, batch, device, precision)
                        yield case
                        if openvino and device == "cpu":
                            yield replace(case, runtime="openvino")
                        if options.compiled:
                            yield replace(case, compiled=True)


def _runtime(row: Mapping[str, Any]) -> str:
    return ", OpenVINO" if row.get("runtime") == "openvino" else ""


def align_table(rows: Sequence[Mapping[str, Any]], where: Mapping[str, Any]) -> Table:
    """Every row, MediaPipe's first and the paper's last."""
    table = Table(title="alignment, milliseconds per image", title_justify="left", box=box.SIMPLE)
    for column in ("network", "crops", "on", "ms", "M weights", "GPU MB"):
        table.add_column(column, justify="left" if column in ("network", "on") else "right", no_wrap=True)
    for row in rows:
        ms, count, memory = row.get("ms_per_image"), row.get("million_parameters"), row.get("cuda_peak_mb")
        short = "" if row["precision"] == "float32" else f" {row['precision']}"
        table.add_row(
            str(row["name"]),
            f"{row['batch']} × {row['size']}²",
            f"{row['device']}{short}" + (" compiled" if row.get("compiled") else "") + _runtime(row),
            "too large" if ms is None else f"{ms:.1f}",
            "" if count is None else f"{count:.1f}",
            "" if memory is None else f"{memory:.0f}",
        )
    table.add_section()
    for encoder, count, ms in PAPER:
        words = (f"{encoder}, the paper's", "1 × 512²", "Quadro RTX 5000", f"{ms:.1f}", f"{count:.1f}", "")
        table.add_row(*words, style="dim")
    gpu = f", {where['cuda']}" if where.get("cuda") else ""
    table.caption = (
        f"{where['cpu_count']} CPU cores ({where['torch_threads']} threads){gpu}. mediapipe: the aligner as it is, "
        "two runs of its network side by side, irises and crops; otherwise the networks alone, b0 to b5 with "
        "the paper's update, face_mesh as face_cpu trains it. Last: FlowFace's table 4."
    )
    return table
