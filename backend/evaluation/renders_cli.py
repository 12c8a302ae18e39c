"""``flowface evaluate-renders``: a head avatar's renders against the pictures that an export kept back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from backend.errors import ErrorCode, UserError


def evaluate_renders(
    renders: Annotated[Path, typer.Argument(help="Folder of an avatar's renders.", metavar="RENDERS")],
    export: Annotated[
        Path,
        typer.Argument(help="Folder that flowface export wrote: insta, nerf or gaussian_avatars.", metavar="EXPORT"),
    ],
    split: Annotated[str, typer.Option(help="Which frames were rendered: test, val, train or all.")] = "test",
    background: Annotated[
        str, typer.Option(help="What lies behind the person in both: white, black, or footage as it was.")
    ] = "white",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where results go as JSON.", metavar="FILE")] = None,
) -> None:
    """Measure renders by PSNR and SSIM, whole pictures and the foreground alone; prints their means.

    Renders are taken for the export's picture of the same name, or in the order of its frames where there are as many.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn
    from rich.table import Table

    from backend.evaluation.renders import BACKGROUNDS, SPLITS, Background, as_json, evaluate_pairs, find_pairs
    from backend.files import write_atomic
    from backend.terminal.progress_bar import progress_bar

    for name, value, known in (("--split", split, SPLITS), ("--background", background, BACKGROUNDS)):
        if value not in known:
            raise UserError(ErrorCode.BAD_OPTION, f"{name} is “{value[:40]}”.", f"Give one of {', '.join(known)}.")
    pairs = find_pairs(renders, export, split)
    console = Console()
    with progress_bar(console, MofNCompleteColumn()) as progress:
        task = progress.add_task("comparing pictures", total=len(pairs))
        mean, content = evaluate_pairs(
            pairs, cast(Background, background), lambda done: progress.update(task, completed=done)
        )
    table = Table("", "PSNR (dB)", "SSIM", title=f"{len(pairs)} renders")
    table.add_row("whole picture", _told(mean.psnr, 2), _told(mean.ssim, 4))
    table.add_row("foreground", _told(mean.psnr_foreground, 2), _told(mean.ssim_foreground, 4))
    console.print(table)
    if out is not None:
        write_atomic(out, as_json(content), public=True)
        console.print(str(out), markup=False, highlight=False)


def _told(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
