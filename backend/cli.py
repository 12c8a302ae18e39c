"""The ``flowface`` command. Each command imports its own heavy modules, so that ``--help`` is instant."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from backend.client.batch.cli import batch
from backend.client.cli import export, refine, track, transfer
from backend.demo.cli import demo
from backend.errors import UserError
from backend.evaluation.cli import evaluate
from backend.head_model import cli as head_model_cli
from backend.overlay.cli import compare
from backend.server.cli import check, serve
from backend.timing import cli as timing_cli
from backend.training import cli as training_cli

if TYPE_CHECKING:
    from backend.alignment.landmarks.plain_mesh import PlainFaceMesh

COMMANDS = (
    *(track, batch, refine, export, transfer, compare, demo, serve, check, evaluate),
    *(training_cli.train, training_cli.train_render, training_cli.train_sheet),
    *(training_cli.train_measure, training_cli.train_export),
)
GROUPS = {"head": head_model_cli.app, "benchmark": timing_cli.app}

app = typer.Typer(
    name="flowface",
    help="Facial performance tracking for Blender: footage in, an animated, editable head and camera out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flowface {metadata.version('flowface')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    context.obj = _still_face_mesh


def _still_face_mesh() -> PlainFaceMesh:
    from backend.alignment.landmarks.plain_mesh import still_face_mesh

    return still_face_mesh()


def _report_bug(error: Exception) -> str:
    """Put the traceback into a file and say where it is."""
    handle, path = tempfile.mkstemp(prefix="flowface-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return f"FlowFace stopped because of an error in itself ({type(error).__name__}); please report it with {path}."


def main() -> None:
    """Run the command line: 0 success, 1 an error of FlowFace itself, 2 what the user can mend, 130 interrupted.

    A batch in which clips failed ends with 3.
    """
    for stream in (sys.stdout, sys.stderr):  # a letter that the console lacks must not end a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except UserError as error:
        typer.echo(f"flowface: {error.message}", err=True)
        if error.hint:
            typer.echo(f"  {error.hint}", err=True)
        sys.exit(2)
    except Exception as error:
        typer.echo(_report_bug(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
