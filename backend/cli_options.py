"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Frames = Annotated[
    str, typer.Option(help="First and last frame, both included; either may be left out.", metavar="A:B")
]
Weights = Annotated[Path | None, typer.Option(help="The network's weights (.safetensors), instead of its own.")]
