"""``flowface live``: drive a head while a face moves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.errors import ErrorCode, UserError
from backend.live.live_link import LOOPBACK, PORT
from backend.live.live_link_cli import (
    BindOption,
    LiveLinkChoice,
    LiveLinkOption,
    PortOption,
    SubjectOption,
    run_live_link,
)
from backend.live.picture_cli import PictureChoice, list_cameras, run_in_terminal, serve_pictures

VideoArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A video, or a sequence by its folder or any of its images, to play as if it were a camera, from its "
        "beginning once the face is calibrated; the camera where left out.",
        metavar="VIDEO",
        show_default=False,
    ),
]
VideoOption = Annotated[Path | None, typer.Option("--video", help="The same.", hidden=True)]
CameraOption = Annotated[
    str, typer.Option(help="The camera by its name, or a part of it; the first one where left out.", metavar="NAME")
]
ListOption = Annotated[bool, typer.Option("--list", help="Name this machine's cameras, and stop.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for the pictures and track.npz; nothing is kept without.")
]
SecondsOption = Annotated[
    float | None, typer.Option(min=0.1, help="Stop so many seconds after the first pose; Ctrl-C stops at any time.")
]
IdentityOption = Annotated[
    Path | None,
    typer.Option(
        help="An earlier take of this person, its folder or track.npz, instead of calibrating.", metavar="TAKE"
    ),
]
DriverOption = Annotated[
    Path | None,
    typer.Option(
        help="The person's driver, as `flowface driver train` writes it: it looks at the pictures, and nothing is "
        "calibrated.",
        metavar="PERSON.npz",
    ),
]


def live(
    footage: VideoArgument = None,
    video: VideoOption = None,
    camera: CameraOption = "",
    list_them: ListOption = False,
    out: OutOption = None,
    seconds: SecondsOption = None,
    head: Annotated[str, typer.Option(help="Head model to drive.")] = "open",
    identity: IdentityOption = None,
    driver: DriverOption = None,
    calibrate: Annotated[float, typer.Option(min=1.0, max=30.0, help="Seconds of the face to calibrate on.")] = 3.0,
    loop: Annotated[bool, typer.Option("--loop", help="Play the video over and over.")] = False,
    live_link: LiveLinkOption = False,
    port: PortOption = PORT,
    bind: BindOption = LOOPBACK,
    subject: SubjectOption = "",
    client_key: Annotated[str, typer.Option(hidden=True)] = "",
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Drive a head from a camera or a played video, picture by picture; Blender starts this by itself."""
    if list_them:
        names = list_cameras()
        for name in names:
            typer.echo(name)
        if not names:
            typer.echo("This machine has no camera.", err=True)
        return
    played = footage or video
    beside = {"--out": out, "--seconds": seconds, "--identity": identity, "--driver": driver, "--loop": loop or None}
    _require_one_source(
        footage, video, camera, live_link, [name for name, given in beside.items() if given is not None]
    )
    if live_link:
        raise typer.Exit(run_live_link(LiveLinkChoice(port, bind, subject), client_key, parent_pid))
    choice = PictureChoice(
        video=played,
        camera=camera,
        loop=loop,
        head=head,
        identity=identity,
        driver=driver,
        calibration_seconds=calibrate,
        seconds=seconds,
        out=out,
    )
    if client_key:
        raise typer.Exit(serve_pictures(choice, client_key, parent_pid))
    run_in_terminal(choice)


def _require_one_source(
    footage: Path | None, video: Path | None, camera: str, live_link: bool, given: list[str]
) -> None:
    """Refuse sources and options (``given``, by name) that contradict each other; raises UserError ``bad_option``."""
    played = footage or video
    if footage is not None and video is not None:
        raise UserError(ErrorCode.BAD_OPTION, "Two videos were named.", "Name one.")
    if live_link and (played is not None or camera):
        raise UserError(ErrorCode.BAD_OPTION, "--live-link and another source were named.", "Name one of them.")
    if live_link and given:
        raise UserError(ErrorCode.BAD_OPTION, f"{given[0]} means nothing of --live-link.", "Leave it out.")
    if played is not None and camera:
        raise UserError(ErrorCode.BAD_OPTION, "A video and a camera were named.", "Name one of them.")
    if "--loop" in given and played is None:
        raise UserError(
            ErrorCode.BAD_OPTION, "--loop is for a video, and none was named.", "Name one, or leave it out."
        )
    if {"--driver", "--identity"} <= set(given):
        raise UserError(ErrorCode.BAD_OPTION, "A driver and an earlier take were named.", "Name one of them.")
