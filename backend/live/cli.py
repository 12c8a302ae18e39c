"""``flowface live``: drive a head while a face moves."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.live.live_link import PORT


def live(
    live_link: Annotated[
        bool, typer.Option("--live-link", help="Listen to Epic's app Live Link Face for the iPhone (UDP).")
    ] = False,
    port: Annotated[int, typer.Option(help="Port that the app sends to.", min=0, max=65535)] = PORT,
    bind: Annotated[
        str, typer.Option(help="Address of this machine to listen at; 0.0.0.0 lets a phone of the network in.")
    ] = "",
    subject: Annotated[str, typer.Option(help="Subject to follow where several send; the first one otherwise.")] = "",
    client_key: Annotated[str, typer.Option(hidden=True)] = "",
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Drive a head while a face moves; Blender starts this by itself."""
    from backend.live.live_link_cli import run_live_link

    if not live_link:
        raise typer.BadParameter("Choose a source: --live-link.")
    raise typer.Exit(run_live_link(port, bind, subject, client_key, parent_pid))
