"""``flowface demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("flowface-demo"),
) -> None:
    """Track a real photograph and a rendered clip of known truth, and say how far from the truth the track is."""
    from backend.demo.run import run_demo

    run_demo(out)
