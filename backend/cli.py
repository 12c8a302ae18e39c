"""The ``flowface`` command. Each command imports its own heavy modules, so that ``--help`` is instant."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
import traceback
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from backend.adaptation.cli import adapt
from backend.appearance import cli as appearance_cli
from backend.client import jobs_cli
from backend.client.batch.cli import batch
from backend.client.cli import export, refine, track, transfer
from backend.client.photographs_cli import photographs
from backend.demo.cli import demo
from backend.errors import UserError
from backend.evaluation.challenges import cli as challenges_cli
from backend.evaluation.cli import evaluate
from backend.evaluation.photographs_cli import evaluate_photographs
from backend.evaluation.renders_cli import evaluate_renders
from backend.evaluation.speech_cli import evaluate_speech
from backend.head_model import cli as head_model_cli
from backend.live.cli import live
from backend.overlay.cli import compare
from backend.reading import told_by_system
from backend.server import keys_cli
from backend.server.cli import check, serve
from backend.terminal.ending import INTERRUPTED, interrupted_status
from backend.timing import cli as timing_cli
from backend.training import cli as training_cli
from backend.training.coarse import cli as coarse_cli
from backend.training.scans import cli as scans_cli
from protocol.codec import ProtocolError

if TYPE_CHECKING:
    from backend.alignment.landmarks.plain_mesh import PlainFaceMesh

COMMANDS = (
    *(track, photographs, batch, refine, export, transfer, compare, demo, serve, check, adapt, live),
    *(evaluate, evaluate_renders, evaluate_speech, evaluate_photographs),
    *(training_cli.train, training_cli.train_render, training_cli.train_sheet),
    *(training_cli.train_measure, training_cli.train_export),
    *(coarse_cli.train_coarse, coarse_cli.measure_coarse),
)
GROUPS = {
    "jobs": jobs_cli.app,
    "head": head_model_cli.app,
    "driver": appearance_cli.app,
    "keys": keys_cli.app,
    "benchmark": timing_cli.app,
    "challenge": challenges_cli.app,
    "scans": scans_cli.app,
}

NO_READER = 141
"""Exit status of a command whose output nobody reads any more (``| head``): 128 and SIGPIPE, as shells have it."""

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
    sentence = f"FlowFace stopped because of an error in itself ({type(error).__name__})"
    try:
        handle, path = tempfile.mkstemp(prefix="flowface-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            traceback.print_exception(error, file=file)
    except OSError:  # the disk may be what the error is about
        return f"{sentence}: {' '.join(str(error).split())[:200]}"
    return f"{sentence}; please report it with {path}."


def main() -> None:
    """Run the command line.

    Its exit status: 0 success, 1 an error of FlowFace itself, 2 what the user can mend, 3 a batch in which clips
    failed, 130 Ctrl-C (143 and 129 for SIGTERM and SIGHUP), 141 where nobody reads its output any more.
    """
    for stream in (sys.stdout, sys.stderr):  # a letter that the console lacks must not end a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        status = NO_READER
    except KeyboardInterrupt:  # a second one, while the first was being heeded
        status = interrupted_status()
    if status == NO_READER:
        _write_nowhere()
    sys.exit(status)


def _run() -> int:
    """Run the command and say in words what went wrong; returns the exit status."""
    try:
        app()
    except SystemExit as end:
        if getattr(end.__context__, "errno", None) == errno.EPIPE:
            return NO_READER
        return interrupted_status() if end.code == INTERRUPTED else _status(end)
    except (UserError, ProtocolError) as error:
        return _refused(error)
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            raise
        if isinstance(error, OSError) and (told := told_by_system(error)) is not None:
            return _refused(told)
        typer.echo(_report_bug(error), err=True)
        return 1
    return 0


def _status(end: SystemExit) -> int:
    return end.code if isinstance(end.code, int) else int(end.code is not None)


def _write_nowhere() -> None:
    """Python flushes both at its end and would say that it cannot."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())


def _refused(error: UserError | ProtocolError) -> int:
    typer.echo(f"flowface: {error.message}", err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)
    return 2


if __name__ == "__main__":
    main()
