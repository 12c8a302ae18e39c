"""``flowface jobs …``: list, show, follow, fetch, cancel and remove jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from backend.client.address import EndpointOption, KeyOption, address

app = typer.Typer(help="Jobs: list, show, follow, fetch, cancel and remove them.", invoke_without_command=True)

JobsDir = Annotated[
    Path | None, typer.Option(help="Folder of jobs to look into; else a backend's, else where backends keep them.")
]
Limit = Annotated[int, typer.Option(help="How many of the latest to list.", min=1, max=200)]
Json = Annotated[bool, typer.Option("--json", help="One JSON line for each job.")]
Job = Annotated[
    str,
    typer.Argument(
        help="Its id, the beginning of that where no other begins so, or “last” for the newest.",
        metavar="JOB",
        show_default=False,
    ),
]


@app.callback()
def jobs(
    context: typer.Context,
    limit: Limit = 50,
    as_json: Json = False,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    jobs_dir: JobsDir = None,
) -> None:
    """Jobs: list, show, follow, fetch, cancel and remove them. Without one of these: list."""
    if context.invoked_subcommand is None:
        list_command(limit, as_json, endpoint, key, jobs_dir)


@app.command("list")
def list_command(
    limit: Limit = 50,
    as_json: Json = False,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    jobs_dir: JobsDir = None,
) -> None:
    """List the latest jobs, newest first."""
    from rich.console import Console

    from backend.client.job_access import job_access
    from backend.client.job_table import job_table, plain

    with job_access(address(endpoint, key), jobs_dir) as access:
        found = access.jobs(limit)
    if as_json:
        for job in found:
            typer.echo(json.dumps(plain(job)))
    elif found:
        Console().print(job_table(found))
    else:
        typer.echo("There are no jobs.")


@app.command()
def show(
    job: Job, as_json: Json = False, endpoint: EndpointOption = "", key: KeyOption = "", jobs_dir: JobsDir = None
) -> None:
    """Show all that is known of a job."""
    from rich.console import Console

    from backend.client.job_access import find_job, job_access
    from backend.client.job_table import details, plain

    with job_access(address(endpoint, key), jobs_dir) as access:
        found = find_job(access, job)
    if as_json:
        typer.echo(json.dumps(plain(found)))
    else:
        Console().print(details(found))


@app.command()
def follow(job: Job, endpoint: EndpointOption = "", key: KeyOption = "", jobs_dir: JobsDir = None) -> None:
    """Watch a job until it is over; Ctrl-C stops watching only, the job goes on."""
    from rich.console import Console

    from backend.client.job_access import find_job, job_access
    from backend.client.terminal import ProgressView
    from backend.errors import UserError

    with job_access(address(endpoint, key), jobs_dir) as access:
        found = find_job(access, job)
        with ProgressView(Console(stderr=True)) as view:
            final = access.wait(found.job_id, view.on_status)
    typer.echo(f"{final.job_id} is {final.state}")
    if final.problem is not None:
        raise UserError(final.problem.code, final.problem.message, final.problem.hint)


@app.command()
def fetch(
    job: Job,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    blend: Annotated[bool, typer.Option("--blend/--no-blend", help="Write scene.blend.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write the overlay picture or video.")] = True,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    jobs_dir: JobsDir = None,
) -> None:
    """Write what a finished job has left into a folder, as “flowface track” does."""
    from rich.console import Console

    from backend.client.fetch import fetch_to_folder
    from backend.client.job_access import find_job, job_access
    from backend.client.terminal import ProgressView

    with job_access(address(endpoint, key), jobs_dir) as access:
        found = find_job(access, job)
        with ProgressView(Console(stderr=True)) as view:
            files = fetch_to_folder(access, found, out, blend=blend, overlay=overlay, on_stage=view.on_stage)
    for path in files.values():
        typer.echo(str(path))


@app.command()
def cancel(job: Job, endpoint: EndpointOption = "", key: KeyOption = "", jobs_dir: JobsDir = None) -> None:
    """Stop a job that waits or runs."""
    from backend.client.job_access import find_job, job_access

    with job_access(address(endpoint, key), jobs_dir) as access:
        status = access.cancel(find_job(access, job).job_id)
        final = status if status.finished else access.wait(status.job_id)
    typer.echo(f"{final.job_id} is {final.state}")


@app.command()
def remove(
    jobs: Annotated[list[str], typer.Argument(help="As for the other commands.", metavar="JOB...", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    jobs_dir: JobsDir = None,
) -> None:
    """Delete jobs that are over, with all that they left."""
    from rich.console import Console

    from backend.client.job_access import find_job, job_access
    from backend.client.job_table import job_table
    from backend.server.refusals import require_over

    with job_access(address(endpoint, key), jobs_dir) as access:
        found = {status.job_id: status for status in (find_job(access, job) for job in jobs)}
        for status in found.values():
            require_over(status)
        if not yes:
            Console().print(job_table(found.values()))
            typer.confirm(
                f"Delete {'this job' if len(found) == 1 else f'these {len(found)} jobs'} for good?", abort=True
            )
        for job_id in found:
            access.remove(job_id)
            typer.echo(f"{job_id} is removed")
