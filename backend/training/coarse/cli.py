"""``flowface train-coarse`` and ``flowface measure-coarse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.training.cli import DATA, Data
from backend.training.stop import Stop

Pool = Annotated[Path, typer.Option(help="Folder of the pictures, as “flowface train-render” makes it.")]


def train_coarse(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for views, checkpoint, log and weights.")],
    pool: Pool,
    config: Annotated[str, typer.Argument(help="A TOML file, or coarse/cpu, which comes along.")] = "coarse/cpu",
    data: Data = DATA,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")] = False,
) -> None:
    """Train a regressor of the open head's coefficients from one picture; Ctrl+C stops it, --resume goes on."""
    with Stop() as stop:
        from rich.console import Console

        from backend.training.coarse.config import read_coarse_config
        from backend.training.coarse.loop import CoarseRequest
        from backend.training.coarse.loop import train_coarse as run
        from backend.training.config import find_config

        run(CoarseRequest(read_coarse_config(find_config(config)), data, pool, out, resume), Console(), stop)


def measure_coarse(
    weights: Annotated[Path, typer.Argument(help="Weights that “flowface train-coarse” wrote (.safetensors).")],
    pool: Pool,
    config: Annotated[str, typer.Option(help="The configuration that the pool was made for.")] = "coarse/cpu",
    data: Data = DATA,
    count: Annotated[int, typer.Option(help="Held-out rendered pictures to look at, 0 for all.", min=0)] = 0,
) -> None:
    """Compare the regressor with the solver's first guess and its fit, on held-out pictures."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn

    from backend.terminal.progress_bar import progress_bar
    from backend.training.coarse.config import read_coarse_config
    from backend.training.coarse.measure import coarse_table, measure, measure_real, real_sentence
    from backend.training.config import find_config

    chosen, console = read_coarse_config(find_config(config)), Console()
    with progress_bar(console, MofNCompleteColumn()) as bar:
        task = bar.add_task("looking at pictures")
        looked = []
        for total, one in measure(weights, data, pool, chosen, count):
            looked.append(one)
            bar.update(task, total=total, advance=1)
    console.print(coarse_table(looked))
    if missed := measure_real(weights, pool):
        console.print(real_sentence(missed))
