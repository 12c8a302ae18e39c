"""``python -m backend.evaluation.wrinkles``: known wrinkles of rendered people, found again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from backend.errors import UserError
from backend.files import write_atomic
from backend.terminal.progress_bar import progress_bar


def main(
    ict: Annotated[Path, typer.Option(help="ICT-FaceKit's archive, whose people are rendered.")] = Path(
        "../shared/data/ict/ict_facekit.npz"
    ),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for figures and pictures of the maps.")] = Path(
        "flowface-wrinkles"
    ),
    people: Annotated[int, typer.Option(min=1, max=10, help="How many people; each is one of dev's.")] = 1,
    frames: Annotated[int, typer.Option(min=6, max=400)] = 40,
    turn: Annotated[float, typer.Option(min=0, max=60, help="Degrees by which the head turns to either side.")] = 9.0,
    noise: Annotated[
        float, typer.Option(min=0, help="Pixels, σ of the points that the fitted track is made of.")
    ] = 1.0,
) -> None:
    """Film people with sculpted wrinkles, find them with the true track and with one fitted to noisy points."""
    from backend.evaluation.wrinkles.run import run_person

    found = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with progress_bar(Console(stderr=True)) as bar:
            task = bar.add_task("starting", total=1.0)
            for number in range(people):

                def show(done: float, words: str, number: int = number) -> None:
                    bar.update(task, completed=(number + done) / people, description=f"person {number}: {words}")

                found += run_person(ict, out, number, frames=frames, turn=turn, noise=noise, on_progress=show)
    except UserError as error:
        typer.echo(f"{error.message} {error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    for person in found:
        hair = f"hair_mm {person.hair_mm:.4f}  hair_normals {person.hair_normals:.3f}"
        typer.echo(f"person {person.number}, {person.track} track: {person.figures.row()}  {hair}")
    plain = [
        {
            "person": one.number,
            "track": one.track,
            **asdict(one.figures),
            "hair_mm": one.hair_mm,
            "hair_normals": one.hair_normals,
            **one.told,
        }
        for one in found
    ]
    write_atomic(out / "wrinkles.json", json.dumps(plain, indent=1).encode(), public=True)


if __name__ == "__main__":
    typer.run(main)
