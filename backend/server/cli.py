"""``flowface serve``: run a backend until it is told to stop."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.errors import UserError
from backend.server.device import AUTO, environment
from backend.server.endpoint import DEFAULT_ENDPOINT
from backend.server.logs import LogFormat, logging_to
from protocol.version import PROTOCOL_VERSION

if TYPE_CHECKING:
    from backend.server.app import Server

log = logging.getLogger("flowface")


def serve(
    endpoint: Annotated[
        str, typer.Option(help="Address to listen on; * as the port means any free one.")
    ] = DEFAULT_ENDPOINT,
    jobs_dir: Annotated[Path | None, typer.Option(help="Folder for jobs and their results.")] = None,
    parent_pid: Annotated[int | None, typer.Option(help="Stop when this process ends.")] = None,
    device: Annotated[str, typer.Option(help="Device of fits: auto (CUDA where there is one), cpu or cuda.")] = AUTO,
    finish_jobs: Annotated[
        bool, typer.Option("--finish-jobs", help="When that process ends, finish all jobs before stopping.")
    ] = False,
    keep_gb: Annotated[
        float | None,
        typer.Option(
            help="Where all jobs together take more gigabytes, delete the oldest whose result somebody has fetched, or "
            "that have none.",
            min=0.0,
        ),
    ] = None,
    keep_days: Annotated[
        float | None,
        typer.Option(help="Delete jobs that are over, fetched or not, so many days after they were made.", min=0.0),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            help="Address at which to listen to clients on other machines, such as tcp://0.0.0.0:5794; only those with "
            "a key that “flowface keys” made or was told to trust are answered.",
        ),
    ] = "",
    private: Annotated[bool, typer.Option(help="Do not tell other programs where this backend listens.")] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="Lines for people, or one JSON map an event for programs.")
    ] = LogFormat.TEXT,
) -> None:
    """Run a backend that add-on and command line can submit footage to.

    Prints one JSON line with its endpoint when it is ready, then logs to standard error, and to logs/backend.log in the
    state folder.
    """
    # Here, not above: ``flowface --help`` lists this command and must not load sockets and numpy for that.
    from backend.server.app import Server
    from backend.server.connections import raise_file_limit
    from backend.server.discovery import default_jobs_dir
    from backend.server.retention import Retention

    for stream in (sys.stdout, sys.stderr):  # a letter that the console lacks must not end the backend
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    raise_file_limit()
    with logging_to(log_format):
        try:
            server = Server(
                jobs_dir or default_jobs_dir(),
                endpoint,
                device=device,
                parent_pid=parent_pid,
                finish_jobs=finish_jobs,
                retention=Retention.of(keep_gb, keep_days),
                adopt=not private,
                network=network or None,
            )
            _run(server, private=private)
        except UserError as error:
            log.error("%s", error)
            raise typer.Exit(1) from None
        except Exception:
            log.exception("the backend ends by an error of its own")
            raise typer.Exit(1) from None


def _run(server: Server, *, private: bool) -> None:
    """Serve until the end of ``server``, or of this process by a signal."""
    from backend.server.discovery import RunningServer, advertise, withdraw
    from backend.server.process import start_time

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: server.stop())
    me = RunningServer(server.endpoint, os.getpid(), PROTOCOL_VERSION, start_time(os.getpid()))
    if not private:
        advertise(me)
    print(json.dumps(me.__dict__), flush=True)
    log.info("listening on %s, protocol %d", server.endpoint, PROTOCOL_VERSION)
    if server.network_endpoint is not None:
        log.info("listening to trusted keys on %s", server.network_endpoint)
    try:
        server.run()
    finally:
        withdraw(me)


def check(
    jobs_dir: Annotated[Path | None, typer.Option(help="Folder for jobs and their results.")] = None,
    device: Annotated[str, typer.Option(help="Device of fits: auto, cpu or cuda.")] = AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each finding.")] = False,
) -> None:
    """Say what of this backend works, what does not and how to mend it."""
    try:
        os.environ.update(environment(device))  # before anything loads torch
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    from backend.server.app import DEFAULT_RUNNER
    from backend.server.check import Verdict
    from backend.server.check import check as findings
    from backend.server.discovery import default_jobs_dir

    bad = False
    for finding in findings(jobs_dir or default_jobs_dir(), DEFAULT_RUNNER):
        bad = bad or finding.verdict is Verdict.BAD
        if as_json:
            print(json.dumps(finding.__dict__), flush=True)
        else:
            typer.echo(f"{finding.verdict:<8}{finding.sentence} {finding.hint}".rstrip())
    if bad:
        raise typer.Exit(2)
