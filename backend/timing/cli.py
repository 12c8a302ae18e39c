"""``flowface benchmark``: how fast the numerics are, and against what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.errors import ErrorCode, UserError

app = typer.Typer(help="Measure how fast this machine aligns and fits.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


ENCODERS = ("face_mesh", "b0", "b1", "b2", "b3", "b4", "b5")


def numbers(text: str, what: str) -> tuple[int, ...]:
    """Whole numbers above 0 with commas between; raises UserError ``bad_numbers``."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and 0 < int(part) < 10_000 for part in parts):
        raise UserError(
            ErrorCode.BAD_NUMBERS, f"“{text[:60]}” is no list of {what}: expected whole numbers, such as 1,8."
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def encoders(text: str) -> tuple[str, ...]:
    """Names of encoders with commas between; raises UserError ``unknown_encoder``."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in ENCODERS]
    if unknown or not names:
        raise UserError(
            ErrorCode.UNKNOWN_ENCODER,
            f"There is no encoder “{(unknown or [text])[0][:20]}”; there are {', '.join(ENCODERS)}.",
        )
    return names


@app.command()
def align(
    encoder: Annotated[
        str, typer.Option(help="Encoders to measure: face_mesh, and smallest b0 to largest b5.")
    ] = ",".join(ENCODERS),
    size: Annotated[str, typer.Option(help="Sides of the crop in pixels, multiples of 256.")] = "256,512",
    batch: Annotated[str, typer.Option(help="Images at once.")] = "1,8",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: both where there is a GPU.")] = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Measure torch.compile, too; it takes minutes to compile.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(help="Measure this network, too (.safetensors); else the shipped one, if any."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="face_mesh, b0 and b2, one image at a time.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures.")] = Path("flowface-benchmark"),
) -> None:
    """Time the alignment network, with random weights where none are given, beside MediaPipe and the paper."""
    from backend.timing.aligners import AlignBenchmarkOptions, benchmark_align

    benchmark_align(
        AlignBenchmarkOptions(
            out=out,
            encoders=("face_mesh", "b0", "b2") if quick else encoders(encoder),
            sizes=numbers(size, "sizes"),
            batches=(1,) if quick else numbers(batch, "batch sizes"),
            device=device,
            compiled=compiled,
            weights=weights,
            seconds=2.0 if quick else 6.0,
        )
    )


@app.command()
def fit(
    clip: Annotated[
        Path | None, typer.Argument(help="A video of a face to race on; the demo's rendered clip where left out.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for figures, JSON and plot.")] = Path(
        "flowface-benchmark"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Short runs and small sizes: about two minutes.")] = False,
    head: Annotated[str, typer.Option(help="Head model to fit.")] = "open",
) -> None:
    """Race the solver against AdamW on one clip, then fit ever larger takes up to the paper's of 17 cameras."""
    from backend.timing.fit import BenchmarkOptions, benchmark_fit

    benchmark_fit(BenchmarkOptions(clip=clip, out=out, quick=quick, head=head))


@app.command()
def track(
    clip: Annotated[
        Path | None, typer.Argument(help="A video of a face to track; a rendered one of 512² where left out.")
    ] = None,
    frames: Annotated[int, typer.Option(min=30, help="How many frames of it.")] = 500,
    rounds: Annotated[int, typer.Option(min=1, help="How often each variant is tracked, in turn.")] = 1,
    aligner: Annotated[str, typer.Option(help="Aligner to track with.")] = "mediapipe",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for figures and clip.")] = Path("flowface-benchmark"),
) -> None:
    """Time whole tracks by stages, with and without matching the skin in time, as frames a second and ratios."""
    from backend.timing.throughput import ThroughputOptions, benchmark_track

    benchmark_track(ThroughputOptions(clip=clip, out=out, frames=frames, rounds=rounds, aligner=aligner))


@app.command()
def live(
    video: Annotated[Path, typer.Argument(help="A video of a face, best of 640 × 480.")],
    minutes: Annotated[
        float, typer.Option(min=0, help="How long to play it, over and over; 0: once. Memory and lag must not grow.")
    ] = 0.0,
    head: Annotated[str, typer.Option(help="Head model to drive.")] = "open",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures.")] = Path("flowface-benchmark"),
) -> None:
    """Play a video as live: poses a second, milliseconds from picture to pose, CPU by stage, and by how much weights
    differ from the offline solve with the same identity."""
    from backend.timing.live import LiveBenchmarkOptions, benchmark_live

    benchmark_live(LiveBenchmarkOptions(video, out, minutes, head))
