"""``flowface challenge …``: public challenges on the data as they are downloaded, the paper's rows beside ours."""

from __future__ import annotations

from collections.abc import Callable

import typer

from backend.evaluation.challenges.facescape.cli import facescape
from backend.evaluation.challenges.landmarks.cli import COMMANDS as LANDMARKS
from backend.evaluation.challenges.multiface.cli import multiface
from backend.evaluation.challenges.now.cli import now

app = typer.Typer(
    help="Public challenges by their own protocols, on data that you have, beside the paper's figures.",
    no_args_is_help=True,
)
COMMANDS: dict[str, Callable[..., None]] = {"now": now, "facescape": facescape, "multiface": multiface, **LANDMARKS}
"""Each command by its name."""
for name, command in COMMANDS.items():
    app.command(name)(command)
