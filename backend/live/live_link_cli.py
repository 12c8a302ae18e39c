"""The part of ``flowface live`` that listens to Live Link Face: its session with or without a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from backend.live.live_link import LOOPBACK, PORT

if TYPE_CHECKING:
    from backend.live.types import Session


LiveLinkOption = Annotated[
    bool, typer.Option("--live-link", help="Listen to Epic's app Live Link Face for the iPhone instead.")
]
PortOption = Annotated[int, typer.Option(help="Port that the app sends to.", min=0, max=65535)]
BindOption = Annotated[
    str, typer.Option(help="Address to listen to the app at; 0.0.0.0 lets a phone of the network in.")
]
SubjectOption = Annotated[str, typer.Option(help="Subject of the app to follow; the first that sends where left out.")]


@dataclass(frozen=True)
class LiveLinkChoice:
    """Where to listen, and which subject to follow, "" for the first."""

    port: int = PORT
    bind: str = LOOPBACK
    subject: str = ""


def run_live_link(choice: LiveLinkChoice, client_key: str = "", parent_pid: int | None = None) -> int:
    """Listen to Live Link Face for a client, or without one say in the terminal what comes; returns an exit status.

    ``client_key`` is the client's public key, "" for none; see ``door.serve``.

    Raises:
        UserError: without a client, where the port cannot be had or ``bind`` is no address.
    """
    from backend.live.live_link_receiver import LiveLinkReceiver
    from backend.live.live_link_session import LiveLinkSession

    def make() -> Session:
        return LiveLinkSession(LiveLinkReceiver(choice.port, choice.bind, choice.subject))

    if client_key:
        from backend.live.door import serve

        return serve(client_key, parent_pid, make)
    from rich.console import Console

    from backend.live.run import run_session
    from backend.live.terminal import TerminalOutlet

    with TerminalOutlet(Console(stderr=True)) as outlet:
        run_session(make(), outlet)
    return 0
