"""``flowface benchmark``: how fast the numerics are, and against what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measure how fast this machine aligns and fits.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


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
    from backend.fitting_benchmark.run import BenchmarkOptions, benchmark_fit

    benchmark_fit(BenchmarkOptions(clip=clip, out=out, quick=quick, head=head))
