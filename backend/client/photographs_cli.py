"""``flowface photographs``: one to ten photographs of a person to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.alignment.registry import DEFAULT_ALIGNER, aligners_in_words
from backend.client.address import EndpointOption, KeyOption, address
from backend.client.cli import DEFAULT_OPTIONS, parse_faces, parse_further_faces, parse_lenses
from backend.terminal.declared_options import with_options
from protocol.options import SolveOptions

PhotographsArgument = Annotated[
    list[Path],
    typer.Argument(
        help="One to ten photographs of one person, of any angle, lens, size and expression.",
        metavar="PHOTOGRAPH...",
        show_default=False,
    ),
]
FaceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Box around the person's face, in pixels of the first photograph or of the one named, where it is not "
        "the largest. May be repeated.",
        metavar="[PHOTOGRAPH=]X,Y,W,H",
    ),
]
AlignerOption = Annotated[
    str, typer.Option(help=f"What finds the face's points. {aligners_in_words()}", metavar="NAME")
]
FocalOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Focal length of the lens of every photograph, or of the one named, in millimetres. May be repeated.",
        metavar="[PHOTOGRAPH=]MM",
    ),
]
SensorOption = Annotated[
    list[str] | None,
    typer.Option(
        help="What the longer side of the picture is on the sensor; 36, full frame, without it. May be repeated.",
        metavar="[PHOTOGRAPH=]MM",
    ),
]


@with_options
def photographs(
    stills: PhotographsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    face: FaceOption = None,
    head: Annotated[str, typer.Option(help="Head model to fit.")] = "open",
    aligner: AlignerOption = DEFAULT_ALIGNER,
    focal_mm: FocalOption = None,
    sensor_mm: SensorOption = None,
    options: SolveOptions = DEFAULT_OPTIONS,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    blend: Annotated[bool, typer.Option("--blend/--no-blend", help="Write scene.blend.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write the overlay pictures.")] = True,
) -> None:
    """Make a neutral, textured head with its 52 shapes of a person's photographs; writes what ``flowface track`` does.

    Frame 1 is the head at rest; each photograph has a frame and a camera of its own after it. A focal length is what
    --focal-mm or --focal-px say, else what the EXIF says, else solved for.
    """
    from backend.client.request import TrackRequest
    from backend.client.terminal import track_with_progress

    request = TrackRequest(
        footage=tuple(stills),
        out=out,
        photographs=True,
        faces=parse_faces(face or []),
        further_faces=parse_further_faces(face or []),
        head=head,
        aligner=aligner,
        endpoint=address(endpoint, key),
        blend=blend,
        overlay=overlay,
        focal_mm=parse_lenses(focal_mm or [], "--focal-mm", "MM", of="PHOTOGRAPH"),
        sensor_mm=parse_lenses(sensor_mm or [], "--sensor-mm", "MM", of="PHOTOGRAPH"),
        options=options,
    )
    track_with_progress(request)
