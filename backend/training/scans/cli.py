"""``flowface scans …``: the open head fitted to scans, landmarks carried to expressions, pictures to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.terminal.progress_bar import progress_bar

if TYPE_CHECKING:
    from backend.head_model.registration.types import OpenFaceMesh
    from backend.training.config import TrainConfig
    from backend.training.data.pool import MakeSource
    from backend.training.scans.report import ScanReport

app = typer.Typer(
    help="Scans to train on: fit the head to them, carry landmarks to expressions, draw pictures.",
    no_args_is_help=True,
)
_out = Console()
_SHOWN = 20  # of what is missing

_T = TypeVar("_T")

Scan = Annotated[Path, typer.Argument(help="A scan: .obj with a picture, or .ply.")]
Picture = Annotated[Path | None, typer.Option(help="The scan's picture, where its material does not name it.")]
Pool = Annotated[Path, typer.Option("--out", "-o", help="Folder of training pictures, for flowface train --pool.")]
Learner = Annotated[str, typer.Option("--config", help="The configuration that will learn from them.")]
Kind = Annotated[str, typer.Argument(help="facescape, facescape-models, stirling or famos.")]
Folders = Annotated[
    list[Path],
    typer.Argument(
        help="facescape: images meshes; facescape-models and stirling: one; famos: images calibrations registrations."
    ),
]


@app.command()
def landmarks(
    context: typer.Context,
    scan: Scan,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write (.json).")],
    texture: Picture = None,
) -> None:
    """Find the 44 landmarks of an upright scan by MediaPipe: a start, to be corrected by hand."""
    from backend.training.scans.find_landmarks import find_landmarks
    from backend.training.scans.landmarks import write_landmarks
    from backend.training.scans.mesh import read_scan

    # from backend/cli.py: what looks at pictures is chosen there
    found = find_landmarks(read_scan(scan, texture), scan.name, cast("OpenFaceMesh", context.obj))
    write_landmarks(out, found)
    _out.print(f"{out}: look at them before you register")


@app.command()
def register(
    scan: Scan,
    landmark_file: Annotated[Path, typer.Option("--landmarks", help="The scan's landmarks (.json).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    texture: Picture = None,
    unit: Annotated[
        str | None, typer.Option(help="m, cm, mm, or metres per unit; left out, a usual head's size is assumed.")
    ] = None,
    neutral: Annotated[Path | None, typer.Option(help="Folder of the same person's registered neutral.")] = None,
) -> None:
    """Fit the open head's topology onto a scan: registered.obj lies on it, registered.png shows both."""
    import cv2

    from backend.files import write_atomic
    from backend.head_model.library import load_head
    from backend.training.scans.landmarks import read_landmarks
    from backend.training.scans.mesh import metres_per_unit, read_scan
    from backend.training.scans.register import register_scan
    from backend.training.scans.registered import read_registered, write_registered
    from backend.training.scans.sheet import scan_sheet

    head = load_head("open")
    length = None if unit is None else metres_per_unit(unit)
    marks = read_landmarks(landmark_file, head.vertex_count)
    known = read_registered(neutral, head).found if neutral else None
    mesh = read_scan(scan, texture)
    with progress_bar(_out) as progress:
        task = progress.add_task("registering", total=1.0)
        found = register_scan(
            head,
            mesh,
            marks,
            unit=length,
            neutral=known,
            on_progress=lambda share, text: progress.update(task, completed=share, description=text),
        )
    write_registered(out, head, found, scan, texture, marks.by)
    _, png = cv2.imencode(".png", scan_sheet(head, mesh, found)[..., ::-1])
    write_atomic(out / "registered.png", png.tobytes(), public=True)
    _out.print(_figures(found.report, found.unit))
    _out.print(f"{out / 'registered.obj'}; look at {out / 'registered.png'}")


def _figures(report: ScanReport, unit: float) -> Table:
    table = Table("registration", "", title_justify="left")
    rows = {
        "from the face to the scan": f"{report.surface_mean_mm:.2f} mm mean, {report.surface_p95_mm:.2f} mm p95",
        "from the scan to the face": f"{report.scan_mean_mm:.2f} mm mean, {report.scan_p95_mm:.2f} mm p95",
        "landmarks": f"{report.landmark_mean_mm:.2f} mm mean",
        "triangles turned over": f"{report.turned}; {report.flipped_atlas:.2%} of the scan's in the atlas",
        "of face and ears on the scan": f"{report.known:.1%}",
        "unit": f"{unit:.4g} m",
        "time": f"{report.seconds:.0f} s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


@app.command()
def propagate(
    neutral: Annotated[Path, typer.Argument(help="Folder of the registered neutral.")],
    scans: Annotated[list[Path], typer.Argument(help="Scans of the same person's expressions.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: a landmark file for each scan.")],
    in_time: Annotated[
        bool, typer.Option("--in-time", help="The scans follow each other, as frames of a performance.")
    ] = False,
) -> None:
    """Carry a neutral's landmarks to scans of expressions by optical flow, each with those preselected on the head."""
    from backend.errors import ErrorCode, UserError
    from backend.head_model.library import load_head
    from backend.training.scans.flow import DisFlow
    from backend.training.scans.landmarks import write_landmarks
    from backend.training.scans.mesh import read_scan
    from backend.training.scans.propagate import Neutral, propagate
    from backend.training.scans.registered import read_registered

    stems = [scan.stem for scan in scans]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise UserError(ErrorCode.NAME_TAKEN, f"Two of the scans are called {twice}.", "Carry to one at a time.")
    head = load_head("open")
    known = read_registered(neutral, head)
    start = Neutral.of(head, known.mesh, known.found, known.by)
    out.mkdir(parents=True, exist_ok=True)
    with progress_bar(_out) as progress:
        task = progress.add_task("carrying landmarks", total=len(scans))
        meshes = (read_scan(scan) for scan in scans)
        for scan, found in zip(scans, propagate(start, meshes, DisFlow, in_time=in_time), strict=True):
            write_landmarks(out / f"{scan.stem}.json", found)
            progress.advance(task)
    _out.print(f"{out}: {len(scans)} landmark files")


@app.command()
def render(
    registered: Annotated[list[Path], typer.Argument(help="Folders of registered scans.")],
    out: Pool,
    config: Learner = "scans",
) -> None:
    """Draw registered scans from new sides into a pool of training pictures; goes on where it was stopped."""
    from backend.head_model.library import load_head
    from backend.training.data.sources import picture_size
    from backend.training.scans.registered import read_registered
    from backend.training.scans.source import ScanSource

    chosen = _learner(config)
    head = load_head("open")
    scans = [read_registered(folder, head) for folder in registered]
    _fill(
        out,
        chosen,
        scans,
        [scan.name for scan in scans],
        lambda of: partial(ScanSource, of, picture_size(chosen)),
        "drawn scans",
    )
    _out.print(f"{out}: train with flowface train {config} --pool {out} --out RUN")


@app.command()
def photographs(
    kind: Kind,
    folders: Folders,
    registered: Annotated[
        list[Path], typer.Option("--registered", help="Folder of a registered scan of these folders; several times.")
    ],
    out: Pool,
    config: Learner = "scans",
) -> None:
    """Cut a public data set's calibrated photographs into a pool of training pictures, labelled by registered scans.

    A registered scan is matched by the path of its file; a run looks at itself on people it does not learn from.
    """
    from backend.head_model.library import load_head
    from backend.training.data.sources import picture_size
    from backend.training.scans.layouts.registry import read_layout
    from backend.training.scans.photographs import PhotographSource, photographed
    from backend.training.scans.registered import read_registered

    chosen = _learner(config)
    head = load_head("open")
    found = read_layout(kind, folders)
    scans, left_out = photographed(found, [read_registered(folder, head) for folder in registered], head)
    for line in left_out:
        _out.print(f"left out: {line}", markup=False)
    _fill(
        out,
        chosen,
        scans,
        [scan.person for scan in scans],
        lambda of: partial(PhotographSource, of, picture_size(chosen)),
        "photographs",
    )
    _out.print(f"photographs: {sum(len(scan.photographs) for scan in scans)}, of registered scans: {len(scans)}")
    _out.print(f"{out}: train with flowface train {config} --pool {out} --out RUN")


def _learner(config: str) -> TrainConfig:
    from backend.errors import ErrorCode, UserError
    from backend.training.config import find_config, read_config

    chosen = read_config(find_config(config))
    if chosen.data.pictures != "scans":
        raise UserError(
            ErrorCode.BAD_CONFIG,
            f"The configuration {chosen.name} does not learn from scans.",
            'Name one with pictures = "scans" in its [data], such as scans.',
        )
    return chosen


def _fill(
    out: Path,
    config: TrainConfig,
    scans: Sequence[_T],
    names: Sequence[str],
    opening: Callable[[list[_T]], MakeSource],
    what: str,
) -> None:
    """Fill a pool from ``scans``, those of held-out ``names`` apart. Raises UserError ``other_pool``."""
    from backend.training.data.pool import fill
    from backend.training.data.sources import held_out, rendered_pool

    _require_same(out, what)
    apart = held_out(names)
    total = config.data.dev_samples + config.data.shards * config.data.per_shard
    with progress_bar(_out) as progress:
        task = progress.add_task(f"making {what}", total=total)
        for part, shards in (("dev", 1), ("train", config.data.shards)):
            of_part = [scan for scan, name in zip(scans, names, strict=True) if (name in apart) == (part == "dev")]
            pool = rendered_pool(out, config, "dev" if part == "dev" else "train")
            source = opening(of_part or list(scans))
            fill(pool.folder, pool.spec, source, shards, lambda: progress.advance(task))


def _require_same(out: Path, what: str) -> None:
    """Training takes pools of scans and of photographs alike; one that is begun must not be taken for the other."""
    from backend.errors import ErrorCode, UserError
    from backend.files import write_atomic
    from backend.reading import read_bounded

    about = out / "pictures.txt"
    known = what
    if about.exists():
        known = read_bounded(about, "note of the pool", 1 << 10).decode("utf-8", "replace").strip()
    elif (out / "train").exists():
        known = "drawn scans"  # older pools have no note
    if known != what:
        raise UserError(ErrorCode.OTHER_POOL, f"{out} holds {known}, not {what}.", "Name another folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(about, f"{what}\n".encode(), public=True)


@app.command()
def check(kind: Kind, folders: Folders) -> None:
    """Look whether a public data set's folders hold what they should, and say what is missing."""
    from backend.training.scans.layouts.registry import read_layout

    found = read_layout(kind, folders)
    table = Table("found", "", title_justify="left")
    table.add_row("people", str(len(found.people)))
    table.add_row("expressions or frames", str(len(found.takes)))
    table.add_row("scans", str(sum(take.scan is not None for take in found.takes)))
    table.add_row("registrations", str(sum(take.registration is not None for take in found.takes)))
    table.add_row("calibrated photographs", str(sum(len(take.photographs) for take in found.takes)))
    table.add_row("missing", str(len(found.missing)))
    _out.print(table)
    for line in found.missing[:_SHOWN]:
        _out.print(f"missing: {line}", markup=False)
    if len(found.missing) > _SHOWN:
        _out.print(f"… and {len(found.missing) - _SHOWN} more")
